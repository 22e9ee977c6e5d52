// Symbols, timeframes and days to train on, out of what is stored.

/** @import { OperationMetadata, Series, TrainingData } from "../types.d.ts" */

import { emptyState, h } from "../dom.js";
import { timeframes } from "../meta.js";

const USUAL_TIMEFRAME = "1d";

export class DataChoice {
  #series;
  #symbols;
  #timeframes;
  #from;
  #to;

  /**
   * @param {Series[]} series
   * @param {() => void} onChange
   */
  constructor(series, onChange) {
    this.#series = series;
    const stored = new Set(series.map(({ timeframe }) => timeframe));
    const present = timeframes().filter((name) => stored.has(name));
    this.#symbols = boxes(new Set(series.map(({ symbol }) => symbol)));
    this.#timeframes = boxes(present);
    this.#from = h("input", { id: "from", type: "date" });
    this.#to = h("input", { id: "to", type: "date" });
    this.element = series.length ? this.#fields() : nothingStored();
    this.element.addEventListener("change", onChange);
  }

  /** @returns {TrainingData} */
  get value() {
    return {
      symbols: ticked(this.#symbols),
      timeframes: ticked(this.#timeframes),
      start_date: this.#from.value || null,
      end_date: this.#to.value || null,
    };
  }

  get isComplete() {
    return ticked(this.#symbols).length > 0;
  }

  /** @param {OperationMetadata} metadata of a training with the same data; what is missing there is chosen as usual */
  choose({ symbols, timeframes, start_date: from, end_date: to }) {
    tick(this.#symbols, symbols ?? this.#series.slice(0, 1).map(({ symbol }) => symbol));
    tick(this.#timeframes, timeframes ?? this.#usualTimeframe());
    this.#from.value = from ?? "";
    this.#to.value = to ?? "";
  }

  /** Of the first symbol. */
  #usualTimeframe() {
    const stored = this.#series
      .filter(({ symbol }) => symbol === this.#series[0].symbol)
      .map(({ timeframe }) => timeframe);
    return stored.includes(USUAL_TIMEFRAME) ? [USUAL_TIMEFRAME] : stored.slice(0, 1);
  }

  #fields() {
    return h(
      "div",
      {},
      boxGroup("Symbols", this.#symbols),
      boxGroup("Timeframes", this.#timeframes),
      h("div", { class: "fields" }, dateField("From", this.#from), dateField("To", this.#to)),
    );
  }
}

/** @param {Iterable<string>} names */
const boxes = (names) => Array.from(names, (name) => h("input", { type: "checkbox", value: name }));

/** @param {HTMLInputElement[]} all */
const ticked = (all) => all.filter((box) => box.checked).map((box) => box.value);

/**
 * @param {HTMLInputElement[]} all
 * @param {string[]} values
 */
function tick(all, values) {
  for (const box of all) box.checked = values.includes(box.value);
}

/**
 * @param {string} label
 * @param {HTMLInputElement[]} all
 */
function boxGroup(label, all) {
  const labels = all.map((box) => h("label", { class: "toggle" }, box, box.value));
  const group = h("div", { class: "row boxes", role: "group", "aria-label": label }, labels);
  return h("div", { class: "field" }, h("span", { class: "label" }, label), group);
}

/**
 * @param {string} label
 * @param {HTMLInputElement} input
 */
const dateField = (label, input) => h("div", { class: "field" }, h("label", { for: input.id }, label), input);

function nothingStored() {
  const load = h("a", { class: "button primary", href: "#/market" }, "Load bars");
  return emptyState("No bars yet", "A training needs bars to learn from.", load);
}
