// Two or more trainings side by side: curves over each other, who is ahead, and what differs.

/**
 * @import { Comparison, Operation, ViewContext } from "../types.d.ts"
 * @import { Run } from "./runs.js"
 */

import * as api from "../api.js";
import { Chart } from "../charts.js";
import { CurveOverlay, lineStyle, MOST_LINES } from "../curves.js";
import { emptyState, h, panel, replace } from "../dom.js";
import { ago, fixed, integer, isNumber, joined } from "../format.js";
import { addEquity } from "../operation/backtest.js";
import { beatsBaselines } from "../operation/baselines.js";
import { dots } from "../pictures.js";
import { poll } from "../poll.js";
import { describe, hasEnded } from "../record.js";
import { differencesPanel } from "./differences.js";
import { readRun, withDistinctNames } from "./runs.js";

const LIVE_MS = 2000;
const MAX_OFFERED = 100;

/** @param {ViewContext} context */
export async function show({ root, query, signal }) {
  const chosen = [...new Set((query.get("ids") ?? "").split(",").filter(Boolean))];
  const body = h("div");
  const ids = chosen.length === 1 ? await foldsOf(chosen[0], signal) : chosen;
  const left = ids.length - MOST_LINES;
  const note = `The first ${MOST_LINES} are shown; ${integer(left)} more are compared, and left out here.`;
  const head = h("div", { class: "view-head" }, h("h1", {}, "Compare"), left > 0 && h("p", { class: "muted" }, note));
  replace(root, head, await chooser(chosen, ids, signal), body);
  if (ids.length < 2) {
    const text = "Their curves are laid over each other, and the table shows what differs between them.";
    replace(body, emptyState("Choose two or more trainings, or one in folds", text));
    return;
  }
  await compare(body, ids, signal);
}

/**
 * The folds of a training that is chosen alone; only itself where it has none, or has not ended.
 * @param {string} id
 * @param {AbortSignal} signal
 */
async function foldsOf(id, signal) {
  const { metadata, status } = await api.operation(id, signal);
  return metadata.folds && status === "COMPLETED" ? (await api.comparison([id], signal)).models : [id];
}

// -- what to compare -------------------------------------------------------------------------------------------------

/**
 * @param {string[]} chosen
 * @param {string[]} ids of the runs that are compared
 * @param {AbortSignal} signal
 */
async function chooser(chosen, ids, signal) {
  const { operations, total } = await api.operations({ type: "TRAINING", limit: MAX_OFFERED }, signal);
  if (!total) {
    const start = h("a", { class: "button primary", href: "#/start" }, "Start a training");
    return emptyState("No trainings yet", "Train two models, and compare them here.", start);
  }
  const offered = new Set(operations.map((operation) => operation.operation_id));
  const others = await Promise.all(chosen.filter((id) => !offered.has(id)).map((id) => api.operation(id, signal)));
  const items = [...others, ...operations].map((operation) => choice(operation, chosen, ids));
  const note = `the newest ${MAX_OFFERED} of ${integer(total)}; choose others in the list of operations`;
  const count = h("span", { class: "muted" }, total > MAX_OFFERED ? note : integer(total));
  const open = ids.length < 2;
  return h(
    "details",
    { class: "panel chooser", open },
    h("summary", {}, "Trainings ", count),
    h("ul", { class: "choices" }, items),
  );
}

/**
 * @param {Operation} operation
 * @param {string[]} chosen
 * @param {string[]} ids of the runs that are compared
 */
function choice(operation, chosen, ids) {
  const { operation_id: id, metadata, created_at: created } = operation;
  const { title, series } = describe(operation);
  const loss = metadata.best_val_loss;
  const about = joined([series, metadata.model_type, isNumber(loss) && `best loss ${fixed(loss)}`, ago(created)]);
  const box = h("input", { type: "checkbox", checked: chosen.includes(id) });
  box.addEventListener("change", () => {
    const others = chosen.filter((other) => other !== id);
    location.hash = `#/compare?ids=${(box.checked ? [...others, id] : others).join(",")}`;
  });
  const place = ids.indexOf(id);
  const isDrawn = place >= 0 && place < MOST_LINES;
  const swatch = isDrawn && h("i", { class: `swatch ${lineStyle(place).colorName}` });
  return h("li", {}, h("label", {}, box, swatch, h("b", {}, title), h("span", { class: "muted" }, about)));
}

