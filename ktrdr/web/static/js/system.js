// The server and its machine: health, workers, disk, memory, versions.

import { get } from "./api.js";
import { definition, h, panel, replace } from "./dom.js";
import { bytes, duration, instant, integer, STATES, words } from "./format.js";
import { meter, stacked } from "./pictures.js";
import { poll } from "./poll.js";

const PACE_MS = 3000;

export async function show({ root, life }) {
  const health = h("span", { class: "state" });
  const body = h("div", { class: "columns" });
  replace(root, h("div", { class: "view-head row" }, h("h1", {}, "System"), health), body);
  await poll(
    life,
    () => PACE_MS,
    async () => {
      const system = await get("/system", {}, life);
      health.className = `state ${system.health.status === "ready" ? "completed" : "failed"}`;
      health.textContent = system.health.status === "ready" ? "Ready" : "Cannot work";
      replace(body, panels(system));
    },
  );
}

function panels(system) {
  return [
    healthPanel(system),
    workersPanel(system.health.workers),
    operationsPanel(system.operations),
    diskPanel(system.disk),
    memoryPanel(system),
    versionsPanel(system),
  ];
}

function healthPanel({ health, started_at: startedAt, platform }) {
  const told = (state) => h("span", { class: state === "ok" ? "good" : "bad" }, state === "ok" ? "✓ ok" : state);
  return panel(
    "Health",
    {},
    definition([
      ["Registry", told(health.registry)],
      ["Bars on disk", told(health.store)],
      ["Up for", `${duration((Date.now() - Date.parse(startedAt)) / 1000)}, since ${instant(startedAt)} UTC`],
      ["Machine", platform],
      [
        "More",
        h("span", {}, h("a", { href: "/docs" }, "API"), " · ", h("a", { href: "/metrics" }, "Prometheus metrics")),
      ],
    ]),
  );
}

function workersPanel(lanes) {
  const rows = Object.entries(lanes).map(([name, { running, waiting, limit, warm }]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, words(name)),
      h("td", { class: "grow-cell" }, meter(limit ? running / limit : 0, `${running} of ${limit} at work`, "running")),
      h("td", { class: "number" }, `${integer(running)} of ${integer(limit)}`),
      h("td", { class: "number" }, integer(waiting)),
      h("td", { class: "number" }, integer(warm)),
    ),
  );
  const head = ["Lane", "", "At work", "Waiting", "Warm"].map((name, index) =>
    h("th", { scope: "col", class: index > 1 ? "number" : "" }, name),
  );
  return panel(
    "Workers and queue",
    {},
    h("table", { class: "plain" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)),
  );
}

function operationsPanel(counts) {
  const parts = Object.entries(counts).map(([status, value]) => ({ name: STATES[status] ?? status, value }));
  const total = parts.reduce((sum, part) => sum + part.value, 0);
  return panel("Operations", { note: `${integer(total)} in all` }, stacked(parts, integer));
}

function diskPanel({ home, total_bytes: total, free_bytes: free, parts }) {
  const used = 1 - free / total;
  return panel(
    "Disk",
    { note: `${bytes(free)} free of ${bytes(total)}` },
    meter(
      used,
      `${Math.round(100 * used)} % of the disk is used`,
      used > 0.95 ? "failed" : used > 0.85 ? "cancelled" : "running",
    ),
    h("h3", {}, "In the home"),
    stacked(
      Object.entries(parts).map(([name, value]) => ({ name: words(name), value })),
      bytes,
    ),
    h("p", { class: "mono muted after" }, home),
  );
}

function memoryPanel({ memory_total_bytes: total, memory_available_bytes: available }) {
  const used = 1 - available / total;
  return panel(
    "Memory",
    { note: `${bytes(available)} free of ${bytes(total)}` },
    meter(used, `${Math.round(100 * used)} % of the memory is used`, used > 0.9 ? "failed" : "running"),
  );
}

function versionsPanel({ versions }) {
  return panel("Versions", {}, definition(Object.entries(versions)));
}
