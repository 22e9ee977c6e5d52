// What luck alone would have reached among all tries at the same rows.

/** @import { Evaluation } from "../types.d.ts" */

import { h, panel } from "../dom.js";
import { fixed, integer, percent, signedPoints } from "../format.js";
import { luckPlot } from "./pictures.js";

/**
 * @param {Evaluation | null | undefined} evaluation
 * @param {string} [title]
 */
export function luckPanel(evaluation, title = "How much luck reaches") {
  const { selection, class_names: classes = [] } = evaluation ?? {};
  if (!selection) return null;
  const { tries, level, lead, luckiest } = selection;
  const format = (/** @type {number} */ value) => (classes.length ? signedPoints(value) : fixed(value, 3));
  const keys = [
    h("li", {}, h("i", { class: "dot c1" }), "the luckiest of as many that know nothing"),
    h("li", {}, h("i", { class: "dot c2" }), h("span", {}, "this model"), h("b", {}, format(lead))),
    h("li", {}, h("i", { class: "dot dashed" }), `above ${format(luckiest.upper)} with ${percent(level)}`),
  ];
  const note = tries === 1 ? "one try at these rows" : `${integer(tries)} tries at these rows`;
  return panel(title, { note }, luckPlot(selection, format), h("ul", { class: "keys" }, keys));
}
