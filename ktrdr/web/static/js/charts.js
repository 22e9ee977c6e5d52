// Lines and candles, drawn by TradingView's Lightweight Charts on a canvas; colours come from the style sheet.

/**
 * @import {
 *   DeepPartial, IChartApiBase, ISeriesApi, ISeriesMarkersPluginApi, ISeriesPrimitive, MouseEventParams, SeriesMarker,
 *   SeriesPartialOptionsMap, SeriesType, ChartOptionsImpl, SeriesDefinition, TimeScaleOptions
 * } from "lightweight-charts"
 * @import { Point } from "./types.d.ts"
 */

import { h, setText } from "./dom.js";

const Library = globalThis.LightweightCharts;

/** The library walks through a whole series with each new point; more points than these are set with the old ones. */
const MAX_APPENDED = 2;

/**
 * @typedef {Point & Partial<Record<"open" | "high" | "low" | "close", number>> & { color?: string }} Datum
 * @typedef {(value: number) => string} Format
 *
 * @typedef {object} LineOptions
 * @property {string} colorName a colour of the style sheet
 * @property {Format} format
 * @property {string} [label] its name in the legend; by default its own
 * @property {number} [pane]
 * @property {number} [dash] one of the library's line styles
 * @property {1 | 2} [width]
 *
 * @typedef {object} Line
 * @property {ISeriesApi<SeriesType, number>} series
 * @property {Datum[]} points
 * @property {Format} [format]
 * @property {HTMLElement} [item] in the legend, with the value in it
 * @property {HTMLElement} [value]
 * @property {() => object} recolored the series' options that are colours
 * @property {ISeriesMarkersPluginApi<number>} [markers]
 */

/** @param {string} name */
export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * @param {string} name
 * @param {number} alpha
 */
