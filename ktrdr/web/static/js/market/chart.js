// Candles with volume, and what a training sees in them; older bars are asked for as one pans towards them.

/**
 * @import { MouseEventParams } from "lightweight-charts"
 * @import { IndicatorLine, Quality, Series } from "../types.d.ts"
 */

import * as api from "../api.js";
import { Chart, color, faded } from "../charts.js";
import { debounce, h, replace } from "../dom.js";
import { integer, joined, percent, significant } from "../format.js";
import { isIntraday } from "../meta.js";
import { Bands } from "./bands.js";
import { Bars } from "./bars.js";

const FIRST_BARS = 2000;
const MORE_BARS = 20_000;
const MAX_BARS = 200_000;
const FIRST_VISIBLE = 160;
const MAX_CANDLES = 1500;
/** Arrows are drawn where no more bars than these are in sight. */
const MAX_MARKED = 350;
const MAX_PANES = 4;
const RIGHT_OFFSET = 4;
const HEIGHT = 480;
const PANE_HEIGHT = 96;
const REST_MS = 120;
const LINE_COLORS = ["c1", "c2", "c4", "c6", "c3", "c5"];

/** What can be shown over the candles, or not. */
export const LAYERS = /** @type {const} */ (["indicators", "labels", "predictions", "gaps"]);

/**
 * The chart holds a window of the bars, and where many are in sight several of them make one candle: its cost does not
 * grow with the series. The window moves when the person rests.
 */
export class MarketChart {
  #series;
  #training;
  #layers;
  #signal;
  #chart;
  /** @type {Bars | null} */
  #bars = null;
  /** Rows that are drawn, and how many of them make one candle. */
  #window = { from: 0, to: 0, factor: 1 };
  /** @type {Quality["gaps"]} */
  #gaps = [];
  #bands = new Bands("warn");
  /** @type {Set<string>} names of the indicators that are drawn */
  #lines = new Set();
  #isLoading = false;
  #isDragged = false;
  #note = h("p", { class: "ohlc", role: "status" }, "…");

