// What a person does with an operation, wherever it is shown.

/** @import { Operation, SealedPart } from "./types.d.ts" */

import * as api from "./api.js";
import { confirmed, showProblem } from "./dialogs.js";
import { bytes, days, integer } from "./format.js";
import { describe, hasEnded, isTraining } from "./record.js";

/**
 * Asks, then cancels; resolves to the operation as it stands, or to null.
 * @param {Operation} operation
 */
export async function cancel(operation) {
  const { title } = describe(operation);
  const isAgreed = await confirmed({
    title: "Cancel this operation?",
    text: `${title} ends after its current step. A training keeps its last checkpoint and can be resumed.`,
    action: "Cancel it",
    isDangerous: true,
  });
  return isAgreed ? attempt(() => api.cancel(operation.operation_id)) : null;
}

/**
 * Asks, then goes on as a new operation, which is shown.
 * @param {Operation} operation
 */
export async function resume(operation) {
  const text = isTraining(operation)
    ? "A new operation goes on from its last checkpoint, and ends with the same weights as if it had never stopped."
    : "A new operation goes on with what is still missing.";
  const { title } = describe(operation);
  if (!(await confirmed({ title: `Resume ${title}?`, text, action: "Resume it" }))) return;
  const started = await attempt(() => api.resume(operation.operation_id));
  if (started) location.hash = `#/operations/${started.operation_id}`;
}

/**
 * Asks, then opens the sealed test part of a training, as a new operation, which is shown.
 * @param {string} id
 * @param {SealedPart} sealed
 */
export async function unseal(id, { samples, from, to }) {
  const title = "Open the test part?";
  const text = `The model is evaluated on ${integer(samples)} samples, ${days(from, to)}, that no training has evaluated. The opening is recorded, cannot be undone and spends significance: the first opening of these bars is tested at 2.5%, each later one at half the level of the one before.`;
  if (!(await confirmed({ title, text, action: "Open it", isDangerous: true }))) return;
  const started = await attempt(() => api.unseal(id));
  if (started) location.hash = `#/operations/${started.operation_id}`;
}

/**
 * Asks, then removes it with its files and its model; the list is shown.
 * @param {Operation} operation
 */
export async function remove(operation) {
  const id = operation.operation_id;
  const planned = await attempt(() => api.removeOperation(id, { isTrial: true }));
  if (!planned) return;
  const { operations, size_bytes: size } = planned;
  const parts = operations.length > 1 ? ` with its ${operations.length - 1} parts` : "";
  const models = operations.some((gone) => gone.has_model) ? "files and models" : "files";
  const { title } = describe(operation);
  const text = `${title}${parts}: record, metrics, ${models} (${bytes(size)}) go for good. Bars stay.`;
  const isAgreed = await confirmed({ title: "Remove this operation?", text, action: "Remove it", isDangerous: true });
  if (isAgreed && (await attempt(() => api.removeOperation(id, { isTrial: false })))) location.hash = "#/operations";
}

/**
 * What `task` resolves to; null, and a problem on the page, where it fails.
 * @template Result
 * @param {() => Promise<Result>} task
 */
export async function attempt(task) {
  try {
    return await task();
  } catch (problem) {
    showProblem(problem);
    return null;
  }
}

/**
 * Waits with the server for an operation's end. Raises what it failed of.
 * @param {string} id
 * @param {AbortSignal} signal
 * @param {(operation: Operation) => void} [onProgress] called about once a second
 */
export async function completion(id, signal, onProgress) {
  for (;;) {
    const operation = await api.operation(id, signal, onProgress ? 1 : 20);
    if (operation.status === "COMPLETED") return;
    if (hasEnded(operation)) throw operation.error ?? new Error("it was cancelled");
    onProgress?.(operation);
  }
}
