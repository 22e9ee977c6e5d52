// What came of a training in folds.

/**
 * @import { FoldScores, FoldsLead, Spread } from "../types.d.ts"
 * @import { Dot } from "../pictures.js"
 * @import { Tile } from "../dom.js"
 */

import { h, panel, table } from "../dom.js";
import { days, fixed, integer, isNumber, pEquals, percent, points, signedPercent, signedPoints } from "../format.js";
import { dots } from "../pictures.js";
import { baselineTitle } from "./baselines.js";

/**
 * @param {FoldScores[]} folds
 * @param {FoldsLead | null | undefined} lead
 * @param {{ accuracy: Spread, best_val_loss: Spread, ic?: Spread }} spread
 * @returns {Tile[]}
 */
export function foldTiles(folds, lead, { best_val_loss: loss }) {
  const lossTile = /** @type {Tile} */ (["Validation loss", fixed(loss.mean), `± ${fixed(loss.std)} between folds`]);
  if (!lead) return [lossTile];
  const isRegression = isOfNumbers(folds);
  const size = Math.abs(lead.mean);
  const error = isRegression ? fixed(lead.standard_error) : points(lead.standard_error);
  return [
    ["Folds ahead", `${integer(lead.folds_ahead)} of ${integer(folds.length)}`, "of every naive baseline"],
    [
      `${lead.mean < 0 ? "Behind" : "Ahead of"} ${lead.over ? baselineTitle(lead.over).toLowerCase() : "baselines"} by`,
      isRegression ? fixed(size) : points(size),
      `± ${error}, ${pEquals(lead.p_value)}`,
    ],
    lossTile,
  ];
}

/**
 * Whether folds are compared by squared error.
 * @param {FoldScores[]} folds
 */
const isOfNumbers = (folds) => folds.every(({ baseline_mse: error }) => isNumber(error));

/** @param {FoldScores[]} folds */
export function foldsPanel(folds) {
  if (!folds.length) return null;
  const note = folds[0].strongest_baseline && "each beside the naive baseline that is hardest to beat";
  const figures = !isOfNumbers(folds) && dots(folds.flatMap(foldDots), "Accuracy of each fold");
  return panel("Folds", { note }, figures, h("div", { class: "scroll" }, foldsTable(folds)));
}

/**
 * @param {FoldScores} fold
 * @returns {Dot[]}
 */
function foldDots({ fold, accuracy, best_val_accuracy: best, strongest_baseline: name, baseline_accuracy: naive }) {
  const value = accuracy ?? best;
  return [
    ...(isNumber(value) ? [{ name: `Fold ${fold}`, value, isMain: true }] : []),
    ...(name && isNumber(naive) ? [{ name: baselineTitle(name), value: naive }] : []),
  ];
}

/** @param {FoldScores[]} folds */
function foldsTable(folds) {
  const isRegression = isOfNumbers(folds);
  const scores = isRegression ? ["Error", "Baseline"] : ["Accuracy", "Baseline"];
  const columns = [
    { title: "Fold" },
    { title: "Evaluated on" },
    ...["Samples", ...scores, "Lead", "Return", "Holding"].map((title) => ({ title, isNumber: true })),
  ];
  const rows = folds.map((fold) => [
    h("a", { href: `#/operations/${fold.operation_id}` }, `Fold ${fold.fold}`),
    fold.from ? days(fold.from, fold.to) : "",
    integer(fold.validation_samples),
    ...(isRegression
      ? [fixed(fold.mse), fixed(fold.baseline_mse)]
      : [percent(fold.accuracy ?? fold.best_val_accuracy), percent(fold.baseline_accuracy)]),
    isRegression ? fixed(fold.lead) : signedPoints(fold.lead),
    signedPercent(fold.total_return),
    signedPercent(fold.held_return),
  ]);
  return table(columns, rows, "folds");
}
