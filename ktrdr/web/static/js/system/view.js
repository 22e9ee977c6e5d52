// The server and its machine: health, workers, disk, memory, versions.

/** @import { System, ViewContext, Workers } from "../types.d.ts" */

import * as api from "../api.js";
import { definitions, h, panel, replace, table } from "../dom.js";
import { bytes, duration, instant, integer, percent, words } from "../format.js";
import { STATE_TITLES, states } from "../meta.js";
import { meter, stacked } from "../pictures.js";
import { poll } from "../poll.js";

const PAUSE_MS = 3000;
const FULL_SHARE = 0.95;
const TIGHT_SHARE = 0.85;

/** @param {ViewContext} context */
export async function show({ root, signal }) {
  const state = h("span", { class: "state" });
  const body = h("div", { class: "columns" });
  replace(root, h("div", { class: "view-head row" }, h("h1", {}, "System"), state), body);
  await poll(
    signal,
    () => PAUSE_MS,
    async () => {
      const system = await api.system(signal);
      const isReady = system.health.status === "ready";
      state.className = `state ${isReady ? "completed" : "failed"}`;
      state.textContent = isReady ? "Ready" : "Cannot work";
      replace(body, panels(system));
    },
  );
}

/** @param {System} system */
function panels(system) {
  return [
    healthPanel(system),
    workersPanel(system.health.workers),
    operationsPanel(system.operations),
    diskPanel(system.disk),
    memoryPanel(system),
    panel("Versions", {}, definitions(Object.entries(system.versions))),
  ];
}

/** @param {System} system */
function healthPanel({ health, started_at: start, platform }) {
  const age = (Date.now() - Date.parse(start)) / 1000;
  const links = [h("a", { href: "docs" }, "API"), " · ", h("a", { href: "metrics" }, "Prometheus metrics")];
  return panel(
    "Health",
    {},
    definitions([
      ["Registry", healthText(health.registry)],
      ["Bars on disk", healthText(health.store)],
      ["Up for", `${duration(age)}, since ${instant(start)} UTC`],
      ["Machine", platform],
      ["More", h("span", {}, links)],
    ]),
  );
}

/** @param {string} state "ok", or what is wrong */
const healthText = (state) =>
  state === "ok" ? h("span", { class: "good" }, "✓ ok") : h("span", { class: "bad" }, state);

/** @param {Record<string, Workers>} lanes */
function workersPanel(lanes) {
  const columns = [
    { title: "Lane" },
    { title: "", class: "grow-cell" },
    ...["At work", "Waiting", "Warm"].map((title) => ({ title, isNumber: true })),
  ];
  const rows = Object.entries(lanes).map(([name, { running, waiting, limit, warm }]) => {
    const share = limit ? running / limit : 0;
    const count = `${integer(running)} of ${integer(limit)}`;
    return [words(name), meter(share, `${count} at work`, "running"), count, integer(waiting), integer(warm)];
  });
  return panel("Workers and queue", {}, table(columns, rows));
}

/** @param {System["operations"]} counts */
function operationsPanel(counts) {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const parts = Object.fromEntries(states().map((status) => [STATE_TITLES[status], counts[status]]));
  return panel("Operations", { note: `${integer(total)} in all` }, stacked(parts, integer));
}

/** @param {System["disk"]} disk */
function diskPanel({ home, total_bytes: total, free_bytes: free, parts }) {
  const used = 1 - free / total;
  const named = Object.fromEntries(Object.entries(parts).map(([name, size]) => [words(name), size]));
  return panel(
    "Disk",
    { note: `${bytes(free)} free of ${bytes(total)}` },
    meter(used, `${percent(used, 0)} of the disk is used`, fillState(used)),
    h("h3", {}, "In the home"),
    stacked(named, bytes),
    h("p", { class: "mono muted after" }, home),
  );
}

/** @param {System} system */
function memoryPanel({ memory_total_bytes: total, memory_available_bytes: available }) {
  const used = 1 - available / total;
  const picture = meter(used, `${percent(used, 0)} of the memory is used`, fillState(used));
  return panel("Memory", { note: `${bytes(available)} free of ${bytes(total)}` }, picture);
}

/**
 * The state whose colour warns of what is nearly full.
 * @param {number} used as a share
 */
function fillState(used) {
  if (used > FULL_SHARE) return "failed";
  return used > TIGHT_SHARE ? "cancelled" : "running";
}
