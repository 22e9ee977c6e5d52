// One operation in the list; its elements stay, and only what differs is set.

/** @import { Operation } from "../types.d.ts" */

import { cancel, resume } from "../actions.js";
import { h, replace, setText, showIf } from "../dom.js";
import { ago, duration, fixed, integer, isNumber, joined, percent } from "../format.js";
import { kindTitle } from "../meta.js";
import { meter, sparkline } from "../pictures.js";
import {
  canCancel,
  canResume,
  describe,
  elapsed,
  hasEnded,
  isTraining,
  remaining,
  stateClass,
  stateTitle,
} from "../record.js";

export class OperationRow {
  #operation;
  #drawn = "";
  #hasWholeCurve = false;
  #state = h("span", { class: "state" });
  #message = h("span", { class: "op-message" });
  #progress = h("div", { class: "op-progress" });
  #curve = h("div", { class: "op-curve" });
  #figure = h("div", { class: "op-figure" });
  #time = h("div", { class: "op-time" });
  #error = h("div", { class: "op-error" });
  #cancel;
  #resume;

  /**
   * @param {Operation} operation
   * @param {{ onChoose: (id: string, isChosen: boolean) => void, onChange: () => void }} listeners
   */
  constructor(operation, { onChoose, onChange }) {
    this.#operation = operation;
    const { operation_id: id, operation_type: type } = operation;
    const { title, series } = describe(operation);
    this.#cancel = button(`Cancel ${title}`, "Cancel", async () => (await cancel(this.#operation)) && onChange());
    this.#resume = button(`Resume ${title}`, "Resume", () => resume(this.#operation));
    const link = h("a", { href: `#/operations/${id}` }, title);
    this.element = h(
      "li",
      { class: "op", data: { id } },
      isTraining(operation) ? chooser(title, (isChosen) => onChoose(id, isChosen)) : h("span", { class: "op-choose" }),
      h("div", { class: "op-name" }, link, h("span", { class: "muted" }, joined([kindTitle(type), series]))),
      h("div", { class: "op-state" }, this.#state, this.#message),
      this.#progress,
      this.#curve,
      this.#figure,
      this.#time,
      h("div", { class: "op-actions" }, this.#cancel, this.#resume),
      this.#error,
    );
  }

  /** @param {Operation} operation */
  update(operation) {
    this.#operation = operation;
    this.#drawTime();
    const content = JSON.stringify([operation.status, operation.progress, operation.updated_at]);
    if (content === this.#drawn) return;
    this.#drawn = content;
    this.#draw();
  }

  #draw() {
    const { status, progress, error } = this.#operation;
    const share = progress.percentage / 100;
    this.element.dataset.status = status;
    this.#state.className = `state ${stateClass(this.#operation)}`;
    setText(this.#state, progress.stalled ? "Silent" : stateTitle(this.#operation));
    setText(this.#message, status === "COMPLETED" ? "" : progress.message);
    replace(this.#progress, meter(share, percent(share, 0), stateClass(this.#operation)));
    replace(this.#figure, figure(this.#operation));
    replace(
      this.#error,
      error && [h("span", {}, error.detail), error.hint && h("span", { class: "muted" }, error.hint)],
    );
    showIf(this.#error, status === "FAILED");
    showIf(this.#cancel, canCancel(this.#operation));
    showIf(this.#resume, canResume(this.#operation));
  }

  #drawTime() {
    const secondsLeft = remaining(this.#operation);
    const passed = elapsed(this.#operation);
    const taken = passed !== null && duration(passed);
    const created = ago(this.#operation.created_at);
    setText(this.#time, secondsLeft === null ? joined([created, taken]) : `${taken}, ${duration(secondsLeft)} left`);
  }

  get needsCurve() {
    return isTraining(this.#operation) && this.#operation.status !== "PENDING" && !this.#hasWholeCurve;
  }

  /** @param {(number | null)[]} values of the validation loss, epoch by epoch; none where nothing was reported */
  drawCurve(values) {
    const label = `Validation loss, from ${fixed(values[0])} to ${fixed(values.at(-1))}`;
    if (values.length) replace(this.#curve, sparkline(values, label));
    this.#hasWholeCurve = hasEnded(this.#operation);
  }
}

/**
 * @param {string} label
 * @param {string} text
 * @param {() => unknown} onclick
 */
const button = (label, text, onclick) =>
  h("button", { type: "button", class: "quiet", "aria-label": label, onclick }, text);

/**
 * @param {string} title
 * @param {(isChosen: boolean) => void} onChoose
 */
function chooser(title, onChoose) {
  const box = h("input", { type: "checkbox", "aria-label": `Choose ${title} to compare` });
  box.addEventListener("change", () => onChoose(box.checked));
  return h("label", { class: "op-choose" }, box);
}

/** @param {Operation} operation */
function figure({ metadata, progress, operation_type: type }) {
  if (type === "DATA_LOAD") return [h("b", {}, integer(progress.items_processed)), h("small", {}, " bars")];
  const loss = metadata.best_val_loss;
  if (isNumber(loss)) return [h("small", {}, "best loss "), h("b", {}, fixed(loss))];
  return h("b", {}, percent(progress.percentage / 100, 0));
}
