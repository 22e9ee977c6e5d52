// Pictures of a search: scores one after the other, scores by parameter, all parameters together, and what luck reaches.

/** @import { Objective, SelectionVerdict, TrialMetrics } from "../types.d.ts" */
/** @import { Axis } from "../plots.js" */
/** @import { Trial } from "./trials.js" */

import { h, svg } from "../dom.js";
import { isNumber, joined, percent } from "../format.js";
import { bar, countAxis, dot, lines, numberAxis, parameterAxis, plot, rule, tickLabels } from "../plots.js";
import { briefNames, isLeastBest, OBJECTIVES, parameterNames, parameterText } from "./trials.js";

/** @typedef {Trial & { score: number }} ScoredTrial */

const AXIS_WIDTH = 110;
const PARALLEL_HEIGHT = 240;
const SCORE = "score";

/** @type {Axis} */
const ONE_TO_ZERO = { place: Number, ticks: [] };

/**
 * @param {TrialMetrics[]} ended in the order of the trainings
 * @param {Objective} objective
 */
export function scoresPlot(ended, objective) {
  const { title, format } = OBJECTIVES[objective];
  const scored = ended.flatMap(({ score, ...others }) => (isNumber(score) ? [{ ...others, score }] : []));
  if (!scored.length) return h("p", { class: "muted" }, "No trial has a score yet.");
  const x = countAxis(ended.length);
  const y = numberAxis(
    scored.map(({ score }) => score),
    format,
  );
  const best = ended.flatMap(({ part, best_score: score }) => (isNumber(score) ? [{ part, score }] : []));
  const steps = best.flatMap(({ part, score }, index) => {
    const before = best[index - 1]?.score ?? score;
    return /** @type {[number, number][]} */ ([before, score].map((value) => [x.place(part), y.place(value)]));
  });
  const points = scored.map(({ part, trial, rung, score }) =>
    dot(x.place(part), y.place(score), "", joined([`trial ${trial}`, `rung ${rung}`, format(score)])),
  );
  const label = `${title} of each training, and the best so far`;
  return plot({ x, y, label }, points, lines([{ points: steps, className: "best" }]));
}

/**
 * The score against each parameter.
 * @param {ScoredTrial[]} trials
 * @param {Objective} objective
 * @param {number} winner
 */
export function slices(trials, objective, winner) {
  const { title, format } = OBJECTIVES[objective];
  const y = numberAxis(
    trials.map(({ score }) => score),
    format,
  );
  const names = [...briefNames(parameterNames(trials))];
  const plots = names.map(([name, brief]) => {
    const x = parameterAxis(trials.map(({ parameters }) => parameters[name]));
    const points = winnerLast(trials, winner).map(({ trial, parameters, score }) => {
      const text = joined([`trial ${trial}`, `${brief} ${parameterText(parameters[name])}`, format(score)]);
      return dot(x.place(parameters[name]), y.place(score), trial === winner ? "main" : "", text);
    });
    const label = `${title} of each trial by ${name}`;
    return h("div", {}, h("p", { class: "plot-title" }, brief), plot({ x, y, label, height: 130 }, points));
  });
  return h("div", { class: "slices" }, plots);
}

/**
 * One line a trial through all of its parameters to its score; the best score is on top.
 * @param {ScoredTrial[]} trials the best first
 * @param {Objective} objective
 */
export function parallelCoordinates(trials, objective) {
  const names = parameterNames(trials);
  const scores = numberAxis(
    trials.map(({ score }) => score),
    OBJECTIVES[objective].format,
  );
  const axes = [
    ...names.map((name) => ({ name, axis: parameterAxis(trials.map(({ parameters }) => parameters[name])) })),
    { name: SCORE, axis: isLeastBest(objective) ? upsideDown(scores) : scores },
  ].map((each, index) => ({ ...each, at: index / names.length }));
  const paths = trials.map(({ trial, parameters, score }, rank) => ({
    points: axes.map(
      ({ name, axis, at }) =>
        /** @type {[number, number]} */ ([at, axis.place(name === SCORE ? score : parameters[name])]),
    ),
    className: rank === 0 ? "best" : rank < trials.length / 4 ? "good-one" : "",
    title: joined([`trial ${trial}`, OBJECTIVES[objective].format(score)]),
  }));
  const titles = briefNames(names).set(SCORE, OBJECTIVES[objective].title);
  const left = (/** @type {number} */ at) => ({ left: `${100 * at}%` });
  return h(
    "div",
    { class: "parallel", style: { "min-width": `${AXIS_WIDTH * axes.length}px` } },
    h(
      "div",
      { class: "parallel-names" },
      axes.map(({ name, at }) => h("span", { style: left(at) }, titles.get(name))),
    ),
    h(
      "div",
      { class: "parallel-axes", role: "img", "aria-label": "Parameters and score of each trial, a line each" },
      svg(
        "svg",
        { class: "plot-area", height: PARALLEL_HEIGHT },
        axes.map(({ at }) => rule({ x1: at, x2: at, y1: 0, y2: 1 }, "limit")),
        lines(paths.reverse()),
      ),
      axes.map(({ axis, at }) => h("div", { class: "plot-ticks", style: left(at) }, tickLabels(axis, "bottom"))),
    ),
  );
}

/**
 * What the luckiest of as many tries would be ahead by, as bars of equal probability, with the model's own lead.
 * @param {SelectionVerdict} selection
 * @param {(lead: number) => string} format
 */
export function luckPlot({ lead, level, luckiest: { upper, quantiles } }, format) {
  const share = 1 / (quantiles.length - 1);
  const x = numberAxis([...quantiles, lead, upper], format);
  const bins = quantiles.slice(1).map((right, index) => ({ left: quantiles[index], right }));
  const narrowest = (quantiles[quantiles.length - 1] - quantiles[0]) / 100;
  const densities = bins.map(({ left, right }) => share / Math.max(right - left, narrowest));
  const highest = Math.max(...densities);
  const bars = bins.map(({ left, right }, index) => {
    const title = `${percent(share, 0)} of the luckiest tries: ${format(left)} to ${format(right)}`;
    return bar({ left: x.place(left), right: x.place(right), top: (0.92 * densities[index]) / highest }, title);
  });
  const upright = (/** @type {number} */ value) => ({ x1: x.place(value), x2: x.place(value), y1: 0, y2: 1 });
  const marks = [rule(upright(upper), "limit"), rule(upright(lead), "winner")];
  const label = `Lead of the luckiest of as many tries that know nothing; this one has ${format(lead)}, and ${percent(level)} are above ${format(upper)}`;
  return plot({ x, y: ONE_TO_ZERO, label, height: 150 }, bars, marks);
}

/**
 * @param {Axis} axis
 * @returns {Axis}
 */
const upsideDown = ({ place, ticks }) => ({
  place: (value) => 1 - place(value),
  ticks: ticks.map(({ at, text }) => ({ at: 1 - at, text })),
});

/**
 * So that it is drawn over the others.
 * @param {ScoredTrial[]} trials
 * @param {number} winner
 */
const winnerLast = (trials, winner) => [...trials].sort(({ trial }) => (trial === winner ? 1 : -1));
