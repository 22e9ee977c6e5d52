// What came of a training in folds.

/**
 * @import { FoldScores, FoldsLead, Spread } from "../types.d.ts"
 * @import { Dot } from "../pictures.js"
 * @import { Tile } from "./training-results.js"
 */

import { h, panel, table } from "../dom.js";
import { days, fixed, integer, isNumber, percent, points, pValue, signedPoints } from "../format.js";
import { dots } from "../pictures.js";
import { baselineTitle } from "./baselines.js";

/**
 * @param {FoldScores[]} folds
 * @param {FoldsLead} lead
 * @param {{ accuracy: Spread, best_val_loss: Spread, ic?: Spread }} spread
 * @returns {Tile[]}
 */
export function foldTiles(folds, lead, { accuracy, best_val_loss: loss, ic }) {
  const range = `${percent(accuracy.min)} to ${percent(accuracy.max)}`;
  const error = `± ${points(lead.standard_error)}, p = ${pValue(lead.p_value)}`;
  return [
    ["Folds ahead", `${integer(lead.folds_ahead)} of ${integer(folds.length)}`, "of their strongest naive baseline"],
    [lead.mean < 0 ? "Behind by" : "Ahead by", points(Math.abs(lead.mean)), error],
    [ic ? "Right signs" : "Accuracy", percent(accuracy.mean), range],
    ["Validation loss", fixed(loss.mean), `± ${fixed(loss.std)}`],
  ];
}

/** @param {FoldScores[]} folds */
export function foldsPanel(folds) {
  const note = folds[0].strongest_baseline && "each beside its strongest naive baseline";
  const figures = dots(folds.flatMap(foldDots), "Accuracy of each fold");
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
  const columns = [
    { title: "Fold" },
    { title: "Evaluated on" },
    ...["Samples", "Best epoch", "Loss", "Lead"].map((title) => ({ title, isNumber: true })),
  ];
  const rows = folds.map((fold) => [
    h("a", { href: `#/operations/${fold.operation_id}` }, `Fold ${fold.fold}`),
    fold.from ? days(fold.from, fold.to) : "",
    integer(fold.validation_samples),
    integer(fold.best_epoch),
    fixed(fold.best_val_loss),
    signedPoints(fold.lead),
  ]);
  return table(columns, rows);
}