export function faded(name, alpha) {
  const hex = color(name);
  const [red, green, blue] = [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

/** @returns {DeepPartial<ChartOptionsImpl<number>>} */
function style() {
  const crosshair = { color: color("muted"), labelBackgroundColor: color("label") };
  return {
    layout: {
      attributionLogo: false,
      background: { color: "transparent" },
      textColor: color("muted"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      panes: { separatorColor: color("line"), separatorHoverColor: color("line"), enableResize: true },
    },
    grid: { vertLines: { color: color("grid") }, horzLines: { color: color("grid") } },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.06 } },
    timeScale: { borderVisible: false },
    crosshair: { vertLine: crosshair, horzLine: crosshair },
  };
}

/**
 * @param {HTMLElement} container
 * @param {boolean} isOfNumbers
 * @param {DeepPartial<TimeScaleOptions>} [timeScale]
 */
function createChart(container, isOfNumbers, timeScale) {
  const create = isOfNumbers ? Library?.createOptionsChart : Library?.createChart;
  const options = { autoSize: true, ...style(), ...(isOfNumbers && { localization: { precision: 0 } }) };
  // Its times are numbers here: epochs, or seconds since 1970.
  const chart = /** @type {IChartApiBase<number> | undefined} */ (
    /** @type {unknown} */ (create?.(container, options))
  );
  chart?.timeScale().applyOptions({ minBarSpacing: 0.002, enableConflation: true, ...timeScale });
  return chart;
}

/**
 * A box with a chart and its legend. Keyboard, resizing, colours and the end with `signal` are the same for all.
 * Without the library there is a hint in place of the chart, and nothing else happens.
 */
export class Chart {
  /** @type {Map<string, Line>} */
  #lines = new Map();
  #legend = h("div", { class: "legend" });
  #api;
  /** Whether everything stays in view: until the person looks at something in particular. */
  #isFollowing;

  /**
   * @param {AbortSignal} signal
   * @param {object} options
   * @param {string} options.label for those who cannot see the chart
   * @param {number} [options.height]
   * @param {boolean} [options.isOfNumbers] whether the horizontal axis counts (epochs) and is no time
   * @param {boolean} [options.isFollowing]
   * @param {DeepPartial<TimeScaleOptions>} [options.timeScale] the library's own
   */
  constructor(signal, { label, height = 220, isOfNumbers = false, isFollowing = true, timeScale }) {
    this.canvas = h("div", { class: "canvas", role: "img", "aria-label": label, tabindex: "0" });
    this.height = height;
    this.box = h("figure", { class: "chart" }, this.#legend, this.canvas);
    this.#isFollowing = isFollowing;
    this.#api = createChart(this.canvas, isOfNumbers, timeScale);
    if (!this.#api) {
      const hint = "The chart library is not installed: pip install lwcharts==0.3.0";
      this.canvas.append(h("p", { class: "empty" }, hint));
      return;
    }
    this.#api.subscribeCrosshairMove((move) => this.#showValues(move));
    this.#fitWhenLaidOut(signal);
    this.#listen(signal);
  }

  get isReady() {
    return this.#api !== undefined;
  }

  /** @param {number} pixels */
  set height(pixels) {
    this.canvas.style.height = `${pixels}px`;
  }

  // -- series --------------------------------------------------------------------------------------------------------

  /**
   * @param {string} name
   * @param {LineOptions} options
   */
  addLine(name, { colorName, format, label = name, pane = 0, dash = 0, width = 2 }) {
    const colors = () => ({ color: color(colorName) });
    const options = {
      ...colors(),
      lineWidth: width,
      lineStyle: dash,
      priceLineVisible: false,
      lastValueVisible: false,
      crosshairMarkerRadius: 3,
      priceFormat: { type: /** @type {const} */ ("custom"), formatter: format, minMove: 1e-6 },
    };
    const line = this.#add(name, "Line", options, pane, colors);
    if (!line) return;
    line.format = format;
    line.value = h("span", { class: "legend-value" });
    line.item = h(
      "span",
      { class: "legend-item" },
      h("i", { style: { background: `var(--${colorName})` } }),
      label,
      line.value,
    );
    this.#legend.append(line.item);
  }

  /**
   * A series without a place in the legend.
   * @template {"Candlestick" | "Histogram"} Kind
   * @param {string} name
   * @param {Kind} kind
   * @param {SeriesPartialOptionsMap[Kind]} options
   * @param {{ top: number, bottom: number }} margins of its price scale, as shares of the pane
   * @param {() => SeriesPartialOptionsMap[Kind]} [colors]
   */
  addSeries(name, kind, options, margins, colors = () => ({})) {
    const line = this.#add(name, kind, { ...options, ...colors() }, 0, colors);
    line?.series.priceScale().applyOptions({ scaleMargins: margins });
  }

  /**
   * @template {"Line" | "Candlestick" | "Histogram"} Kind
   * @param {string} name
   * @param {Kind} kind
   * @param {SeriesPartialOptionsMap[Kind]} options
   * @param {number} pane
   * @param {() => object} recolored
   */
  #add(name, kind, options, pane, recolored) {
    if (!Library || !this.#api) return undefined;
    const kinds = {
      Line: Library.LineSeries,
      Candlestick: Library.CandlestickSeries,
      Histogram: Library.HistogramSeries,
    };
    const definition = /** @type {SeriesDefinition<Kind>} */ (kinds[kind]);
    const series = /** @type {ISeriesApi<SeriesType, number>} */ (this.#api.addSeries(definition, options, pane));
    /** @type {Line} */
    const line = { series, points: [], recolored };
    this.#lines.set(name, line);
    return line;
  }

  /** @param {string} name */
  remove(name) {
    const line = this.#lines.get(name);
    if (!line) return;
    this.#api?.removeSeries(line.series);
    line.item?.remove();
    this.#lines.delete(name);
  }

  /** @param {string} name */
  has(name) {
    return this.#lines.has(name);
  }

  /**
   * @param {string} name
   * @param {Datum[]} points
   */
  set(name, points) {
    const line = this.#lines.get(name);
    if (!line) return;
    line.points = points;
    line.series.setData(points);
    this.#showLast(line);
    this.#fit();
  }

  /**
   * @param {string} name
   * @param {Datum[]} points
   */
  append(name, points) {
    const line = this.#lines.get(name);
    if (!line || !points.length) return;
    line.points.push(...points);
    if (points.length > MAX_APPENDED) line.series.setData(line.points);
    else for (const point of points) line.series.update(point);
    this.#showLast(line);
    this.#fit();
  }

  /**
   * A dashed level as long as the line `name`, in view like any other line.
   * @param {string} name
   * @param {number} value
   * @param {string} label
   * @param {string} colorName
   */
  addLevel(name, value, label, colorName) {
    const line = this.#lines.get(name);
    if (!line?.format || !line.points.length) return;
    this.addLine(label, { colorName, format: line.format, dash: 2, width: 1 });
    const ends = new Set([line.points[0].time, line.points[line.points.length - 1].time]);
    this.set(
      label,
      [...ends].map((time) => ({ time, value })),
    );
  }

  /**
   * @param {string} name
   * @param {SeriesMarker<number>[]} markers
   */
  mark(name, markers) {
    const line = this.#lines.get(name);
    if (!line || !Library) return;
    line.markers ??= Library.createSeriesMarkers(line.series, [], { autoScale: false });
    line.markers.setMarkers(markers);
  }

  /**
   * @param {string} name
   * @param {ISeriesPrimitive<number>} primitive
   */
  attach(name, primitive) {
    this.#lines.get(name)?.series.attachPrimitive(primitive);
  }

  // -- what is in view -----------------------------------------------------------------------------------------------

  /** Places at the left and the right edge, counted in points; null before there are any. */
  get range() {
    return this.#api?.timeScale().getVisibleLogicalRange() ?? null;
  }

  /** @param {{ from: number, to: number }} range */
  show(range) {
    this.#api?.timeScale().setVisibleLogicalRange(range);
  }

  /** @param {() => void} listener */
  onRange(listener) {
    this.#api?.timeScale().subscribeVisibleLogicalRangeChange(listener);
  }

  /** @param {(move: MouseEventParams<number>) => void} listener */
  onMove(listener) {
    this.#api?.subscribeCrosshairMove(listener);
  }

  /**
   * Heights of the panes, as shares of each other.
   * @param {number} first
   * @param {number} others
   */
  stretchPanes(first, others) {
    for (const [index, pane] of (this.#api?.panes() ?? []).entries()) pane.setStretchFactor(index ? others : first);
  }

  #fit() {
    if (this.#isFollowing) this.#api?.timeScale().fitContent();
  }

  /**
   * A chart that is filled before it is in the page has no width to fit into yet.
   * @param {AbortSignal} signal
   */
  #fitWhenLaidOut(signal) {
    const observer = new ResizeObserver(() => {
      if (this.canvas.clientWidth) requestAnimationFrame(() => !signal.aborted && this.#fit());
    });
    observer.observe(this.canvas);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  // -- the legend ----------------------------------------------------------------------------------------------------

  /** @param {Line} line */
  #showLast({ points, format, value }) {
    const last = points.at(-1)?.value;
    if (format && value && last !== undefined) setText(value, format(last));
  }

  /** @param {MouseEventParams<number>} move */
  #showValues({ time, seriesData }) {
    for (const line of this.#lines.values()) {
      if (!line.format || !line.value) continue;
      const point =
        time === undefined ? line.points.at(-1) : /** @type {Datum | undefined} */ (seriesData.get(line.series));
      setText(line.value, point?.value === undefined ? "" : line.format(point.value));
    }
  }

  // -- the person and the colours ------------------------------------------------------------------------------------

  /** @param {AbortSignal} signal */
  #listen(signal) {
    const stopFollowing = () => {
      this.#isFollowing = false;
    };
    for (const event of ["wheel", "pointerdown"]) this.canvas.addEventListener(event, stopFollowing, { passive: true });
    this.canvas.addEventListener("dblclick", () => this.#showAll());
    this.canvas.addEventListener("keydown", (event) => this.#onKey(event));
    this.canvas.title = "Drag or arrow keys move, wheel or + and − zoom, double click or Home shows all";
    document.addEventListener("theme", () => this.#recolor(), { signal });
    signal.addEventListener("abort", () => this.#api?.remove());
  }

  #recolor() {
    this.#api?.applyOptions(style());
    for (const { series, recolored } of this.#lines.values()) series.applyOptions(recolored());
  }

  #showAll() {
    this.#isFollowing = true;
    this.#fit();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const { range } = this;
    const move = MOVES.get(event.key);
    if (event.key === "Home") this.#showAll();
    else if (range && move) {
      const width = range.to - range.from;
      this.#isFollowing = false;
      this.show({ from: range.from + move.from * width, to: range.to + move.to * width });
    } else return;
    event.preventDefault();
  }
}

/** What keys move the edges by, as shares of the width. */
const MOVES = new Map([
  ["ArrowLeft", { from: -0.2, to: -0.2 }],
  ["ArrowRight", { from: 0.2, to: 0.2 }],
  ["+", { from: 0.2, to: -0.2 }],
  ["=", { from: 0.2, to: -0.2 }],
  ["-", { from: -0.25, to: 0.25 }],
]);
