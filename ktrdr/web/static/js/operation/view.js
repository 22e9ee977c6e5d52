// One operation, live: where it stands, its curves by cursor, and at its end what came of it.

/**
 * @import { Operation, OperationMetadata, RunningPart, ViewContext } from "../types.d.ts"
 * @import { Child } from "../dom.js"
 */

import { cancel, remove, resume } from "../actions.js";
import * as api from "../api.js";
import { copyButton } from "../clipboard.js";
import { h, panel, problemCard, replace, setText, showIf } from "../dom.js";
import { duration, integer, joined, percent } from "../format.js";
import { kindTitle } from "../meta.js";
import { meter } from "../pictures.js";
import { poll } from "../poll.js";
import {
  canCancel,
  canResume,
  describe,
  elapsed,
  hasEnded,
  isSearch,
  isTraining,
  remaining,
  stateClass,
  stateTitle,
} from "../record.js";
import { SearchProgress } from "../search/progress.js";
import { EpochCurves } from "./epoch-curves.js";
import { FoldCurves } from "./fold-curves.js";
import { LogPanel } from "./log-panel.js";
import { modelButtons } from "./model-work.js";
import { resultPanels } from "./results.js";

const LIVE_MS = 1000;
const WAITING_MS = 2000;

/** @param {ViewContext} context */
export async function show({ root, id = "", signal }) {
  /** @type {OperationView | undefined} */
  let view;
  await poll(
    signal,
    () => (view ? view.pause : WAITING_MS),
    async () => {
      // The state first: metrics that are asked for after the end are all of them.
      const operation = await api.operation(id, signal);
      if (!view) {
        view = new OperationView(operation, signal);
        replace(root, view.elements);
      }
      await view.update(operation);
    },
  );
}

class OperationView {
  #operation;
  #signal;
  #curves;
  #log;
  #strategy;
  #drawnStatus = "";
  #isComplete = false;
  #state = h("span", { class: "state" });
  #actions = h("div", { class: "row" });
  #meter = h("div");
  #message = h("span");
  #time = h("span", { class: "muted" });
  #running = h("ul", { class: "running-parts" });
  #problem = h("div");
  #results = h("div");
  #panels = h("div", { class: "columns" });

