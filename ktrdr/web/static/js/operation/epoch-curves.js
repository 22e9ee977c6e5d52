// Loss and accuracy of one training, epoch by epoch.

/** @import { EpochMetrics, MetricColumn, Operation, TrainingResults } from "../types.d.ts" */

import * as api from "../api.js";
import { Chart, color } from "../charts.js";
import { pointsFrom } from "../curves.js";
import { h, panel, setText } from "../dom.js";
import { fixed, integer, isNumber, percent } from "../format.js";
import { BASELINES } from "./baselines.js";

const MAX_EPOCHS = 20_000;

/** @type {[MetricColumn, MetricColumn]} */
const LOSSES = ["train_loss", "val_loss"];
/** @type {[MetricColumn, MetricColumn]} */
const ACCURACIES = ["train_accuracy", "val_accuracy"];

export class EpochCurves {
  #id;
  #signal;
  #cursor = 0;
  #loss;
  #accuracy;
  #note = h("span", { class: "muted" });
  /** @type {EpochMetrics | null} */
  #best = null;
  /** It is pulled as long as its operation is; nothing of it comes later. */
  isLive = false;

  /**
   * @param {Operation} operation
   * @param {AbortSignal} signal
   */
  constructor({ operation_id: id }, signal) {
    this.#id = id;
    this.#signal = signal;
    this.#loss = epochChart("Loss", LOSSES, (value) => fixed(value), signal);
    this.#accuracy = epochChart("Accuracy", ACCURACIES, (value) => percent(value), signal);
  }

  get panels() {
    return [panel("Loss", { note: this.#note }, this.#loss.box), panel("Accuracy", {}, this.#accuracy.box)];
  }

  async pull() {
    const page = await api.metrics(this.#id, this.#cursor, MAX_EPOCHS, this.#signal);
    this.#cursor = page.new_cursor;
    if (!page.metrics.length) return;
    for (const column of LOSSES) this.#loss.append(column, pointsOf(page.metrics, column));
    for (const column of ACCURACIES) this.#accuracy.append(column, pointsOf(page.metrics, column));
    this.#markBest(page.metrics);
  }

  /**
   * What a model must beat, as levels across the accuracy.
   * @param {TrainingResults} results
   */
  finish({ evaluation }) {
    for (const [name, { accuracy }] of Object.entries(evaluation?.baselines ?? {})) {
      const level = BASELINES[name];
      if (level?.colorName && isNumber(accuracy)) {
        this.#accuracy.addLevel("val_accuracy", accuracy, level.title, level.colorName);
      }
    }
  }

  /** @param {EpochMetrics[]} metrics */
  #markBest(metrics) {
    const best = bestEpoch(this.#best, metrics);
    if (!best || best === this.#best) return;
    this.#best = best;
    setText(this.#note, `best ${fixed(best.val_loss)} at epoch ${integer(best.epoch)}`);
    const position = /** @type {const} */ ("belowBar");
    const shape = /** @type {const} */ ("arrowUp");
    const marker = { time: best.epoch, position, shape, color: color("c2"), size: 1 };
    this.#loss.mark("val_loss", [marker]);
    if (isNumber(best.val_accuracy)) this.#accuracy.mark("val_accuracy", [marker]);
  }
}

/**
 * @param {string} title
 * @param {[MetricColumn, MetricColumn]} columns of the training part, of the validation part
 * @param {(value: number) => string} format
 * @param {AbortSignal} signal
 */
function epochChart(title, [training, validation], format, signal) {
  const chart = new Chart(signal, { label: `${title} by epoch`, isOfNumbers: true, height: 240 });
  chart.addLine(training, { colorName: "c1", format, label: "Training" });
  chart.addLine(validation, { colorName: "c2", format, label: "Validation" });
  return chart;
}

/**
 * @param {EpochMetrics[]} metrics
 * @param {MetricColumn} column
 */
const pointsOf = (metrics, column) =>
  pointsFrom(
    metrics.map((metric) => metric.epoch),
    metrics.map((metric) => metric[column]),
  );

/**
 * The first epoch with the least validation loss.
 * @param {EpochMetrics | null} best among those before
 * @param {EpochMetrics[]} metrics
 */
function bestEpoch(best, metrics) {
  let least = best;
  for (const metric of metrics) {
    if (isNumber(metric.val_loss) && metric.val_loss < (least?.val_loss ?? Number.POSITIVE_INFINITY)) least = metric;
  }
  return least;
}
