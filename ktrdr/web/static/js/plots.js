// Plots of points, steps and bars on two axes, as SVG between labels in HTML, so that text has one size at any width.

import { h, svg } from "./dom.js";
import { integer, isNumber, significant } from "./format.js";

/**
 * @typedef {object} Axis
 * @property {(value: unknown) => number} place where a value lies, as a share of the axis
 * @property {{ at: number, text: string }[]} ticks shares of the axis, with what they stand for
 *
 * @typedef {(value: number) => string} Format
 */

const LOG_RATIO = 10;
const MISSING_ROOM = 0.14;
const STEPS = [1, 2, 5, 10];

/** @type {Format} */
const plain = (value) => significant(value, 3);

/**
 * An axis over numbers, with a little room at both ends.
 * @param {number[]} values
 * @param {Format} [format]
 * @returns {Axis}
 */
export function numberAxis(values, format = plain) {
  const { low, high } = extent(values);
  const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  const [first, last] = [low - room, high + room];
  const place = (/** @type {unknown} */ value) => (Number(value) - first) / (last - first);
  return { place, ticks: roundNumbers(first, last).map((value) => ({ at: place(value), text: format(value) })) };
}

/**
 * An axis that counts from 1, with a place on both sides of each number.
 * @param {number} count
 * @returns {Axis}
 */
export function countAxis(count) {
  const place = (/** @type {unknown} */ number) => (Number(number) - 0.5) / count;
  const numbers = roundNumbers(0.5, count + 0.5).filter(Number.isInteger);
  return { place, ticks: numbers.map((number) => ({ at: place(number), text: integer(number) })) };
}

/**
 * An axis for the values of one parameter: linear, logarithmic over a wide range, or by name; null has a place below.
 * @param {unknown[]} values
 * @returns {Axis}
 */
export function parameterAxis(values) {
  const present = values.filter((value) => value !== undefined && value !== null);
  const numbers = present.filter(isNumber);
  const axis = numbers.length === present.length && numbers.length ? scaledAxis(numbers) : nameAxis(present);
  return present.length === values.length ? axis : withMissing(axis);
}

/**
 * Logarithmic where the values fill a logarithmic scale more evenly than a linear one.
 * @param {number[]} values
 */
function scaledAxis(values) {
  const { low, high } = extent(values);
  if (low <= 0 || high / low < LOG_RATIO) return numberAxis(values);
  const median = [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
  const linear = (median - low) / (high - low);
  const logarithmic = Math.log(median / low) / Math.log(high / low);
  return Math.abs(logarithmic - 0.5) < Math.abs(linear - 0.5) ? logAxis(low, high) : numberAxis(values);
}

/**
 * @param {number} low
 * @param {number} high
 * @returns {Axis}
 */
function logAxis(low, high) {
  const axis = numberAxis([Math.log10(low), Math.log10(high)]);
  const place = (/** @type {unknown} */ value) => axis.place(Math.log10(Number(value)));
  const ticks = [low, Math.sqrt(low * high), high].map((value) => ({ at: place(value), text: significant(value, 2) }));
  return { place, ticks };
}

/**
 * @param {unknown[]} values
 * @returns {Axis}
 */
function nameAxis(values) {
  const names = [...new Set(values.map(String))].sort();
  const place = (/** @type {unknown} */ value) => (names.indexOf(String(value)) + 0.5) / names.length;
  return { place, ticks: names.map((text) => ({ at: place(text), text })) };
}

/**
 * @param {Axis} axis
 * @returns {Axis}
 */
function withMissing({ place, ticks }) {
  const moved = (/** @type {number} */ share) => MISSING_ROOM + (1 - MISSING_ROOM) * share;
  const others = ticks.filter(({ at }) => at > MISSING_ROOM).map(({ at, text }) => ({ at: moved(at), text }));
  return {
    place: (value) => (value === undefined || value === null ? MISSING_ROOM / 2 : moved(place(value))),
    ticks: [{ at: MISSING_ROOM / 2, text: "none" }, ...others],
  };
}

/** @param {number[]} values */
const extent = (values) =>
  values.reduce(({ low, high }, value) => ({ low: Math.min(low, value), high: Math.max(high, value) }), {
    low: Number.POSITIVE_INFINITY,
    high: Number.NEGATIVE_INFINITY,
  });

/**
 * A few round numbers between two others.
 * @param {number} low
 * @param {number} high
 */
export function roundNumbers(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((each) => each * power >= 0.75 * rough) ?? 10);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

// -- what is drawn ---------------------------------------------------------------------------------------------------

/** @param {number} share */
const percentage = (share) => `${(100 * share).toFixed(2)}%`;

/**
 * Two axes with marks between them.
 * @param {{ x: Axis, y: Axis, label: string, height?: number }} options
 * @param {...(SVGElement | SVGElement[])} marks
 */
export function plot({ x, y, label, height = 200 }, ...marks) {
  const grid = y.ticks.map(({ at }) => rule({ x1: 0, x2: 1, y1: at, y2: at }, "grid"));
  return h(
    "div",
    { class: "plot", role: "img", "aria-label": label },
    h("div", { class: "plot-y" }, tickLabels(y, "bottom")),
    svg("svg", { class: "plot-area", height }, grid, marks.flat()),
    h("div", { class: "plot-x" }, tickLabels(x, "left")),
  );
}

/**
 * @param {Axis} axis
 * @param {"bottom" | "left"} side
 */
export const tickLabels = ({ ticks }, side) =>
  ticks.map(({ at, text }) => h("span", { style: { [side]: percentage(at) } }, text));

/**
 * @param {number} x share of the way from the left
 * @param {number} y share of the way from below
 * @param {string} className
 * @param {string} title
 */
export const dot = (x, y, className, title) =>
  svg("circle", { class: className, cx: percentage(x), cy: percentage(1 - y), r: 3.5 }, svg("title", {}, title));

/**
 * A straight line between shares of both axes.
 * @param {{ x1: number, x2: number, y1: number, y2: number }} ends
 * @param {string} className
 */
export const rule = ({ x1, x2, y1, y2 }, className) =>
  svg("line", {
    class: className,
    x1: percentage(x1),
    x2: percentage(x2),
    y1: percentage(1 - y1),
    y2: percentage(1 - y2),
  });

/**
 * @param {{ left: number, right: number, top: number }} bar shares of the axes
 * @param {string} title
 */
export const bar = ({ left, right, top }, title) =>
  svg(
    "rect",
    {
      class: "bar-mark",
      x: percentage(left),
      width: percentage(right - left),
      y: percentage(1 - top),
      height: percentage(top),
    },
    svg("title", {}, title),
  );

/**
 * Lines through shares of both axes, in a box that is stretched over the plot; the strokes are not.
 * @param {{ points: [number, number][], className: string, title?: string }[]} lines
 */
export function lines(lines) {
  const paths = lines.map(({ points, className, title }) => {
    const path = points.map(([x, y]) => `${(100 * x).toFixed(2)} ${(100 - 100 * y).toFixed(2)}`).join("L");
    return svg("path", { class: className, d: `M${path}` }, title && svg("title", {}, title));
  });
  const box = { viewBox: "0 0 100 100", preserveAspectRatio: "none", width: "100%", height: "100%" };
  return svg("svg", { class: "lines", ...box }, paths);
}
