// Vertical bands behind the candles, where bars are missing.

/**
 * @import { IChartApiBase, ISeriesPrimitive, SeriesAttachedParameter } from "lightweight-charts"
 */

import { faded } from "../charts.js";

const OPACITY = 0.22;

/** @typedef {Parameters<import("lightweight-charts").IPrimitivePaneRenderer["draw"]>[0]} Target */

/** @implements {ISeriesPrimitive<number>} */
export class Bands {
  #colorName;
  /** @type {[from: number, to: number][]} */
  #bands = [];
  /** @type {IChartApiBase<number> | null} */
  #chart = null;
  /** @type {() => void} */
  #requestUpdate = () => {};

  /** @param {string} colorName */
  constructor(colorName) {
    this.#colorName = colorName;
  }

  /** @param {SeriesAttachedParameter<number>} parameters */
  attached({ chart, requestUpdate }) {
    this.#chart = chart;
    this.#requestUpdate = requestUpdate;
  }

  /** @param {[from: number, to: number][]} bands places on the axis, counted in points */
  set(bands) {
    this.#bands = bands;
    this.#requestUpdate();
  }

  paneViews() {
    const zOrder = /** @type {const} */ ("bottom");
    return [{ zOrder: () => zOrder, renderer: () => ({ draw: (/** @type {Target} */ target) => this.#draw(target) }) }];
  }

  /** @param {Target} target */
  #draw(target) {
    const scale = this.#chart?.timeScale();
    const range = scale?.getVisibleLogicalRange();
    if (!scale || !range) return;
    /** @param {number} place */
    const across = (place) =>
      scale.logicalToCoordinate(/** @type {import("lightweight-charts").Logical} */ (place)) ?? 0;
    const visible = this.#bands.filter(([from, to]) => to >= range.from && from <= range.to);
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio: ratio }) => {
      context.fillStyle = faded(this.#colorName, OPACITY);
      for (const [from, to] of visible) {
        const width = Math.max(2, across(to) - across(from));
        context.fillRect(Math.round(across(from) * ratio), 0, Math.ceil(width * ratio), bitmapSize.height);
      }
    });
  }
}
