// The trials of a search: which is better, what their scores and parameters are called, and a table of them.

/** @import { Json, Objective, Parameters } from "../types.d.ts" */

import { h, table } from "../dom.js";
import { fixed, integer, isNumber, percent, signedPoints, significant } from "../format.js";

const SHOWN = 50;

/**
 * @typedef {object} Trial
 * @property {number} trial
 * @property {string} [id] its operation, where it is known
 * @property {number | null} score
 * @property {number} rung
 * @property {number} epochs
 * @property {string} status
 * @property {Parameters} parameters
 */

/** @type {Record<Objective, { title: string, format: (score: number) => string }>} */
export const OBJECTIVES = {
  val_loss: { title: "validation loss", format: (score) => fixed(score) },
  lead: { title: "lead", format: (score) => signedPoints(score) },
  accuracy: { title: "accuracy", format: (score) => percent(score) },
  ic: { title: "IC", format: (score) => fixed(score, 3) },
  sharpe: { title: "Sharpe ratio", format: (score) => fixed(score, 2) },
};

/** @param {Objective} objective */
export const isLeastBest = (objective) => objective === "val_loss";

/**
 * Those of later rungs first, then the best score, then the lower number; those without a score last.
 * @param {Trial[]} trials
 * @param {Objective} objective
 */
export function ranked(trials, objective) {
  const sign = isLeastBest(objective) ? 1 : -1;
  const key = (/** @type {Trial} */ { score }) => (isNumber(score) ? sign * score : Number.POSITIVE_INFINITY);
  const scored = (/** @type {Trial} */ { score }) => Number(isNumber(score));
  return [...trials].sort(
    (one, other) =>
      scored(other) - scored(one) || other.rung - one.rung || key(one) - key(other) || one.trial - other.trial,
  );
}

/**
 * Names of parameters without their sections, where that leaves them different.
 * @param {string[]} names
 * @returns {Map<string, string>}
 */
export function briefNames(names) {
  const last = names.map((name) => name.slice(name.lastIndexOf(".") + 1));
  const isAlone = (/** @type {string} */ name) => last.indexOf(name) === last.lastIndexOf(name);
  return new Map(names.map((name, index) => [name, isAlone(last[index]) ? last[index] : name]));
}

/**
 * Every parameter that some trial has, in the order in which they appear.
 * @param {Trial[]} trials
 */
export const parameterNames = (trials) => [...new Set(trials.flatMap(({ parameters }) => Object.keys(parameters)))];

/** @param {Json | undefined} value */
export const parameterText = (value) =>
  isNumber(value) ? significant(value, 4) : value === undefined ? "" : String(value);

/**
 * The best of the trials, which are ranked; all of them at the press of a button.
 * @param {Trial[]} trials
 * @param {Objective} objective
 */
export function trialsTable(trials, objective) {
  const names = briefNames(parameterNames(trials));
  const { title, format } = OBJECTIVES[objective];
  const hasRungs = trials.some(({ rung }) => rung > 1);
  const numbers = ["Rank", "Trial", `Score (${title})`, ...(hasRungs ? ["Rung"] : []), "Epochs"];
  const columns = [
    ...numbers.map((each) => ({ title: each, isNumber: true })),
    { title: "State" },
    ...[...names.values()].map((each) => ({ title: each })),
  ];
  const rows = trials.map((trial, index) => [
    isNumber(trial.score) ? integer(index + 1) : "",
    trial.id ? h("a", { href: `#/operations/${trial.id}` }, `${trial.trial}`) : `${trial.trial}`,
    isNumber(trial.score) ? format(trial.score) : "",
    ...(hasRungs ? [integer(trial.rung)] : []),
    integer(trial.epochs),
    trial.status,
    ...[...names.keys()].map((name) => parameterText(trial.parameters[name])),
  ]);
  return cut(rows.length, (count) => table(columns, rows.slice(0, count), "trials"));
}

/**
 * What `draw` makes of the first rows, and a button for all where there are more.
 * @param {number} total
 * @param {(count: number) => HTMLElement} draw
 */
function cut(total, draw) {
  const box = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Trials" }, draw(SHOWN));
  if (total <= SHOWN) return box;
  const all = h("button", { type: "button", class: "quiet" }, `Show all ${integer(total)}`);
  all.addEventListener("click", () => {
    box.replaceChildren(draw(total));
    all.remove();
  });
  return h("div", {}, box, all);
}
