// One operation, live: where it stands, its curves by cursor, and at its end what came of it.

import { canCancel, cancel, canResume, copyButton, resume } from "./actions.js";
import { get, getText } from "./api.js";
import { Chart, color } from "./charts.js";
import { h, panel, problemCard, replace, setText, show as showIf } from "./dom.js";
import { duration, elapsed, eta, fixed, integer, kind, percent, STATES, TERMINAL, what } from "./format.js";
import { COLORS, Overlay } from "./overlay.js";
import { meter } from "./pictures.js";
import { poll } from "./poll.js";
import { BASELINES, resultPanels } from "./results.js";

const LIVE_MS = 1000;
const WAITING_MS = 2000;
const FRAME_POINTS = 20_000;
const MOST_FOLDS = 200;

export async function show({ root, id, life }) {
  const page = new Page(id, life);
  replace(root, page.head, page.body);
  await poll(
    life,
    () => page.pace,
    () => page.refresh(),
  );
}

class Page {
  constructor(id, life) {
    this.id = id;
    this.life = life;
    this.head = h("div", { class: "view-head" });
    this.body = h("div", {});
    this.operation = null;
  }

  get pace() {
    if (!this.operation) return WAITING_MS;
    if (TERMINAL.has(this.operation.status)) return this.isWhole && !this.curves?.isLive ? null : LIVE_MS;
    return this.operation.status === "RUNNING" ? LIVE_MS : WAITING_MS;
  }

  async refresh() {
    // The state first: metrics that are asked for after the end are all of them.
    this.operation = await get(`/operations/${this.id}`, {}, this.life);
    if (!this.status) this._build();
    this._draw();
    if (this.operation.status !== "PENDING") await this.curves?.pull();
    await this.log.refresh();
    if (TERMINAL.has(this.operation.status) && !this.isWhole) await this._drawResults();
  }

  // -- the parts -----------------------------------------------------------------------------------------------------

  _build() {
    const { operation_type: type, metadata } = this.operation;
    const { title, series } = what(this.operation);
    this.status = h("span", { class: "state" });
    this.actions = h("div", { class: "row" });
    this.meter = h("div", {});
    this.message = h("span", {});
    this.time = h("span", { class: "muted" });
    this.trouble = h("div", {});
    this.results = h("div", {});
    this.log = new Log(this.id, this.life);
    const parent = this.operation.parent_id;
    replace(
      this.head,
      h("div", { class: "row" }, h("h1", {}, title), this.status, h("span", { class: "grow" }), this.actions),
      h(
        "p",
        { class: "muted facts-line" },
        [kind(type), series, metadata.model_type, range(metadata)].filter(Boolean).join(" · "),
        " · ",
        h("span", { class: "mono" }, this.id),
        parent && [
          metadata.fold ? " · a fold of " : " · goes on from ",
          h("a", { href: `#/operations/${parent}` }, parent),
        ],
      ),
      this.meter,
      h("div", { class: "row progress-line" }, this.message, h("span", { class: "grow" }), this.time),
    );
    this.curves =
      type !== "TRAINING"
        ? null
        : metadata.folds
          ? new FoldCurves(this.operation, this.life)
          : new Curves(this.id, this.life);
    this.strategy = metadata.strategy ? this._strategyPanel() : null;
    this.panels = h("div", { class: "columns" }, this.strategy, this.log.panel);
    const live = this.curves && h("div", { class: "panels" }, this.curves.panels);
    replace(this.body, this.trouble, this.results, live ?? "", this.panels);
  }

  _draw() {
    const { status, progress, error } = this.operation;
    this.status.className = `state ${status.toLowerCase()}`;
    setText(this.status, progress.stalled ? `Silent for ${duration(progress.silent_s)}` : STATES[status]);
    replace(
      this.meter,
      meter(progress.percentage / 100, `${progress.percentage.toFixed(1)} % done`, status.toLowerCase()),
    );
    setText(
      this.message,
      `${progress.percentage.toFixed(progress.percentage === 100 ? 0 : 1)} % · ${progress.message}`,
    );
    setText(this.time, this._paceText());
    if (this.shownStatus === status) return;
    this.shownStatus = status;
    replace(this.trouble, status === "FAILED" && error ? problemCard(error) : "");
    this._drawActions();
  }

