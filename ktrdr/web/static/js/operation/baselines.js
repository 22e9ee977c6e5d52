// A model beside what it must beat.

/** @import { Evaluation, Lead } from "../types.d.ts" */

import { panel, table } from "../dom.js";
import { days, fixed, integer, isNumber, points, pValue, signedPoints, words } from "../format.js";
import { dots } from "../pictures.js";

/**
 * All tries at the same rows considered, where they were counted.
 * @param {Evaluation | null | undefined} evaluation
 */
export const beatsBaselines = (evaluation) => (evaluation?.selection ?? evaluation?.significance)?.beats_baselines;

/**
 * Those with a colour are drawn as levels too.
 * @type {Record<string, { title: string, colorName?: string } | undefined>}
 */
export const BASELINES = {
  majority: { title: "Majority class", colorName: "c3" },
  mean: { title: "Mean", colorName: "c3" },
  persistence: { title: "Persistence", colorName: "c4" },
  logistic_regression: { title: "Logistic regression", colorName: "c6" },
  ridge_regression: { title: "Ridge regression", colorName: "c6" },
  shuffled_control: { title: "Shuffled labels" },
};

/** @param {string} name */
export const baselineTitle = (name) => BASELINES[name]?.title ?? words(name);

/**
 * Which rows it was evaluated on.
 * @param {Evaluation} evaluation
 */
export const rowsText = ({ validation_samples: samples, part = "validation", from, to }) =>
  `${integer(samples)} ${part === "other" ? "predicted" : part} samples, ${days(from, to)}`;

/**
 * @param {Evaluation} evaluation
 * @param {string} title
 */
export function baselinePanel(evaluation, title) {
  const { accuracy, accuracy_interval: interval, baselines = {}, significance, class_names: classes = [] } = evaluation;
  const model = isNumber(accuracy) ? [{ name: "This model", value: accuracy, interval, isMain: true }] : [];
  const others = Object.entries(baselines).flatMap(([name, scores]) =>
    isNumber(scores.accuracy) ? [{ name: baselineTitle(name), value: scores.accuracy }] : [],
  );
  const leads = Object.entries(significance?.against ?? {});
  return panel(
    title,
    { note: evaluation.from && rowsText(evaluation) },
    dots([...model, ...others], "Accuracy of the model and of its baselines"),
    leads.length > 0 && leadTable(leads, classes.length > 0),
  );
}

/**
 * @param {[string, Lead][]} leads
 * @param {boolean} areShares whether they are shares of samples, and no errors of a regression
 */
function leadTable(leads, areShares) {
  const columns = [
    { title: "Lead over" },
    { title: "", isNumber: true },
    { title: "standard error", isNumber: true },
    { title: "p", isNumber: true },
  ];
  const rows = leads.map(([name, { lead, standard_error: error, p_value: chance }]) => [
    baselineTitle(name),
    areShares ? signedPoints(lead) : fixed(lead),
    areShares ? points(error) : fixed(error),
    pValue(chance),
  ]);
  return table(columns, rows, "leads");
}