  /**
   * @param {Series} series
   * @param {string} training an operation, or nothing
   * @param {Record<string, HTMLInputElement>} layers a box to tick for each of LAYERS
   * @param {AbortSignal} signal
   */
  constructor(series, training, layers, signal) {
    this.#series = series;
    this.#training = training;
    this.#layers = layers;
    this.#signal = signal;
    const seen = training ? ", indicators, labels and predictions" : "";
    this.#chart = new Chart(signal, {
      label: `Candles of ${series.symbol} ${series.timeframe} with volume${seen}`,
      height: HEIGHT,
      isFollowing: false,
      timeScale: { timeVisible: isIntraday(series.timeframe), secondsVisible: false, rightOffset: RIGHT_OFFSET },
    });
  }

  get elements() {
    const text = [
      "Lower strip: the label that came true. Upper strip: whether the model was right.",
      "Arrows, when zoomed in: what it predicted.",
    ].join(" ");
    return [this.#note, this.#chart.box, this.#training && h("p", { class: "muted after" }, text)];
  }

  /** Loads and shows the newest bars. */
  async begin() {
    if (!this.#chart.isReady) return;
    this.#addFixedSeries();
    this.#bars = new Bars(await this.#page(FIRST_BARS));
    const last = this.#bars.length;
    this.#show(Math.max(0, last - FIRST_VISIBLE), last + RIGHT_OFFSET);
    this.#listen();
  }

  /** @param {Quality["gaps"]} gaps where bars are missing by the calendar */
  showGaps(gaps) {
    this.#gaps = gaps;
    this.#drawGaps();
  }

  #addFixedSeries() {
    const quiet = { priceLineVisible: false, lastValueVisible: false };
    this.#chart.addSeries(
      "candles",
      "Candlestick",
      { priceLineVisible: false, borderVisible: false },
      { top: 0.08, bottom: 0.2 },
      candleColors,
    );
    const volume = { priceScaleId: "volume", priceFormat: { type: /** @type {const} */ ("volume") }, ...quiet };
    this.#chart.addSeries("volume", "Histogram", volume, { top: 0.84, bottom: 0.06 });
    this.#chart.addSeries("labels", "Histogram", { priceScaleId: "labels", ...quiet }, { top: 0.975, bottom: 0 });
    const predictions = { priceScaleId: "predictions", ...quiet };
    this.#chart.addSeries("predictions", "Histogram", predictions, { top: 0.945, bottom: 0.03 });
    this.#chart.attach("candles", this.#bands);
  }

  // -- pulling -------------------------------------------------------------------------------------------------------

  /**
   * @param {number} limit
   * @param {string} [before]
   */
  #page(limit, before) {
    const { symbol, timeframe } = this.#series;
    return api.chart(symbol, timeframe, { before, limit, training: this.#training }, this.#signal);
  }

  /** @param {Bars} bars */
  async #loadOlder(bars) {
    if (this.#isLoading || bars.firstRow === 0 || bars.length >= MAX_BARS) return;
    this.#isLoading = true;
    try {
      const before = bars.length;
      bars.prepend(await this.#page(MORE_BARS, new Date(bars.time[0] * 1000).toISOString()));
      const added = bars.length - before;
      this.#window.from += added;
      this.#window.to += added;
    } finally {
      this.#isLoading = false;
    }
    this.#settle();
  }

  #listen() {
    const rest = debounce(REST_MS, () => this.#settle());
    const redraw = () => this.#show(...this.#edges());
    this.#chart.onRange(rest);
    this.#chart.onMove((move) => this.#describe(move));
    this.#chart.canvas.addEventListener("pointerdown", () => {
      this.#isDragged = true;
    });
    for (const event of ["pointerup", "pointercancel"]) {
      addEventListener(
        event,
        () => {
          this.#isDragged = false;
          rest();
        },
        { signal: this.#signal },
      );
    }
    for (const box of Object.values(this.#layers)) box.addEventListener("change", redraw);
    document.addEventListener("theme", redraw, { signal: this.#signal });
  }

  // -- the window ----------------------------------------------------------------------------------------------------

  /**
   * Rows at the left and the right edge of the chart.
   * @returns {[left: number, right: number]}
   */
  #edges() {
    const { from, to, factor } = this.#window;
    const range = this.#chart.range;
    return range ? [from + range.from * factor, from + range.to * factor] : [from, to];
  }

  /** Once the person rests: another window where what is in sight nears its ends, older bars where it nears theirs. */
  #settle() {
    const bars = this.#bars;
    if (this.#isDragged || this.#signal.aborted || !bars || !this.#chart.range) return;
    const [left, right] = this.#edges();
    const width = right - left;
    const { from, to, factor } = this.#window;
    const lacksLeft = left - width / 2 < from && from > 0;
    const lacksRight = right + width / 2 > to && to < bars.length;
    if (factorFor(width) !== factor || lacksLeft || lacksRight) this.#show(left, right);
    else this.#markVisible(left, right);
    if (left - 2 * width < 0) this.#loadOlder(bars).catch(() => {});
  }

  /**
   * Draws what lies between two rows and as much again on either side, in as few candles as can be told apart.
   * @param {number} left
   * @param {number} right
   */
  #show(left, right) {
    const bars = this.#bars;
    if (!bars) return;
    const width = right - left;
    const factor = factorFor(width);
    const from = Math.max(0, Math.floor((left - 1.5 * width) / factor) * factor);
    this.#window = { from, to: Math.min(bars.length, Math.ceil(right + 1.5 * width)), factor };
    this.#draw(bars);
    this.#chart.show({ from: (left - from) / factor, to: (right - from) / factor });
    this.#markVisible(left, right);
  }

  // -- drawing -------------------------------------------------------------------------------------------------------

  /** @param {Bars} bars */
  #draw(bars) {
    const { from, to, factor } = this.#window;
    const starts = bars.groups(from, to, factor);
    const candles = starts.map((start) => bars.candle(start, factor));
    const [up, down] = [faded("up", 0.35), faded("down", 0.35)];
    this.#chart.set("candles", candles);
    this.#chart.set(
      "volume",
      candles.map(({ time, open, close }, index) => ({
        time,
        value: bars.traded(starts[index], factor),
        color: close >= open ? up : down,
      })),
    );
    this.#drawIndicators(bars, starts);
    this.#chart.set("labels", this.#labelStrip(bars, starts));
    this.#chart.set("predictions", this.#predictionStrip(bars, starts));
    this.#drawGaps();
    this.#describe();
  }

  /**
   * @param {Bars} bars
   * @param {number[]} starts
   */
  #drawIndicators(bars, starts) {
    const shown = this.#layers.indicators.checked ? bars.indicators : [];
    const groups = shown.filter((line) => !line.on_price).map((line) => line.group);
    const panes = [...new Set(groups)].slice(0, MAX_PANES);
    const drawn = shown.filter((line) => line.on_price || panes.includes(line.group));
    this.#removeLinesBut(new Set(drawn.map((line) => line.name)));
    for (const [index, line] of drawn.entries()) {
      const pane = line.on_price ? 0 : panes.indexOf(line.group) + 1;
      this.#addLine(line, LINE_COLORS[index % LINE_COLORS.length], pane);
      this.#chart.set(line.name, pointsOf(bars.time, line.values, starts));
    }
    this.#chart.stretchPanes(1, 0.22);
    this.#chart.height = HEIGHT + PANE_HEIGHT * panes.length;
  }

  /**
   * @param {IndicatorLine} line
   * @param {string} colorName
   * @param {number} pane
   */
  #addLine({ name }, colorName, pane) {
    if (this.#lines.has(name)) return;
    this.#lines.add(name);
    this.#chart.addLine(name, { colorName, format: (value) => significant(value, 4), pane, width: 1 });
  }

  /** @param {Set<string>} names */
  #removeLinesBut(names) {
    for (const name of this.#lines) {
      if (names.has(name)) continue;
      this.#chart.remove(name);
      this.#lines.delete(name);
    }
  }

  /**
   * @param {Bars} bars
   * @param {number[]} starts
   */
  #labelStrip({ labels, time }, starts) {
    if (!labels || !this.#layers.labels.checked) return [];
    const colors = labels.class_names.map((_, index, names) => classColor(index, names.length));
    return strip(time, starts, (row) => {
      const index = labels.classes[row];
      return index === null ? undefined : colors[index];
    });
  }

  /**
   * @param {Bars} bars
   * @param {number[]} starts
   */
  #predictionStrip(bars, starts) {
    if (!this.#layers.predictions.checked) return [];
    const [right, wrong] = [faded("good", 0.9), faded("bad", 0.9)];
    return strip(bars.time, starts, (row) => {
      const prediction = bars.prediction(row);
      return prediction ? (prediction.isRight ? right : wrong) : undefined;
    });
  }

  /**
   * Arrows, where there is room for them.
   * @param {number} left
   * @param {number} right
   */
  #markVisible(left, right) {
    const bars = this.#bars;
    const hasRoom = right - left <= MAX_MARKED && this.#layers.predictions.checked;
    const markers = [];
    for (let row = Math.max(0, Math.floor(left)); bars && hasRoom && row < Math.min(bars.length, right); row += 1) {
      const prediction = bars.prediction(row);
      if (prediction) markers.push(arrow(bars.time[row], prediction));
    }
    this.#chart.mark("candles", markers);
  }

  #drawGaps() {
    const bars = this.#bars;
    if (!bars) return;
    const { from, factor } = this.#window;
    const rows = this.#layers.gaps.checked ? this.#gaps.map(({ first }) => bars.rowFrom(Date.parse(first) / 1000)) : [];
    const inside = rows.filter((row) => row > 0 && row < bars.length);
    this.#bands.set(inside.map((row) => [Math.floor((row - from - 1) / factor), Math.ceil((row - from) / factor)]));
  }

  // -- the bar under the pointer -------------------------------------------------------------------------------------

  /** @param {MouseEventParams<number>} [move] without one: the newest bar */
  #describe(move) {
    const bars = this.#bars;
    if (!bars) return;
    const { from, factor } = this.#window;
    const isOnBar = move?.logical !== undefined && move.time !== undefined;
    const start = isOnBar ? from + Math.round(Number(move.logical)) * factor : bars.length - factor;
    if (start < 0 || start >= bars.length) return;
    const candle = bars.candle(start, factor);
    const training = factor === 1 && trainingText(bars, start);
    const loaded = `${integer(bars.length)} of ${integer(bars.total)} bars loaded`;
    replace(
      this.#note,
      h("b", {}, timeText(candle.time, this.#series.timeframe)),
      figure("open", significant(candle.open)),
      figure("high", significant(candle.high)),
      figure("low", significant(candle.low)),
      figure("close", significant(candle.close)),
      figure("volume", integer(bars.traded(start, factor))),
      training && h("span", {}, training),
      h("span", { class: "muted end" }, factor > 1 ? `${factor} bars a candle, ${loaded}` : loaded),
    );
  }
}

