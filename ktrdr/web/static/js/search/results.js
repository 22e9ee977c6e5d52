// What came of a search: the verdict over all tries in words, then the winner, and what decided the scores.

/**
 * @import {
 *   Evaluation, ParameterImportance, SearchResults, SearchWinner, TrainingResults, TrialResult, UnfinishedSearchResults
 * } from "../types.d.ts"
 * @import { Tile } from "../dom.js"
 * @import { Panels } from "../operation/results.js"
 * @import { ScoredTrial } from "./pictures.js"
 * @import { Trial } from "./trials.js"
 */

import * as api from "../api.js";
import { h, panel, tileRow } from "../dom.js";
import { integer, isNumber } from "../format.js";
import { beatsBaselines } from "../operation/baselines.js";
import { dots } from "../pictures.js";
import { luckPanel } from "./luck.js";
import { parallelCoordinates, slices } from "./pictures.js";
import { OBJECTIVES, ranked, trialsTable } from "./trials.js";

const MAX_DRAWN = 1000;

/**
 * @param {SearchResults | UnfinishedSearchResults} results
 * @param {AbortSignal} signal
 * @returns {Promise<Panels>}
 */
export async function searchPanels(results, signal) {
  const { objective } = results;
  const trials = ranked(results.trials.map(trialOf), objective);
  const note = `best first, by ${OBJECTIVES[objective].title}`;
  const list = trials.length > 0 && panel("Trials", { wide: true, note }, trialsTable(trials, objective));
  if (!("winner" in results)) return { top: list, panels: [] };
  const evaluation = await evaluationOf(results.winner, signal);
  const scored = /** @type {ScoredTrial[]} */ (trials.filter(({ score }) => isNumber(score)));
  const drawn = h("div", { class: "panels trials-drawn" }, list, pictures(results, scored));
  return { top: [verdict(results, evaluation), summary(results, evaluation), drawn], panels: [] };
}

/**
 * The verdict on the winner; null where it has been removed.
 * @param {SearchWinner} winner
 * @param {AbortSignal} signal
 */
async function evaluationOf({ operation_id: id }, signal) {
  const results = await api.results(id, signal).catch(() => null);
  return /** @type {TrainingResults | null} */ (results)?.evaluation ?? null;
}

/**
 * @param {TrialResult} result
 * @returns {Trial}
 */
const trialOf = ({ trial, operation_id: id, status, reason, score, rung = 1, epochs = 0, parameters }) => ({
  ...{ trial, id, score, rung, epochs, parameters },
  status: reason ? `${status}: ${reason}` : status,
});

/**
 * @param {SearchResults} results
 * @param {Evaluation | null} evaluation
 */
function verdict({ verdict: text, warnings = [], winner }, evaluation) {
  const selection = evaluation?.selection;
  const beats = beatsBaselines(evaluation);
  const tries = selection ? `, all ${integer(selection.tries)} tries counted` : "";
  const title = `The winner ${beats ? "beats" : "does not beat"} the baselines beyond chance${tries}`;
  const body = [
    h("p", { class: "verdict-title" }, title),
    selection && !text.includes(selection.verdict) && h("p", {}, selection.verdict),
    h("p", {}, text),
    warnings.map((warning) => h("p", { class: "warn" }, warning)),
    h("p", {}, winnerLink(winner)),
  ];
  return h("section", { class: `verdict ${beats ? "good" : "warn"}`, "aria-label": "Verdict" }, h("div", {}, body));
}

/** @param {SearchWinner} winner */
function winnerLink({ trial, operation_id: id, identical }) {
  const bits = identical ? "the same bits as its trial" : "NOT the bits of its trial";
  return [h("a", { href: `#/operations/${id}` }, `The winner, trial ${trial}, trained in full`), `: ${bits}`];
}

/**
 * @param {SearchResults} results
 * @param {Evaluation | null} evaluation
 */
function summary({ objective, spread, trials, epochs_trained: epochs, winner, importance = [] }, evaluation) {
  const { title, format } = OBJECTIVES[objective];
  const without = trials.filter(({ score }) => !isNumber(score)).length;
  /** @type {Tile[]} */
  const tiles = [
    ["Best score", format(winner.score), title],
    ["Trials", integer(trials.length), without > 0 && `${integer(without)} without a score`],
    ["Epochs trained", integer(epochs), "each counted once"],
  ];
  if (spread) tiles.push(["Mean score", format(spread.mean), `from ${format(spread.min)} to ${format(spread.max)}`]);
  const beside = h("div", { class: "panels" }, luckPanel(evaluation), importancePanel(importance));
  return [tileRow(tiles), beside];
}

/** @param {ParameterImportance[]} importance */
function importancePanel(importance) {
  if (!importance.length) return null;
  const rows = importance.map(({ parameter: name, importance: value, standard_error: error }) => ({
    ...{ name, value, isMain: value > 2 * error },
    interval: /** @type {[number, number]} */ ([Math.max(0, value - error), Math.min(1, value + error)]),
  }));
  const note = "share of the scores' spread, ± one standard error";
  return panel("Importance of the parameters", { note }, dots(rows, "Importance of each parameter"));
}

/**
 * @param {SearchResults} results
 * @param {ScoredTrial[]} scored the best first
 */
function pictures({ objective, winner }, scored) {
  const drawn = scored.slice(0, MAX_DRAWN);
  if (drawn.length < 2) return null;
  const left = scored.length - drawn.length;
  const note = left > 0 ? `the best ${integer(MAX_DRAWN)}; ${integer(left)} are left out` : "the winner in orange";
  const scroll = { class: "scroll", tabindex: "0", role: "group", "aria-label": "All parameters together" };
  return [
    panel("Score by parameter", { wide: true, note }, slices(drawn, objective, winner.trial)),
    panel(
      "All parameters together",
      { wide: true, note: `a line for each trial, the best on top at the right; ${note}, the best quarter in blue` },
      h("div", scroll, parallelCoordinates(drawn, objective)),
    ),
  ];
}
