// Small pictures beside numbers, as SVG: sparklines, meters, shares, dots with their errors, confusion, calibration.

/** @import { Calibration } from "./types.d.ts" */

import { h, svg } from "./dom.js";
import { integer, isNumber, percent } from "./format.js";

/** @param {[number, number][]} points */
const path = (points) => points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

/**
 * Shares of the way from `low` to `high`; 0 where the two are the same.
 * @param {number} low
 * @param {number} high
 * @returns {(value: number) => number}
 */
function scale(low, high) {
  const span = high - low || 1;
  return (value) => (value - low) / span;
}

/**
 * @param {(number | null)[]} values
 * @param {string} label
 */
export function sparkline(values, label) {
  const [width, height] = [96, 26];
  const numbers = values.filter(isNumber);
  if (numbers.length < 2) return h("span", { class: "spark none", "aria-hidden": "true" });
  const share = scale(Math.min(...numbers), Math.max(...numbers));
  const points = numbers.map(
    (value, index) =>
      /** @type {[number, number]} */ ([
        2 + ((width - 4) * index) / (numbers.length - 1),
        3 + (height - 6) * (1 - share(value)),
      ]),
  );
  const [x, y] = points[points.length - 1];
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    svg("path", { d: path(points) }),
    svg("circle", { cx: x, cy: y, r: 2.2 }),
  );
}

/**
 * A bar that is filled up to `share`, 0 to 1, in the colour of a state.
 * @param {number} share
 * @param {string} label
 * @param {string} state
 */
export function meter(share, label, state) {
  const fill = h("i", { style: { width: `${Math.min(100, 100 * share)}%` } });
  return h("div", { class: `meter ${state}`, role: "img", "aria-label": label }, fill);
}

/**
 * One bar made of parts, with their names and sizes beneath.
 * @param {Record<string, number>} parts
 * @param {(value: number) => string} [format]
 */
export function stacked(parts, format = (value) => percent(value)) {
  const entries = Object.entries(parts).map(([name, value], index) => ({
    name,
    value,
    text: format(value),
    colorName: `c${(index % 6) + 1}`,
  }));
  const total = entries.reduce((sum, { value }) => sum + value, 0) || 1;
  const bar = entries.map(({ name, value, text, colorName }) =>
    h("i", { class: `part ${colorName}`, style: { width: `${(100 * value) / total}%` }, title: `${name}: ${text}` }),
  );
  const names = entries.map(({ name, text, colorName }) =>
    h("li", {}, h("i", { class: `dot ${colorName}` }), h("span", {}, name), h("b", {}, text)),
  );
  const label = entries.map(({ name, text }) => `${name} ${text}`).join(", ");
  return h(
    "div",
    { class: "stacked" },
    h("div", { class: "stack", role: "img", "aria-label": label }, bar),
    h("ul", { class: "keys" }, names),
  );
}

/**
 * A share, with an interval that it lies in.
 * @typedef {{ name: string, value: number, interval?: [number, number], isMain?: boolean }} Dot
 */

/**
 * Rows of dots on one axis, each with the interval that its error reaches over.
 * @param {Dot[]} rows
 * @param {string} label
 */
export function dots(rows, label) {
  const values = rows.flatMap(({ value, interval = [] }) => [value, ...interval]);
  const share = scale(Math.min(...values), Math.max(...values));
  /** @param {number} value */
  const place = (value) => 4 + 92 * share(value);
  const lines = rows.map(({ name, value, interval, isMain = false }) => {
    const point = h("i", { class: "point", style: { left: `${place(value)}%` } });
    const line = h("span", { class: "dots-line", "aria-hidden": "true" }, interval && reach(interval, place), point);
    return h("li", { class: isMain && "main" }, h("span", {}, name), line, h("b", {}, percent(value)));
  });
  return h("ul", { class: "dots", "aria-label": label }, lines);
}

/**
 * @param {[number, number]} interval
 * @param {(value: number) => number} place
 */
function reach([low, high], place) {
  return h("i", { class: "reach", style: { left: `${place(low)}%`, width: `${place(high) - place(low)}%` } });
}

/**
 * @param {number[][]} matrix samples by true class, then by predicted class
 * @param {string[]} names
 */
export function confusion(matrix, names) {
  const rows = matrix.map((row, index) => {
    const total = row.reduce((sum, count) => sum + count, 0) || 1;
    const cells = row.map((count, column) => confusionCell(count, count / total, index === column));
    return h("tr", {}, h("th", { scope: "row" }, names[index]), cells);
  });
  const heads = names.map((name) => h("th", { scope: "col" }, name));
  const head = h("tr", {}, h("td", { class: "corner" }, "true ↓ · predicted →"), heads);
  return h("table", { class: "confusion" }, h("thead", {}, head), h("tbody", {}, rows));
}

/**
 * @param {number} count
 * @param {number} share of its row
 * @param {boolean} isRight
 */
function confusionCell(count, share, isRight) {
  const fill = h("i", { style: { opacity: (0.08 + 0.62 * share).toFixed(2) } });
  const text = [h("b", {}, integer(count)), h("small", {}, percent(share, 0))];
  return h("td", { class: isRight ? "right" : "wrong" }, fill, text);
}

/**
 * Confidence against accuracy, one dot a bin as large as its samples; a calibrated model lies on the diagonal.
 * @param {Calibration} calibration
 */
export function calibrationPlot({ bins, expected_error: error }) {
  const size = 200;
  const edge = 30;
  const shares = bins.flatMap((bin) => [bin.confidence, bin.accuracy]);
  const low = Math.max(0, Math.floor(Math.min(...shares) * 10 - 0.3) / 10);
  const high = Math.min(1, Math.ceil(Math.max(...shares) * 10 + 0.3) / 10);
  const share = scale(low, high);
  /** @param {number} value */
  const across = (value) => edge + (size - edge - 16) * share(value);
  /** @param {number} value */
  const up = (value) => size - across(value);
  const largest = Math.max(...bins.map((bin) => bin.samples));
  const circles = bins.map(({ confidence, accuracy, samples }) => {
    const title = `says ${percent(confidence)}, is right ${percent(accuracy)} of ${integer(samples)}`;
    const radius = 3 + 4 * Math.sqrt(samples / largest);
    return svg("circle", { cx: across(confidence), cy: up(accuracy), r: radius }, svg("title", {}, title));
  });
  const ticks = [low, (low + high) / 2, high].flatMap((value) => [
    svg("text", { x: across(value), y: size - 10, "text-anchor": "middle" }, percent(value, 0)),
    svg("text", { x: edge - 4, y: up(value) + 3, "text-anchor": "end" }, percent(value, 0)),
  ]);
  const label = `Calibration: expected error ${percent(error)}`;
  return svg(
    "svg",
    { class: "calibration", viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label },
    svg("path", { class: "axis", d: `M${edge} 16V${size - edge}H${size - 16}` }),
    svg("path", { class: "ideal", d: `M${across(low)} ${up(low)}L${across(high)} ${up(high)}` }),
    ticks,
    circles,
  );
}
