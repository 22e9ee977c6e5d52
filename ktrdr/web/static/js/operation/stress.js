// What a backtest's return depends on: costs, delay, the order of the bars, and single stretches.

/** @import { GroupReturn, ReturnBands, Stress } from "../types.d.ts" */

import { h, panel, table } from "../dom.js";
import { integer, isNumber, percent, signedPercent, significant } from "../format.js";
import { dot, lines, numberAxis, plot, rule } from "../plots.js";

const MOST_BPS = 50;
/** @type {[title: string, groups: (stress: Stress) => GroupReturn[]][]} */
const GROUPS = [
  ["Year", (stress) => stress.by_year],
  ["Volatility before", (stress) => stress.by_volatility],
  ["Weekday", (stress) => stress.by_weekday],
  ["Hour (UTC)", (stress) => stress.by_hour],
  ["Symbol", (stress) => stress.by_symbol],
];

/** @param {Stress} stress */
export function stressPanel(stress) {
  const { costs, delays, bands } = stress;
  const byCosts = costs.map(({ cost_bps: bps, total_return: value }) => ({ at: bps, value }));
  const byDelay = delays.map(({ bars, total_return: value }) => ({ at: bars, value }));
  const plots = [
    returnsPlot("Costs of a trade, bps", byCosts, (bps) => significant(bps, 3)),
    returnsPlot("Bars later", byDelay, integer),
    bands?.bars?.length ? bandsPlot(bands) : null,
  ];
  return panel(
    "What the return depends on",
    { wide: true, note: breakEvenText(stress) },
    h("div", { class: "slices" }, plots),
    bands && h("p", { class: "muted after" }, bandsText(bands)),
    GROUPS.map(([title, groups]) => groupTable(title, groups(stress))),
  );
}

/** @param {Stress} stress */
function breakEvenText({ costs: [free], break_even_bps: bps }) {
  if (isNumber(bps)) return `nothing is left of it at costs of ${significant(bps, 3)} bps`;
  return free.total_return < 0 ? "it loses without costs too" : "it made nothing, even without costs";
}

/**
 * @param {string} title
 * @param {{ at: number, value: number }[]} points
 * @param {(at: number) => string} format
 */
function returnsPlot(title, points, format) {
  const shown = points.filter(({ at }) => at <= MOST_BPS);
  const x = numberAxis(
    shown.map(({ at }) => at),
    format,
  );
  const y = numberAxis([0, ...shown.map(({ value }) => value)], signedPercent);
  const places = shown.map(({ at, value }) => /** @type {[number, number]} */ ([x.place(at), y.place(value)]));
  const dots = shown.map(({ at, value }, index) => dot(...places[index], "", `${format(at)}: ${signedPercent(value)}`));
  const marks = [zero(y), lines([{ points: places, className: "best" }]), ...dots];
  return titled(title, plot({ x, y, label: `Return by: ${title}`, height: 130 }, marks));
}

/** @param {ReturnBands} bands */
function bandsPlot({ bars = [], equity = [], levels }) {
  const x = numberAxis(bars, integer);
  const y = numberAxis([0, ...equity.flat().map((value) => value - 1)], signedPercent);
  const curves = equity.map((values, index) => ({
    points: values.map((value, place) => /** @type {[number, number]} */ ([x.place(bars[place]), y.place(value - 1)])),
    className: 2 * index + 1 === equity.length ? "best" : "good-one",
    title: `quantile ${percent(levels[index], 0)}`,
  }));
  const label = "Quantiles of the return of resampled bars";
  return titled("Other orders of the bars, by bars", plot({ x, y, label, height: 130 }, zero(y), lines(curves)));
}

/** @param {import("../plots.js").Axis} y */
const zero = (y) => rule({ x1: 0, x2: 1, y1: y.place(0), y2: y.place(0) }, "limit");

/**
 * @param {string} title
 * @param {HTMLElement} picture
 */
const titled = (title, picture) => h("div", {}, h("p", { class: "plot-title" }, title), picture);

/** @param {ReturnBands} bands */
function bandsText({ draws, block, levels, total_return: returns, loss_probability: losses }) {
  const [low, high] = [0, levels.length - 1];
  const range = `${signedPercent(returns[low])} to ${signedPercent(returns[high])}`;
  return `Of ${integer(draws)} resamples in blocks of ${integer(block)} bars ${percent(losses)} lose; ${percent(levels[high] - levels[low], 0)} of them make ${range}.`;
}

/**
 * @param {string} title
 * @param {GroupReturn[]} groups
 */
function groupTable(title, groups) {
  if (groups.length < 2) return null;
  const columns = [title, "Bars", "Model", "Buy and hold"].map((name, index) => ({ title: name, isNumber: index > 0 }));
  const rows = groups.map(({ group, bars, total_return: model, held_return: held }) => [
    group,
    integer(bars),
    signedPercent(model),
    signedPercent(held),
  ]);
  return h(
    "details",
    {},
    h("summary", {}, `By ${title.toLowerCase()}`),
    h("div", { class: "scroll" }, table(columns, rows)),
  );
}