  _paceText() {
    const took = elapsed(this.operation);
    if (took === null) return "";
    const items = this.operation.progress.items_processed;
    const isTraining = this.operation.operation_type === "TRAINING";
    const rate =
      isTraining && items && took > 1 && this.operation.status === "RUNNING"
        ? `${integer(items / took)} samples/s`
        : "";
    const left = eta(this.operation);
    return [rate, `${duration(took)}`, left !== null && `${duration(left)} left`].filter(Boolean).join(" · ");
  }

  _drawActions() {
    const { operation } = this;
    const isTraining = operation.operation_type === "TRAINING";
    const stop =
      canCancel(operation) &&
      h("button", { type: "button", onclick: async () => (await cancel(this.operation)) && this.refresh() }, "Cancel");
    const goOn =
      canResume(operation) &&
      h("button", { type: "button", class: "primary", onclick: () => resume(this.operation) }, "Resume");
    const [symbol = "", timeframe = ""] = [operation.metadata.symbols?.[0], operation.metadata.timeframes?.[0]];
    const links = isTraining && [
      h(
        "a",
        {
          class: "button",
          href: `#/market?symbol=${encodeURIComponent(symbol)}&timeframe=${timeframe}&training=${this.id}`,
        },
        "On the chart",
      ),
      h("a", { class: "button", href: `#/compare?ids=${this.id}` }, "Compare"),
      h("a", { class: "button", href: `#/start?from=${this.id}` }, "Use as a start"),
    ];
    replace(this.actions, links, stop, goOn);
  }

  _strategyPanel() {
    const text = h("pre", { class: "yaml", tabindex: "0", "aria-label": "Strategy as YAML" }, "…");
    getText(`/operations/${this.id}/strategy`, this.life).then(
      (yaml) => setText(text, yaml),
      () => showIf(box, false),
    );
    const box = panel(
      "Strategy",
      {},
      h(
        "div",
        { class: "row end corner" },
        copyButton(() => text.textContent),
      ),
      text,
    );
    return box;
  }

  // -- pulling -------------------------------------------------------------------------------------------------------

  async _drawResults() {
    const results = await get(`/operations/${this.id}/results`, {}, this.life);
    this.isWhole = true;
    const found = resultPanels(this.operation, results, this.life);
    replace(this.results, found.top);
    this.curves?.finish?.(results);
    const last = this.strategy ?? this.log.panel;
    for (const each of found.panels) this.panels.insertBefore(each, last);
  }
}

function range({ start_date: start, end_date: end }) {
  return start || end ? `${start ?? "first bar"} to ${end ?? "last bar"}` : "";
}

/** Loss and accuracy, epoch by epoch. */
class Curves {
  constructor(id, life) {
    Object.assign(this, { id, life, cursor: 0 });
    const loss = (value) => fixed(value);
    const share = (value) => percent(value);
    this.loss = new Chart(life, { label: "Loss by epoch", isOfNumbers: true, height: 240, options: epochs() });
    this.accuracy = new Chart(life, { label: "Accuracy by epoch", isOfNumbers: true, height: 240, options: epochs() });
    this.loss.addLine("train_loss", { colorName: "c1", format: loss, label: "Training" });
    this.loss.addLine("val_loss", { colorName: "c2", format: loss, label: "Validation" });
    this.accuracy.addLine("train_accuracy", { colorName: "c1", format: share, label: "Training" });
    this.accuracy.addLine("val_accuracy", { colorName: "c2", format: share, label: "Validation" });
    this.note = h("span", { class: "muted" });
    this.panels = [panelOf("Loss", this.loss, this.note), panelOf("Accuracy", this.accuracy)];
    this.best = null;
  }

  async pull() {
    const page = await get(`/operations/${this.id}/metrics`, { cursor: this.cursor, limit: FRAME_POINTS }, this.life);
    this.cursor = page.new_cursor;
    this._add(page.metrics);
  }

  _add(metrics) {
    if (!metrics.length) return;
    for (const [chart, column] of [
      [this.loss, "train_loss"],
      [this.loss, "val_loss"],
      [this.accuracy, "train_accuracy"],
      [this.accuracy, "val_accuracy"],
    ]) {
      chart.append(column, pointsOf(metrics, column));
    }
    this._markBest(metrics);
  }

