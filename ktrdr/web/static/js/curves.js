// Curves of several trainings over each other: validation loss and accuracy by epoch.

/**
 * @import { MetricColumn } from "./types.d.ts"
 * @import { Format } from "./charts.js"
 */

import * as api from "./api.js";
import { Chart } from "./charts.js";
import { panel } from "./dom.js";
import { fixed, isNumber, percent } from "./format.js";

/** Names of colours, which the style sheet has as classes too. */
const COLORS = ["c1", "c2", "c3", "c4", "c5", "c6"];

/** The library's styles of lines: solid, dotted, dashed, and in long dashes. */
const DASHES = 4;
/** As many can be told apart. */
export const MOST_LINES = COLORS.length * DASHES;

const POINTS = 1000;

/** @type {{ column: MetricColumn, title: string, format: Format }[]} */
const COLUMNS = [
  { column: "val_loss", title: "Validation loss", format: (value) => fixed(value) },
  { column: "val_accuracy", title: "Validation accuracy", format: (value) => percent(value) },
];

/** @typedef {{ colorName: string, dash: number }} LineStyle */

/**
 * How the line with this number looks, so that each of `MOST_LINES` differs.
 * @param {number} index
 * @returns {LineStyle}
 */
export const lineStyle = (index) => ({
  colorName: COLORS[index % COLORS.length],
  dash: Math.floor(index / COLORS.length) % DASHES,
});

export class CurveOverlay {
  #signal;
  /** @type {Set<string>} */
  #ids = new Set();
  #charts;

  /**
   * @param {AbortSignal} signal
   * @param {string} owners whose curves they are, for those who cannot see them
   */
  constructor(signal, owners) {
    this.#signal = signal;
    this.#charts = COLUMNS.map(({ column, title, format }) => {
      const label = `${title} of ${owners} by epoch`;
      const chart = new Chart(signal, { label, isOfNumbers: true, height: 260 });
      return { chart, column, format, panel: panel(title, {}, chart.box) };
    });
  }

  get panels() {
    return this.#charts.map((entry) => entry.panel);
  }

  /** @param {{ id: string, name: string } & LineStyle} training */
  add({ id, name, colorName, dash }) {
    if (this.#ids.has(id)) return;
    this.#ids.add(id);
    for (const { chart, format } of this.#charts) chart.addLine(id, { colorName, dash, format, label: name });
  }

  /** @param {string[]} ids by default all */
  async refresh(ids = [...this.#ids]) {
    if (ids.length) await Promise.all(this.#charts.map(({ chart, column }) => this.#draw(chart, column, ids)));
  }

  /**
   * @param {Chart} chart
   * @param {MetricColumn} column
   * @param {string[]} ids
   */
  async #draw(chart, column, ids) {
    const { curves } = await api.curves({ operation: ids, column, points: POINTS }, this.#signal);
    for (const [id, { steps, values }] of Object.entries(curves)) chart.set(id, pointsFrom(steps, values));
  }
}

/**
 * Points at the steps that have a value.
 * @param {number[]} steps
 * @param {(number | null)[]} values
 */
export const pointsFrom = (steps, values) =>
  steps.flatMap((time, index) => {
    const value = values[index];
    return isNumber(value) ? [{ time, value }] : [];
  });
