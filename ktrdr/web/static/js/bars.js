// Bars as columns: older pages are put before newer ones, and many bars are drawn as fewer.

const COLUMNS = ["time", "open", "high", "low", "close", "volume"];
const SAID = ["time", "part", "label", "predicted", "confidence"];

/** One series as far as it has been loaded, with what a training sees in it. */
export class Bars {
  constructor(page) {
    Object.assign(this, page);
    this._index();
  }

  get length() {
    return this.time.length;
  }

  prepend(page) {
    const join = (older, newer) => older.concat(newer);
    for (const column of COLUMNS) this[column] = join(page[column], this[column]);
    this.first_row = page.first_row;
    this.indicators.forEach((line, index) => {
      line.values = join(page.indicators[index].values, line.values);
    });
    if (this.labels) this.labels.classes = join(page.labels.classes, this.labels.classes);
    if (this.predictions) {
      for (const column of SAID)
        if (this.predictions[column])
          this.predictions[column] = join(page.predictions[column], this.predictions[column]);
    }
    this._index();
  }

  /** Where each prediction stands among the predictions, by its bar's time. */
  _index() {
    this.saidAt = new Map((this.predictions?.time ?? []).map((at, index) => [at, index]));
  }

  /** Starts of the groups of `factor` bars in rows `from` to `to`. */
  groups(from, to, factor) {
    return Array.from({ length: Math.ceil((to - from) / factor) }, (_, index) => from + index * factor);
  }

  candle(start, factor) {
    const end = Math.min(start + factor, this.length);
    let [high, low] = [this.high[start], this.low[start]];
    for (let row = start + 1; row < end; row += 1) {
      if (this.high[row] > high) high = this.high[row];
      if (this.low[row] < low) low = this.low[row];
    }
    return { time: this.time[start], open: this.open[start], high, low, close: this.close[end - 1] };
  }

  traded(start, factor) {
    let sum = 0;
    for (let row = start; row < Math.min(start + factor, this.length); row += 1) sum += this.volume[row];
    return sum;
  }

  /** Row of the first bar that did not open before `at`. */
  rowFrom(at) {
    let [low, high] = [0, this.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.time[middle] < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether the model was right at a bar; null where it was not asked. */
  wasRight(row) {
    const index = this.saidAt.get(this.time[row]);
    if (index === undefined) return null;
    const [was, said] = [this.predictions.label[index], this.predictions.predicted[index]];
    return typeof was === "number" ? was > 0 === said > 0 : was === said;
  }
}
