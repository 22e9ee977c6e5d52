// Which of several trainings is ahead, as far as the errors of their accuracies allow to say.

/** @import { Evaluation } from "../types.d.ts" */

import { integer, isNumber, percent, points, signedPoints } from "../format.js";

/** Of a normal distribution: half the width of a 95 % interval, in standard deviations. */
const NORMAL_95 = 1.96;

/** Normal quantiles at a significance level of 5 %, two-sided, shared among so many pairs (Bonferroni). */
const BOUNDS = new Map([
  [1, NORMAL_95],
  [3, 2.39],
  [6, 2.64],
  [10, 2.81],
  [15, 2.94],
]);
const LARGEST_BOUND = 3;

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {string[]} symbols
 * @property {Evaluation | null | undefined} evaluation
 *
 * @typedef {Contender & { evaluation: Evaluation & { accuracy: number } }} Evaluated
 *
 * @typedef {{ isSure: boolean, title: string, text: string }} Ranking
 */

/**
 * Says no more than the intervals allow. Each of them is of one training by itself; whatever two trainings have in
 * common, the standard error of their difference is at most the sum of theirs.
 * @param {Contender[]} contenders
 * @returns {Ranking}
 */
export function rank(contenders) {
  const evaluated = contenders
    .filter(isEvaluated)
    .sort((one, other) => other.evaluation.accuracy - one.evaluation.accuracy);
  const [best, next] = evaluated;
  if (!next) {
    const text = "At least two of these trainings must have ended with an evaluation.";
    return { isSure: false, title: "Nobody is ahead yet", text };
  }
  const [first, second] = [percent(best.evaluation.accuracy), percent(next.evaluation.accuracy)];
  if (new Set(evaluated.map(rowsOf)).size > 1) {
    const reason = "Accuracies on different bars, dates or labels cannot be compared";
    const text = `${reason}: ${best.name} reached ${first}, ${next.name} ${second}, each on its own rows.`;
    return { isSure: false, title: "Not evaluated on the same rows", text };
  }
  const lead = best.evaluation.accuracy - next.evaluation.accuracy;
  const error = standardError(best) + standardError(next);
  const samples = `on the same ${integer(best.evaluation.validation_samples)} samples`;
  const difference = `${signedPoints(lead)}, with a standard error of at most ${points(error)}`;
  const text = `${best.name} has ${first} against ${second} ${samples}: ${difference}.`;
  if (lead > boundFor(evaluated.length) * error) {
    return { isSure: true, title: `${best.name} is ahead beyond chance`, text };
  }
  const title = lead === 0 ? "They are level" : "No winner: the difference can be chance";
  return { isSure: false, title, text };
}

/**
 * @param {Contender} contender
 * @returns {contender is Evaluated}
 */
const isEvaluated = (contender) => isNumber(contender.evaluation?.accuracy);

/** @param {Evaluated} contender */
function standardError({ evaluation: { accuracy_interval: interval } }) {
  return interval ? (interval[1] - interval[0]) / (2 * NORMAL_95) : Number.NaN;
}

/**
 * What must be the same for accuracies to be compared.
 * @param {Evaluated} contender
 */
function rowsOf({ symbols, evaluation: { validation_samples: samples, from, to, class_names: classes } }) {
  return JSON.stringify([symbols, samples, from, to, classes]);
}

/**
 * How many standard errors a lead must have.
 * @param {number} count of contenders, all pairs of which were looked at
 */
const boundFor = (count) => BOUNDS.get((count * (count - 1)) / 2) ?? LARGEST_BOUND;