/**
 * A power of two, so that candles keep their borders from one to the next.
 * @param {number} width in bars
 */
const factorFor = (width) => 2 ** Math.max(0, Math.ceil(Math.log2(width / MAX_CANDLES)));

const candleColors = () => {
  const [up, down] = [color("up"), color("down")];
  return { upColor: up, downColor: down, wickUpColor: up, wickDownColor: down };
};

/**
 * A bar without a value is a place without a line.
 * @param {number[]} time
 * @param {(number | null)[]} values
 * @param {number[]} rows
 */
const pointsOf = (time, values, rows) =>
  rows.map((row) => {
    const value = values[row];
    return value === null ? { time: time[row] } : { time: time[row], value };
  });

/**
 * Columns of the same height, in the colours of the rows that have one.
 * @param {number[]} time
 * @param {number[]} rows
 * @param {(row: number) => string | undefined} colorOf
 */
const strip = (time, rows, colorOf) =>
  rows.flatMap((row) => {
    const shade = colorOf(row);
    return shade ? [{ time: time[row], value: 1, color: shade }] : [];
  });

/**
 * The first class is the way down, the last the way up.
 * @param {number} index
 * @param {number} count
 */
function classColor(index, count) {
  if (index === 0) return color("down");
  return index === count - 1 ? color("up") : faded("muted", 0.6);
}

