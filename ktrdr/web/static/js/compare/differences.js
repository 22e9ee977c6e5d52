// What differs between trainings in what went in and in what came out, as a table with a column for each.

/**
 * @import { BySeries, InputDifference, Json, TrainingResults } from "../types.d.ts"
 * @import { Run } from "./runs.js"
 */

import { h, panel, replace } from "../dom.js";
import { bytes, days, duration, fixed, instant, integer, percent, signedPercent } from "../format.js";
import { beatsBaselines } from "../operation/baselines.js";
import { elapsed } from "../record.js";

const MISSING = "–";
const HASH_DIGITS = 10;
const IGNORED_SETTINGS = new Set(["name", "description"]);
/** Inputs that have rows of their own under "Data". */
const DATA_INPUTS = /^(symbols|timeframes|data_sha256|libraries|code|device)\b/;

/** @typedef {[name: string, values: string[]]} Row One value a run. */

/**
 * @param {Run[]} runs
 * @param {InputDifference[]} inputs that are not the same
 */
export function differencesPanel(runs, inputs) {
  const box = h("input", { type: "checkbox", id: "show-all" });
  const content = h("div", { class: "scroll" });
  const draw = () => replace(content, table(runs, inputs, box.checked));
  box.addEventListener("change", draw);
  draw();
  const label = h("label", { class: "row" }, box, "Also what is the same");
  return h("div", { class: "panels after-panels" }, panel("Differences", { wide: true }, h("p", {}, label), content));
}

/**
 * @param {Run[]} runs
 * @param {InputDifference[]} inputs that are not the same
 * @param {boolean} hasEqual whether rows are shown whose values are all the same
 */
function table(runs, inputs, hasEqual) {
  const heads = runs.map(({ id, name, colorName }) =>
    h("th", { scope: "col" }, h("i", { class: `swatch ${colorName}` }), h("a", { href: `#/operations/${id}` }, name)),
  );
  const body = [
    group("Settings", settings(runs, inputs), hasEqual),
    group("Data", data(runs), hasEqual),
    group("Results", results(runs), hasEqual),
  ];
  const head = h("thead", {}, h("tr", {}, h("td", {}), heads));
  return h("table", { class: "plain differences" }, head, h("tbody", {}, body));
}

/**
 * @param {string} title
 * @param {Row[]} rows
 * @param {boolean} hasEqual
 */
function group(title, rows, hasEqual) {
  const shown = rows.filter(([, values]) => hasEqual || new Set(values).size > 1);
  const note = !shown.length && h("span", { class: "muted" }, " are the same");
  const columns = (rows[0]?.[1].length ?? 0) + 1;
  const head = h("tr", { class: "group" }, h("th", { scope: "colgroup", colspan: columns }, title, note));
  const body = shown.map(([name, values]) => {
    const cells = values.map((value) => h("td", {}, value));
    return h("tr", {}, h("th", { scope: "row" }, name), cells);
  });
  return [head, ...body];
}

// -- what went in ----------------------------------------------------------------------------------------------------

/**
 * What the server found to differ, setting by setting, then what the cards have in common.
 * @param {Run[]} runs
 * @param {InputDifference[]} inputs
 * @returns {Row[]}
 */
function settings(runs, inputs) {
  const differing = inputs.filter(({ name }) => !DATA_INPUTS.test(name));
  return [
    ["strategy", runs.map(({ operation }) => operation.metadata.strategy ?? MISSING)],
    ["model", runs.map(({ operation }) => operation.metadata.model_type ?? MISSING)],
    ...differing.map(({ name, values }) => /** @type {Row} */ ([name, values.map(inWords)])),
    ...inCommon(runs),
  ];
}

/**
 * @param {Run[]} runs
 * @returns {Row[]}
 */
function inCommon(runs) {
  const [first, ...others] = runs.map(({ card }) => {
    const strategy = card?.strategy;
    return new Map(strategy && typeof strategy === "object" ? flatten(/** @type {Json} */ (strategy)) : []);
  });
  return [...first]
    .filter(([name, value]) => !IGNORED_SETTINGS.has(name) && others.every((other) => other.get(name) === value))
    .map(([name, value]) => [name, runs.map(() => value)]);
}

/** @param {Json} value */
const inWords = (value) => (value === null ? MISSING : Array.isArray(value) ? value.join(", ") : String(value));

/**
 * Nested settings under their paths, as people write them: `training.epochs`.
 * @param {Json} value
 * @param {string} [path]
 * @returns {[path: string, text: string][]}
 */
export function flatten(value, path = "") {
  if (value === null) return [];
  if (Array.isArray(value)) return [[path, value.map(inShort).join(", ")]];
  if (typeof value !== "object") return [[path, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) => flatten(inner, path ? `${path}.${key}` : key));
}

