// What a training would meet: samples of each class, time, memory.

/** @import { PartReport, PreflightReport } from "./types.d.ts" */

import { definitions, h, panel } from "./dom.js";
import { bytes, days, duration, fixed, integer, isNumber, points, words } from "./format.js";
import { stacked } from "./pictures.js";

/** @typedef {{ title: string, isGood: boolean, text: string }} Check */

/** @param {PreflightReport} preflight */
export function preflightPanels(preflight) {
  const { parts, parameters, parameters_per_sample: density, folds = 1 } = preflight;
  const unseen = parts.filter(({ part }) => part !== "train");
  const facts = definitions([
    ["Time", timeText(preflight)],
    ["Memory", `${bytes(preflight.peak_memory_bytes)} of ${bytes(preflight.available_memory_bytes)}`],
    ["Parameters", `${integer(parameters)}, ${fixed(density, 1)} a sample`],
    ["Lead for 80% power", unseen.map(resolutionText).join(", ")],
    ["Folds", folds > 1 ? integer(folds) : null],
  ]);
  return [panel("Preflight", {}, checklist(checks(preflight)), facts), balancePanel(preflight)];
}

/** @param {PreflightReport} preflight */
export function balancePanel({ parts, features, window, parameters }) {
  const shown = parts.map(({ part, samples, first, last, shares }) => [
    h("h3", {}, `${words(part)}: ${integer(samples)} samples, ${days(first, last)}`),
    stacked(shares),
  ]);
  const note = `${integer(features)} features × ${integer(window)} bars, ${integer(parameters)} parameters`;
  return panel("Class balance", { note }, shown);
}

/** @param {Check[]} checks */
export function checklist(checks) {
  const items = checks.map(({ title, isGood, text }) => {
    const label = isGood ? "good" : "warning";
    const mark = h("span", { class: isGood ? "good" : "warn", "aria-label": label }, isGood ? "✓" : "!");
    return h("li", {}, mark, h("div", {}, h("b", {}, title), h("p", {}, text)));
  });
  return h("ul", { class: "checks" }, items);
}

/**
 * @param {PreflightReport} preflight
 * @returns {Check[]}
 */
function checks({ errors, warnings }) {
  const faults = [
    ...errors.map((text) => ({ title: "Hopeless", isGood: false, text })),
    ...warnings.map((text) => ({ title: "Weak", isGood: false, text })),
  ];
  if (faults.length) return faults;
  const text = "There are enough samples of every class, and memory for them.";
  return [{ title: "Nothing to warn of", isGood: true, text }];
}

/** @param {PartReport} part */
const resolutionText = ({ part, resolution, resolution_in: measure }) =>
  `${measure === "correlation" ? `correlation ${fixed(resolution, 2)}` : `${points(resolution)} points`} (${part})`;

/** @param {PreflightReport} preflight */
const timeText = ({ epoch_seconds: epoch, total_seconds: total }) =>
  isNumber(epoch) ? `${duration(total)} in all, ${duration(epoch)} an epoch` : null;