/**
 * @param {number} time
 * @param {{ predicted: string | number, isRight: boolean }} prediction
 */
function arrow(time, { predicted, isRight }) {
  const isUp = typeof predicted === "number" ? predicted > 0 : /up|upper|long|high/.test(predicted);
  const isDown = typeof predicted === "number" ? predicted <= 0 : /down|lower|short|low/.test(predicted);
  const position = /** @type {"belowBar" | "aboveBar"} */ (isUp ? "belowBar" : "aboveBar");
  const shape = /** @type {"arrowUp" | "arrowDown" | "circle"} */ (isUp ? "arrowUp" : isDown ? "arrowDown" : "circle");
  return { time, position, shape, color: color(isRight ? "good" : "bad"), size: 0.6 };
}

/**
 * @param {string} name
 * @param {string} value
 */
const figure = (name, value) => h("span", {}, h("small", {}, name), " ", value);

/**
 * @param {number} time in seconds since 1970
 * @param {string} timeframe
 */
const timeText = (time, timeframe) =>
  new Date(time * 1000)
    .toISOString()
    .replace("T", " ")
    .slice(0, isIntraday(timeframe) ? 16 : 10);

/**
 * The label and the prediction of one bar.
 * @param {Bars} bars
 * @param {number} row
 */
function trainingText(bars, row) {
  const label = bars.label(row);
  const prediction = bars.prediction(row);
  const confidence = prediction?.confidence ? ` (${percent(prediction.confidence, 0)})` : "";
  return joined([label && `label ${label}`, prediction && `predicted ${prediction.predicted}${confidence}`]);
}
