// Bars as columns: older pages are put before newer ones, and many bars are drawn as fewer.

/** @import { ChartPage, IndicatorLine, LabelMarks, PredictionMarks } from "../types.d.ts" */

/** One series as far as it has been loaded, with what a training sees in it. */
export class Bars {
  /** @type {Map<number, number>} Where each prediction is among the predictions, by its bar's time. */
  #predictionAt = new Map();

  /** @param {ChartPage} page the newest one */
  constructor(page) {
    this.total = page.total;
    this.firstRow = page.first_row;
    this.time = page.time;
    this.open = page.open;
    this.high = page.high;
    this.low = page.low;
    this.close = page.close;
    this.volume = page.volume;
    this.indicators = page.indicators;
    this.labels = page.labels;
    this.predictions = page.predictions;
    this.#index();
  }

  get length() {
    return this.time.length;
  }

  /** @param {ChartPage} page of the bars before these, with the same lines */
  prepend(page) {
    this.firstRow = page.first_row;
    this.time = page.time.concat(this.time);
    this.open = page.open.concat(this.open);
    this.high = page.high.concat(this.high);
    this.low = page.low.concat(this.low);
    this.close = page.close.concat(this.close);
    this.volume = page.volume.concat(this.volume);
    this.indicators = this.indicators.map((line, index) => joinLines(page.indicators[index], line));
    this.labels = this.labels && page.labels && joinLabels(page.labels, this.labels);
    this.predictions = this.predictions && page.predictions && joinPredictions(page.predictions, this.predictions);
    this.#index();
  }

  #index() {
    this.#predictionAt = new Map(this.predictions?.time.map((time, index) => [time, index]));
  }

  // -- many bars as fewer --------------------------------------------------------------------------------------------

  /**
   * First rows of the groups of `factor` bars in the rows `from` to `to`.
   * @param {number} from
   * @param {number} to
   * @param {number} factor
   */
  groups(from, to, factor) {
    return Array.from({ length: Math.ceil((to - from) / factor) }, (_, index) => from + index * factor);
  }

  /**
   * One candle for `factor` bars, from the row `start` on.
   * @param {number} start
   * @param {number} factor
   */
  candle(start, factor) {
    const end = Math.min(start + factor, this.length);
    let [high, low] = [this.high[start], this.low[start]];
    for (let row = start + 1; row < end; row += 1) {
      if (this.high[row] > high) high = this.high[row];
      if (this.low[row] < low) low = this.low[row];
    }
    return { time: this.time[start], open: this.open[start], high, low, close: this.close[end - 1] };
  }

  /**
   * The volume of `factor` bars, from the row `start` on.
   * @param {number} start
   * @param {number} factor
   */
  traded(start, factor) {
    let sum = 0;
    for (let row = start; row < Math.min(start + factor, this.length); row += 1) sum += this.volume[row];
    return sum;
  }

  // -- single bars ---------------------------------------------------------------------------------------------------

  /**
   * Row of the first bar that opened at `time` or later.
   * @param {number} time in seconds since 1970
   */
  rowFrom(time) {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * The name of the class that came true; null where a bar has no label.
   * @param {number} row
   */
  label(row) {
    const index = this.labels?.classes[row];
    return index === undefined || index === null ? null : (this.labels?.class_names[index] ?? null);
  }

  /**
   * What the model predicted at a bar; null where it was not asked.
   * @param {number} row
   */
  prediction(row) {
    const index = this.#predictionAt.get(this.time[row]);
    if (index === undefined || !this.predictions) return null;
    const { label, predicted, confidence } = this.predictions;
    return {
      predicted: predicted[index],
      isRight: isRight(label[index], predicted[index]),
      confidence: confidence?.[index] ?? null,
    };
  }
}

/**
 * A class is right when it is the label, a number when it has the label's sign.
 * @param {string | number} label
 * @param {string | number} predicted
 */
const isRight = (label, predicted) =>
  typeof label === "number" ? label > 0 === Number(predicted) > 0 : label === predicted;

/**
 * @param {IndicatorLine} older
 * @param {IndicatorLine} newer
 */
const joinLines = (older, newer) => ({ ...newer, values: older.values.concat(newer.values) });

/**
 * @param {LabelMarks} older
 * @param {LabelMarks} newer
 */
const joinLabels = (older, newer) => ({ ...newer, classes: older.classes.concat(newer.classes) });

/**
 * @param {PredictionMarks} older
 * @param {PredictionMarks} newer
 * @returns {PredictionMarks}
 */
const joinPredictions = (older, newer) => ({
  time: older.time.concat(newer.time),
  part: older.part.concat(newer.part),
  label: older.label.concat(newer.label),
  predicted: older.predicted.concat(newer.predicted),
  confidence: older.confidence && newer.confidence && older.confidence.concat(newer.confidence),
});