/**
 * `macd 12 26 9` rather than a row for each of its parameters.
 * @param {Json} value
 */
function inShort(value) {
  if (value === null || typeof value !== "object") return String(value);
  return Object.values(value)
    .filter((inner) => inner !== null)
    .join(" ");
}

/**
 * @param {Run[]} runs
 * @returns {Row[]}
 */
function data(runs) {
  return [
    ["symbols", runs.map(({ operation }) => (operation.metadata.symbols ?? []).join(", "))],
    ["timeframes", runs.map(({ operation }) => (operation.metadata.timeframes ?? []).join(", "))],
    ["bars", runs.map(({ card }) => bars(card?.data_ranges))],
    ["content", runs.map(({ card }) => listed(valuesOf(card?.data_sha256).map(shortHash)))],
    ["providers", runs.map(({ card }) => listed(valuesOf(card?.data_providers)))],
    ["code", runs.map(({ card }) => shortHash(card?.code?.sha256 ?? MISSING))],
  ];
}

/** @param {BySeries<{ rows: number, first: string, last: string }>} [ranges] */
function bars(ranges = {}) {
  const texts = Object.entries(ranges).flatMap(([symbol, byTimeframe]) =>
    Object.entries(byTimeframe).map(
      ([timeframe, { rows, first, last }]) => `${symbol} ${timeframe}: ${integer(rows)} bars, ${days(first, last)}`,
    ),
  );
  return texts.join("; ") || MISSING;
}

/**
 * @template Value
 * @param {BySeries<Value>} [bySeries]
 */
const valuesOf = (bySeries = {}) => Object.values(bySeries).flatMap((byTimeframe) => Object.values(byTimeframe));

/** @param {string[]} texts */
const listed = (texts) => [...new Set(texts)].join(", ") || MISSING;

/** @param {string} hash */
const shortHash = (hash) => hash.slice(0, HASH_DIGITS);

// -- what came out ---------------------------------------------------------------------------------------------------

/**
 * @param {Run[]} runs
 * @returns {Row[]}
 */
function results(runs) {
  return [
    ["state", runs.map(({ operation }) => operation.status.toLowerCase())],
    ...FIGURES.map(
      ([name, text]) => /** @type {Row} */ ([name, runs.map((run) => text(run.results ?? NO_RESULTS) ?? MISSING)]),
    ),
    ["took in all", runs.map(({ operation }) => duration(elapsed(operation)))],
    ["started", runs.map(({ operation }) => instant(operation.started_at))],
  ];
}

/** @type {TrainingResults} */
const NO_RESULTS = { status: "failed" };

/** @type {[name: string, text: (results: TrainingResults) => string | undefined][]} */
const FIGURES = [
  ["ended by", ({ ending }) => ending],
  ["best validation loss", ({ final_metrics: final }) => fixed(final?.best_val_loss)],
  ["best epoch", ({ final_metrics: final }) => integer(final?.best_epoch)],
  ["epochs", ({ final_metrics: final }) => integer(final?.total_epochs)],
  ["accuracy", ({ evaluation }) => percent(evaluation?.accuracy)],
  ["95% interval", ({ evaluation }) => evaluation?.accuracy_interval?.map((end) => percent(end)).join(" to ")],
  ["balanced accuracy", ({ evaluation }) => percent(evaluation?.balanced_accuracy)],
  ["MCC", ({ evaluation }) => fixed(evaluation?.mcc, 3)],
  ["squared error", ({ evaluation }) => fixed(evaluation?.mse)],
  ["log loss", ({ evaluation }) => fixed(evaluation?.log_loss)],
  ["beats the baselines", ({ evaluation }) => yesOrNo(beatsBaselines(evaluation))],
  ["test accuracy", ({ test_evaluation: test }) => percent(test?.accuracy)],
  ["test return after costs", ({ test_money: money }) => signedPercent(money?.model.total_return)],
  ["return after costs", ({ money }) => signedPercent(money?.model.total_return)],
  ["Sharpe ratio", ({ money }) => fixed(money?.model.sharpe, 2)],
  ["maximum drawdown", ({ money }) => signedPercent(money?.model.max_drawdown)],
  ["parameters", ({ preflight }) => integer(preflight?.parameters)],
  ["memory", ({ preflight }) => bytes(preflight?.peak_memory_bytes)],
  ["training took", ({ final_metrics: final }) => duration(final?.training_duration_seconds)],
];

/** @param {boolean | undefined} value */
const yesOrNo = (value) => (value === undefined ? undefined : value ? "yes" : "no");
