// What came of an operation, as panels: each kind has its own, what is unknown is shown as it is.

/**
 * @import { Operation, PredictionResults, Results, SearchResults, TrainingResults } from "../types.d.ts"
 * @import { Child } from "../dom.js"
 */

import { attempt } from "../actions.js";
import * as api from "../api.js";
import { definitions, h, panel, table } from "../dom.js";
import { saveFile } from "../downloads.js";
import { fixed, instant, integer, isNumber, joined, words } from "../format.js";
import { preflightPanels } from "../preflight-panels.js";
import { isSearch, isTraining } from "../record.js";
import { searchPanels } from "../search/results.js";
import { ablationPanels, explanationPanels } from "./explanation.js";
import { backtestPanels, trainingPanels, unsealingPanels } from "./training-results.js";

const MAX_PREDICTIONS = 50;
/** The plots of a trial, which are drawn when somebody asks for them. */
const DRAWN = { metrics_plot: "metrics.png", equity_plot: "equity.png" };
/** What every operation's results have, or what the page shows elsewhere. */
const COMMON = new Set(["version", "status", "artifacts", "progress", "metrics_recorded", "error"]);

/**
 * The panels of other types of operations, and the field without which their results are of an older version.
 * @type {Record<string, [string, (results: any, signal: AbortSignal) => Panels]>}
 */
const PANELS = {
  UNSEALING: ["opening", unsealingPanels],
  BACKTEST: ["evaluation", backtestPanels],
  EXPLANATION: ["groups", explanationPanels],
  ABLATION: ["measure", ablationPanels],
  PREFLIGHT: ["parts", (results) => ({ top: null, panels: preflightPanels(results) })],
  PREDICTION: ["predictions", (results) => ({ top: null, panels: predictionPanels(results) })],
};

/** @typedef {{ top: Child, panels: HTMLElement[] }} Panels `top` goes above all, `panels` among the others. */

/**
 * @param {Operation} operation
 * @param {Results} results
 * @param {AbortSignal} signal
 * @returns {Promise<Panels>}
 */
export async function resultPanels(operation, results, signal) {
  const { top, panels } = await panelsOf(operation, results, signal);
  return { top, panels: [...panels, ...filesPanel(operation, results)] };
}

/**
 * @param {Operation} operation
 * @param {Results} results
 * @param {AbortSignal} signal
 * @returns {Panels | Promise<Panels>}
 */
function panelsOf(operation, results, signal) {
  const { operation_id: id, operation_type: type } = operation;
  if (isTraining(operation)) return trainingPanels(id, /** @type {TrainingResults} */ (results), signal);
  if (isSearch(operation) && "trials" in results) {
    return searchPanels(/** @type {SearchResults} */ (results), signal);
  }
  const [field, panels] = PANELS[type] ?? [];
  if (field && panels && field in results) return panels(results, signal);
  return { top: null, panels: anyPanels(results) };
}

/** @param {PredictionResults} results */
function predictionPanels({ symbol, timeframe, sealed_bars: sealed = 0, predictions = [] }) {
  const newest = predictions.slice(-MAX_PREDICTIONS).reverse();
  const left = sealed > 0 && `${integer(sealed)} bars in the sealed test part are left out`;
  if (!newest.length) return left ? [panel(`${symbol} ${timeframe}`, {}, h("p", {}, left))] : [];
  const columns = Object.entries(newest[0]).map(([name, value]) => ({ title: words(name), isNumber: isNumber(value) }));
  const rows = newest.map((row) =>
    Object.values(row).map((value) => (isNumber(value) ? fixed(value) : instant(value && String(value)))),
  );
  const box = h("div", { class: "scroll" }, table(columns, rows));
  return [panel(`${symbol} ${timeframe}`, { wide: true, note: joined(["newest first", left]) }, box)];
}

/** @param {Results} results */
function anyPanels(results) {
  const entries = Object.entries(results).filter(([name, value]) => !COMMON.has(name) && value !== null);
  const facts = entries.filter(([, value]) => typeof value !== "object");
  const groups = entries.filter(([, value]) => typeof value === "object");
  if (!entries.length) return [];
  const list = definitions(
    facts.map(([name, value]) => [words(name), isNumber(value) ? integer(value) : String(value)]),
  );
  const details = groups.map(([name, value]) =>
    h("details", {}, h("summary", {}, words(name)), h("pre", {}, JSON.stringify(value, null, 2))),
  );
  return [panel("Results", {}, list, details)];
}

// -- files -----------------------------------------------------------------------------------------------------------

/**
 * @param {Operation} operation
 * @param {Results} results
 */
function filesPanel({ operation_id: id }, { artifacts }) {
  const drawn = artifacts?.metrics_table && !artifacts.metrics_plot ? DRAWN : {};
  const rows = Object.entries({ ...artifacts, ...drawn }).map(([name, path]) => {
    const file = path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
    const button = h("button", { type: "button", class: "quiet", "aria-label": `Download ${file}` }, "Download");
    button.addEventListener("click", () => attempt(async () => saveFile(await api.artifact(id, name), file)));
    const cells = [h("td", { class: "mono" }, file), h("td", { class: "number" }, button)];
    return h("tr", {}, h("th", { scope: "row" }, words(name)), cells);
  });
  return rows.length ? [panel("Files", {}, h("table", { class: "plain files" }, h("tbody", {}, rows)))] : [];
}