  /**
   * @param {Operation} operation
   * @param {AbortSignal} signal
   */
  constructor(operation, signal) {
    this.#operation = operation;
    this.#signal = signal;
    this.#curves = curves(operation, signal);
    this.#log = new LogPanel(operation.operation_id, signal);
    this.#strategy = operation.metadata.strategy ? strategyPanel(operation.operation_id, signal) : null;
    replace(this.#panels, this.#strategy, this.#log.panel);
  }

  get elements() {
    const live = this.#curves && h("div", { class: "panels" }, this.#curves.panels);
    return [this.#head(), h("div", {}, this.#problem, this.#results, live, this.#panels)];
  }

  /** Milliseconds until the next pull; null where everything is shown. */
  get pause() {
    if (hasEnded(this.#operation)) return this.#isComplete && !this.#curves?.isLive ? null : LIVE_MS;
    return this.#operation.status === "RUNNING" ? LIVE_MS : WAITING_MS;
  }

  /** @param {Operation} operation */
  async update(operation) {
    this.#operation = operation;
    this.#draw();
    if (operation.status !== "PENDING") await this.#curves?.pull();
    await this.#log.refresh();
    if (hasEnded(operation) && !this.#isComplete) await this.#drawResults();
  }

  // -- the head ------------------------------------------------------------------------------------------------------

  #head() {
    const { title } = describe(this.#operation);
    return h(
      "div",
      { class: "view-head" },
      h("div", { class: "row" }, h("h1", {}, title), this.#state, h("span", { class: "grow" }), this.#actions),
      factsLine(this.#operation),
      this.#meter,
      h("div", { class: "row progress-line" }, this.#message, h("span", { class: "grow" }), this.#time),
      this.#running,
    );
  }

  #draw() {
    const { status, progress } = this.#operation;
    const share = progress.percentage / 100;
    const done = percent(share, share === 1 ? 0 : 1);
    this.#state.className = `state ${stateClass(this.#operation)}`;
    const silence = progress.stalled && `Silent for ${duration(progress.silent_s)}`;
    setText(this.#state, silence || stateTitle(this.#operation));
    replace(this.#meter, meter(share, `${done} done`, stateClass(this.#operation)));
    setText(this.#message, `${done} · ${progress.message}`);
    setText(this.#time, timeText(this.#operation));
    const partKind = this.#operation.metadata.trials ? "Training" : "Fold";
    replace(
      this.#running,
      (progress.running_parts ?? []).map((part) => runningPart(part, partKind)),
    );
    if (status === this.#drawnStatus) return;
    this.#drawnStatus = status;
    this.#drawProblem();
    this.#drawActions();
  }

  #drawProblem() {
    const { status, error } = this.#operation;
    replace(this.#problem, status === "FAILED" && error && problemCard(error));
  }

  #drawActions() {
    const stop = h("button", { type: "button", onclick: () => this.#cancel() }, "Cancel");
    const goOn = h("button", { type: "button", class: "primary", onclick: () => resume(this.#operation) }, "Resume");
    const drop = h("button", { type: "button", onclick: () => remove(this.#operation) }, "Remove");
    const isWhole = !this.#operation.metadata.fold;
    replace(
      this.#actions,
      isTraining(this.#operation) && [links(this.#operation), modelButtons(this.#operation)],
      canCancel(this.#operation) && stop,
      canResume(this.#operation) && goOn,
      hasEnded(this.#operation) && isWhole && drop,
    );
  }

  async #cancel() {
    const operation = await cancel(this.#operation);
    if (operation) await this.update(operation).catch(() => {});
  }

  // -- the end -------------------------------------------------------------------------------------------------------

  async #drawResults() {
    const results = await api.results(this.#operation.operation_id, this.#signal);
    this.#isComplete = true;
    const { top, panels } = await resultPanels(this.#operation, results, this.#signal);
    replace(this.#results, top);
    this.#curves?.finish(results);
    (this.#strategy ?? this.#log.panel).before(...panels);
  }
}

/**
 * @param {Operation} operation
 * @param {AbortSignal} signal
 */
function curves(operation, signal) {
  if (isSearch(operation)) return new SearchProgress(operation, signal);
  if (!isTraining(operation)) return null;
  return operation.metadata.folds ? new FoldCurves(operation, signal) : new EpochCurves(operation, signal);
}

/** @param {Operation} operation */
function factsLine(operation) {
  const { operation_id: id, operation_type: type, metadata, parent_id: parent } = operation;
  const relation = relationToParent(operation);
  return h(
    "p",
    { class: "muted facts-line" },
    joined([kindTitle(type), describe(operation).series, metadata.model_type, range(metadata)]),
    " · ",
    h("span", { class: "mono" }, id),
    parent && [relation, h("a", { href: `#/operations/${parent}` }, parent)],
  );
}

/** @param {Operation} operation */
function relationToParent({ metadata, parent_id: parent }) {
  if (metadata.fold) return " · a fold of ";
  const whole = ["search", "ablation"].find((kind) => parent?.startsWith(`op_${kind}_`));
  return whole ? ` · of the ${whole} ` : " · goes on from ";
}

/**
 * @param {RunningPart} part
 * @param {string} kind what the whole consists of
 */
function runningPart({ number, operation_id: id, percentage, message }, kind) {
  const link = h("a", { href: `#/operations/${id}` }, `${kind} ${number}`);
  return h("li", {}, link, ` ${percent(percentage / 100)} · ${message}`);
}

/** @param {OperationMetadata} metadata */
const range = ({ start_date: start, end_date: end }) =>
  start || end ? `${start ?? "first bar"} to ${end ?? "last bar"}` : "";

/** @param {Operation} operation */
function timeText(operation) {
  const passed = elapsed(operation);
  if (passed === null) return "";
  const { status, progress } = operation;
  const isSingle = isTraining(operation) && !operation.metadata.folds;
  const hasRate = isSingle && status === "RUNNING" && progress.items_processed > 0 && passed > 1;
  const rate = hasRate && `${integer(progress.items_processed / passed)} samples/s`;
  const secondsLeft = remaining(operation);
  return joined([rate, duration(passed), secondsLeft !== null && `${duration(secondsLeft)} left`]);
}

/**
 * Where one goes from a training.
 * @param {Operation} operation
 * @returns {Child}
 */
function links({ operation_id: id, metadata: { symbols = [], timeframes = [] } }) {
  const [symbol = "", timeframe = ""] = [symbols[0], timeframes[0]];
  const market = new URLSearchParams({ symbol, timeframe, training: id });
  return [
    h("a", { class: "button", href: `#/market?${market}` }, "On the chart"),
    h("a", { class: "button", href: `#/compare?ids=${id}` }, "Compare"),
    h("a", { class: "button", href: `#/ledger/${id}` }, "All tries"),
    h("a", { class: "button", href: `#/start?from=${id}` }, "Use as a start"),
  ];
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 */
function strategyPanel(id, signal) {
  const text = h("pre", { class: "yaml", tabindex: "0", "aria-label": "Strategy as YAML" }, "…");
  const corner = h(
    "div",
    { class: "row end corner" },
    copyButton(() => text.textContent ?? ""),
  );
  const box = panel("Strategy", {}, corner, text);
  api.strategyText(id, signal).then(
    (yaml) => setText(text, yaml),
    () => showIf(box, false),
  );
  return box;
}