  _markBest(metrics) {
    const before = this.best;
    for (const metric of metrics) {
      if (Number.isFinite(metric.val_loss) && (this.best === null || metric.val_loss < this.best.val_loss))
        this.best = metric;
    }
    if (!this.best || this.best === before) return;
    const { epoch, val_loss: least, val_accuracy: accuracy } = this.best;
    setText(this.note, `best ${fixed(least)} at epoch ${integer(epoch)}`);
    const marker = { time: epoch, position: "belowBar", shape: "arrowUp", color: color("c2"), size: 1 };
    this.loss.mark("val_loss", [marker]);
    if (Number.isFinite(accuracy)) this.accuracy.mark("val_accuracy", [marker]);
  }

  /** What a model must beat, as levels across the accuracy. */
  finish({ evaluation }) {
    if (!this.accuracy.isReady) return;
    const colors = { majority: "c3", persistence: "c4", logistic_regression: "c6", mean: "c3", ridge_regression: "c6" };
    for (const [name, scores] of Object.entries(evaluation?.baselines ?? {})) {
      if (colors[name] && Number.isFinite(scores.accuracy))
        this.accuracy.addLevel("val_accuracy", scores.accuracy, BASELINES[name], colors[name]);
    }
  }
}

/** The curves of a training's folds, each of which is an operation of its own and may outlive the whole. */
class FoldCurves {
  constructor({ operation_id: id, parent_id: earlier }, life) {
    Object.assign(this, { id, earlier, life });
    this.overlay = new Overlay(life, "each fold");
    this.panels = this.overlay.panels;
    this.folds = new Map();
    this.isDrawn = new Set();
  }

  get isLive() {
    return [...this.folds.values()].some((fold) => !TERMINAL.has(fold.status));
  }

  async pull() {
    if (this.folds.size && !this.isLive) return;
    const own = await foldsOf(this.id, this.life);
    if (this.earlier) await this._takeOver();
    for (const fold of own) this.folds.set(fold.number, fold);
    await this._draw();
  }

  /** A training that goes on from others has the folds which those had completed. */
  async _takeOver() {
    for (let id = this.earlier; id; id = (await get(`/operations/${id}`, {}, this.life)).parent_id) {
      for (const fold of await foldsOf(id, this.life)) {
        if (!this.folds.has(fold.number)) this.folds.set(fold.number, fold);
      }
    }
    this.earlier = null;
  }

  /** What has ended is drawn once more and then left alone. */
  async _draw() {
    const open = [...this.folds.values()]
      .filter((fold) => !this.isDrawn.has(fold.id))
      .sort((one, other) => one.number - other.number);
    for (const { number, id } of open)
      this.overlay.add({ id, name: `Fold ${number}`, colorName: COLORS[(number - 1) % COLORS.length] });
    await this.overlay.refresh(open.map((fold) => fold.id));
    for (const fold of open) if (TERMINAL.has(fold.status)) this.isDrawn.add(fold.id);
  }
}

async function foldsOf(id, life) {
  const { operations } = await get("/operations", { parent: id, limit: MOST_FOLDS }, life);
  return operations
    .filter(({ metadata }) => metadata.fold)
    .map(({ operation_id, metadata, status }) => ({ id: operation_id, number: metadata.fold, status }));
}

const epochs = () => ({ localization: { precision: 0 } });

const pointsOf = (metrics, column) =>
  metrics
    .filter((metric) => Number.isFinite(metric[column]))
    .map((metric) => ({ time: metric.epoch, value: metric[column] }));

function panelOf(title, chart, note) {
  return panel(title, { note }, chart.box);
}

/** The newest lines of the log that name the operation; pulled only while they are looked at. */
class Log {
  constructor(id, life) {
    this.id = id;
    this.life = life;
    this.lines = h("pre", { class: "log wrap", tabindex: "0", "aria-label": "Log lines" }, "");
    this.details = h("details", {}, h("summary", {}, "Show the lines that name this operation"), this.lines);
    this.details.addEventListener("toggle", () => this.refresh().catch(() => {}));
    this.panel = panel("Log", {}, this.details);
  }

  async refresh() {
    if (!this.details.open || this.life.aborted) return;
    const page = await get(`/operations/${this.id}/log`, { cursor: this.cursor }, this.life);
    this.cursor = page.new_cursor;
    if (!page.lines.length) return;
    const isAtEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 8;
    const kept = [...this.lines.textContent.split("\n").filter(Boolean), ...page.lines].slice(-1000);
    this.lines.textContent = kept.join("\n");
    if (isAtEnd) this.lines.scrollTop = this.lines.scrollHeight;
  }
}