// -- comparing -------------------------------------------------------------------------------------------------------

/**
 * @param {HTMLElement} body
 * @param {string[]} ids
 * @param {AbortSignal} signal
 */
async function compare(body, ids, signal) {
  const shown = ids.slice(0, MOST_LINES);
  let runs = withDistinctNames(await Promise.all(shown.map((id, index) => readRun(id, lineStyle(index), signal))));
  let comparison = await api.comparison(ids, signal);
  const curves = new CurveOverlay(signal, "each training");
  const withEpochs = runs.filter(({ operation }) => !operation.metadata.folds);
  for (const run of withEpochs) curves.add(run);
  const curvePanels = withEpochs.length > 0 && curves.panels;
  const winner = h("div");
  const differences = h("div");
  const panels = h("div", { class: "panels" }, curvePanels, equityPanel(runs, signal), accuracyPanel(runs));
  replace(body, winner, panels, differences);
  const draw = () => {
    replace(winner, winnerPanel(comparison, runs));
    const inputs = comparison.inputs.map(({ name, values }) => ({ name, values: values.slice(0, runs.length) }));
    replace(differences, differencesPanel(runs, inputs));
  };
  draw();
  let isComplete = false;
  await poll(
    signal,
    () => (isComplete ? null : LIVE_MS),
    async () => {
      isComplete = runs.every(({ operation }) => hasEnded(operation));
      await curves.refresh();
      if (isComplete) return;
      const read = runs.map((run) => (hasEnded(run.operation) ? run : readRun(run.id, run, signal)));
      runs = withDistinctNames(await Promise.all(read));
      comparison = await api.comparison(ids, signal);
      draw();
    },
  );
}

/**
 * @param {Comparison} comparison
 * @param {Run[]} runs
 */
function winnerPanel({ winner, rows, verdict }, runs) {
  const ahead = winner && (runs.find(({ id }) => id === winner)?.name ?? winner);
  const noWinner = rows ? "No winner: the difference can be chance" : "They cannot be tested against each other";
  const title = ahead ? `${ahead} is ahead beyond chance` : noWinner;
  const texts = [h("p", { class: "verdict-title" }, title), h("p", {}, verdict), caution(runs)];
  return h("section", { class: `verdict ${ahead ? "good" : "warn"}`, "aria-label": "Winner" }, h("div", {}, texts));
}

/**
 * The best of several may still be no better than a baseline.
 * @param {Run[]} runs
 */
function caution(runs) {
  const beaten = runs.filter(({ results }) => beatsBaselines(results?.evaluation) === false);
  if (!beaten.length) return null;
  const names = beaten.map(({ name }) => name).join(", ");
  return h(
    "p",
    { class: "muted" },
    `${names} ${beaten.length > 1 ? "do" : "does"} not beat the baselines beyond chance.`,
  );
}

/**
 * @param {Run[]} runs
 * @param {AbortSignal} signal
 */
function equityPanel(runs, signal) {
  const curves = runs.flatMap((run) => {
    const equity = run.results?.money?.equity;
    return equity ? [{ run, equity }] : [];
  });
  if (!curves.length) return null;
  const chart = new Chart(signal, { label: "Equity of each training's model after costs", height: 260 });
  for (const { run, equity } of curves) addEquity(chart, run, equity.timestamps, equity.model);
  return panel("Equity after costs", { note: "on the validation part" }, chart.box);
}

/** @param {Run[]} runs */
function accuracyPanel(runs) {
  const rows = runs.flatMap(({ name, results }) => {
    const { accuracy: value, accuracy_interval: interval } = results?.evaluation ?? {};
    return isNumber(value) ? [{ name, value, interval, isMain: true }] : [];
  });
  if (!rows.length) return null;
  return panel("Accuracy", { note: "with 95% intervals" }, dots(rows, "Accuracy of each training, with its interval"));
}
