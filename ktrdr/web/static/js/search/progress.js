// A search while it runs: the score of each training that has ended, the best so far, and the trials as they stand.

/** @import { Objective, Operation, Results, TrialMetrics } from "../types.d.ts" */
/** @import { Trial } from "./trials.js" */

import * as api from "../api.js";
import { h, panel, replace, showIf } from "../dom.js";
import { integer, isNumber } from "../format.js";
import { scoresPlot } from "./pictures.js";
import { OBJECTIVES, ranked, trialsTable } from "./trials.js";

const NEWEST = 100;

export class SearchProgress {
  #id;
  #signal;
  /** @type {Objective} */
  #objective;
  #cursor = 0;
  /** @type {TrialMetrics[]} */
  #ended = [];
  /** @type {Map<number, string>} operations by the number of the trial */
  #operations = new Map();
  #plot = h("div");
  #table = h("div");
  #note = h("span", { class: "muted" });
  #trials;
  #best;
  /** It is pulled as long as its operation is; nothing of it comes later. */
  isLive = false;

  /**
   * @param {Operation} operation
   * @param {AbortSignal} signal
   */
  constructor({ operation_id: id, metadata }, signal) {
    this.#id = id;
    this.#signal = signal;
    this.#objective = metadata.objective ?? "val_loss";
    const waiting = h("p", { class: "muted" }, "No trial has ended yet.");
    this.#best = panel("Best score so far", { wide: true, note: this.#note }, this.#plot);
    this.#trials = panel("Trials so far", { wide: true }, this.#table);
    replace(this.#plot, waiting);
  }

  get panels() {
    return [this.#best, this.#trials];
  }

  async pull() {
    const page = await api.trialMetrics(this.#id, this.#cursor, this.#signal);
    this.#cursor = page.new_cursor;
    if (!page.metrics.length) return;
    this.#ended.push(...page.metrics);
    await this.#findOperations();
    this.#draw();
  }

  /** @param {Results} results which have a table of the trials themselves */
  finish(results) {
    showIf(this.#trials, !("trials" in results));
  }

  async #findOperations() {
    const { operations } = await api.operations({ parent: this.#id, limit: NEWEST }, this.#signal);
    for (const { operation_id: id, metadata } of operations.reverse()) {
      if (isNumber(metadata.trial)) this.#operations.set(metadata.trial, id);
    }
  }

  #draw() {
    const last = this.#ended[this.#ended.length - 1];
    const { title, format } = OBJECTIVES[this.#objective];
    const best = isNumber(last.best_score) ? `, best ${title} ${format(last.best_score)}` : "";
    replace(this.#note, `${integer(this.#ended.length)} trainings have ended${best}`);
    replace(this.#plot, scoresPlot(this.#ended, this.#objective));
    replace(this.#table, trialsTable(ranked(this.#standing(), this.#objective), this.#objective));
  }

  /** @returns {Trial[]} each as its last rung left it */
  #standing() {
    const latest = new Map(this.#ended.map((row) => [row.trial, row]));
    return [...latest.values()].map(({ trial, score, rung, epochs }) => {
      const status = isNumber(score) ? "completed" : "no score";
      return { trial, id: this.#operations.get(trial), score, rung, epochs, status, parameters: {} };
    });
  }
}
