// Which indicators a model depends on: the words, and what shuffling each of them costs.

/** @import { ExplanationResults } from "../types.d.ts" */

import { h, panel, table } from "../dom.js";
import { days, fixed, integer, percent } from "../format.js";

const UNITS = { log_loss: "nats a sample", squared_error: "training variances" };
const COLUMNS = [
  { title: "Indicator", isNumber: false },
  { title: "Lost", isNumber: true },
  { title: "Standard error", isNumber: true },
  { title: "Accuracy lost", isNumber: true },
  { title: "p", isNumber: true },
  { title: "p, all counted", isNumber: true },
  { title: "Features", isNumber: false },
];

/** @param {ExplanationResults} results */
export function explanationPanels({ model, samples, from, to, measure, repeats, groups, verdict }) {
  const rows = groups.map(
    ({ name, indicator, features, importance, adjusted_p_value: adjusted, accuracy_lost: lost }) => [
      name === indicator ? name : `${name} (${indicator})`,
      fixed(importance.lead),
      fixed(importance.standard_error),
      percent(lost),
      fixed(importance.p_value, 3),
      fixed(adjusted, 3),
      features.join(", "),
    ],
  );
  const note = `lost in ${UNITS[measure]}, mean of ${integer(repeats)} shuffles; ${integer(samples)} validation samples, ${days(from, to)}`;
  const link = h("a", { href: `#/operations/${model}` }, "The training");
  const box = h("div", { class: "scroll" }, table(COLUMNS, rows));
  return {
    top: h(
      "section",
      { class: "verdict", "aria-label": "Verdict" },
      h("div", {}, h("p", {}, verdict), h("p", {}, link)),
    ),
    panels: [panel("What shuffling costs", { wide: true, note }, box)],
  };
}
