// What a person has a trained model do: predict and trade other bars, or say which indicators it depends on.

/** @import { Operation, OperationStarted } from "../types.d.ts" */

import { attempt } from "../actions.js";
import * as api from "../api.js";
import { filledIn } from "../dialogs.js";
import { field, h } from "../dom.js";
import { hasEnded } from "../record.js";

/**
 * Buttons for an operation that has trained a model; none for others.
 * @param {Operation} operation
 */
export function modelButtons(operation) {
  const { status, metadata } = operation;
  if (!hasEnded(operation) || status === "FAILED" || metadata.trial !== undefined) return [];
  return [
    h("button", { type: "button", onclick: () => backtest(operation) }, "Backtest…"),
    h("button", { type: "button", onclick: () => explain(operation) }, "Explain"),
    h("button", { type: "button", onclick: () => ablate(operation) }, "Leave out each…"),
  ];
}

/**
 * Asks for bars, then predicts and trades them, as a new operation, which is shown.
 * @param {Operation} operation
 */
async function backtest({ operation_id: id, metadata: { symbols = [] } }) {
  const names = h("input", { id: "backtest-symbols", autocomplete: "off", placeholder: symbols.join(", ") });
  const from = h("input", { id: "backtest-from", type: "date" });
  const to = h("input", { id: "backtest-to", type: "date" });
  const overlap = h("input", { id: "backtest-overlap", type: "checkbox" });
  const fields = [
    h("p", {}, "The model predicts and trades stored bars, by default all after its training. The ledger counts it."),
    field("Symbols, by default those of the training", names),
    field("From", from),
    field("To", to),
    h("label", { class: "toggle" }, overlap, "Also bars that it was trained on, which are no evidence"),
  ];
  const form = { title: "Backtest this model", fields, action: "Start it", refusal: "Not now" };
  if (!(await filledIn(form))) return;
  const request = {
    symbols: names.value.split(/[\s,]+/).filter(Boolean),
    start_date: from.value || null,
    end_date: to.value || null,
    allow_overlap: overlap.checked,
  };
  await showStarted(() => api.startBacktest(id, request));
}

/** @param {Operation} operation */
const explain = ({ operation_id: id }) => showStarted(() => api.startExplanation(id));

/**
 * Trains the model again without each of its indicators, as a new operation, which is shown.
 * @param {Operation} operation
 */
async function ablate({ operation_id: id }) {
  const text =
    "The model is trained again without each of its indicators, on the same bars with the same seed. Each of these trainings is another try at the validation rows, which the ledger counts.";
  const form = {
    title: "Leave out each indicator",
    fields: [h("p", {}, text)],
    action: "Start it",
    refusal: "Not now",
  };
  if (await filledIn(form)) await showStarted(() => api.startAblation(id));
}

/** @param {() => Promise<OperationStarted>} start */
async function showStarted(start) {
  const started = await attempt(start);
  if (started) location.hash = `#/operations/${started.operation_id}`;
}
