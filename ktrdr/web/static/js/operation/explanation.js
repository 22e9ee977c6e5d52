// Which indicators a model depends on: what shuffling each of them costs, and what a training without it loses.

/** @import { AblationResults, ExplanationResults } from "../types.d.ts" */

import { h, panel, table } from "../dom.js";
import { days, fixed, integer, isNumber, percent } from "../format.js";

const UNITS = { log_loss: "nats a sample", squared_error: "training variances" };
const text = (/** @type {string} */ title) => ({ title, isNumber: false });
const number = (/** @type {string} */ title) => ({ title, isNumber: true });
const LOSSES = [text("Indicator"), ...["Lost", "Standard error", "Accuracy lost", "p", "p, all counted"].map(number)];
const GAINS = [text("Indicator"), ...["Share of gain", "Splits"].map(number)];
const FEATURES = text("Features");
const TRAININGS = [...["Validation loss", "Lead"].map(number), text("Training")];

/** @param {ExplanationResults} results */
export function explanationPanels({ model, samples, from, to, measure, repeats, groups, verdict }) {
  const rows = groups.map((group) => [
    nameOf(group),
    ...losses(group.importance, group.accuracy_lost, group.adjusted_p_value),
    group.features.join(", "),
  ]);
  const note = `lost in ${UNITS[measure]}, mean of ${integer(repeats)} shuffles; ${integer(samples)} validation samples, ${days(from, to)}`;
  const panels = [panel("What shuffling costs", { wide: true, note }, scrolled([...LOSSES, FEATURES], rows))];
  const split = groups.filter(({ gain }) => isNumber(gain)).sort((one, other) => (other.gain ?? 0) - (one.gain ?? 0));
  if (split.length) {
    const gains = split.map((group) => [nameOf(group), percent(group.gain), integer(group.splits)]);
    panels.push(panel("What the trees split on", { note: "in training" }, scrolled(GAINS, gains)));
  }
  return { top: verdictOf(verdict, model), panels };
}

/** @param {AblationResults} results */
export function ablationPanels({ model, samples, from, to, measure, val_loss: loss, lead, indicators, verdict }) {
  const rows = indicators.map((each) => [
    nameOf(each),
    ...(each.lost ? losses(each.lost, each.accuracy_lost, each.adjusted_p_value) : [each.reason, "", "", "", ""]),
    fixed(each.val_loss),
    fixed(each.lead),
    link(each.operation_id, "Open"),
  ]);
  const whole = ["nothing", "", "", "", "", "", fixed(loss), fixed(lead), link(model, "Open")];
  const note = `lost in ${UNITS[measure]}; ${integer(samples)} validation samples that all share, ${days(from, to)}`;
  const box = scrolled([{ ...LOSSES[0], title: "Without" }, ...LOSSES.slice(1), ...TRAININGS], [whole, ...rows]);
  return {
    top: verdictOf(verdict, model),
    panels: [panel("What is lost without each indicator", { wide: true, note }, box)],
  };
}

/** @param {{ name: string, indicator: string }} source */
const nameOf = ({ name, indicator }) => (name === indicator ? name : `${name} (${indicator})`);

/**
 * @param {import("../types.d.ts").Lead} lost
 * @param {number | null} accuracy
 * @param {number | null} adjusted
 */
const losses = (lost, accuracy, adjusted) => [
  fixed(lost.lead),
  fixed(lost.standard_error),
  percent(accuracy),
  fixed(lost.p_value, 3),
  fixed(adjusted, 3),
];

/**
 * @param {string} id
 * @param {string} words
 */
const link = (id, words) => h("a", { href: `#/operations/${id}` }, words);

/**
 * @param {string} verdict
 * @param {string} model
 */
const verdictOf = (verdict, model) =>
  h(
    "section",
    { class: "verdict", "aria-label": "Verdict" },
    h("div", {}, h("p", {}, verdict), h("p", {}, link(model, "The training"))),
  );

/** @param {Parameters<typeof table>} content */
const scrolled = (...content) => h("div", { class: "scroll" }, table(...content));
