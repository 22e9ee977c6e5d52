// What can be done with an operation, wherever it is shown.

import { post, start } from "./api.js";
import { confirmed, toast } from "./dialogs.js";
import { h } from "./dom.js";
import { TERMINAL, what } from "./format.js";

export const canCancel = (operation) => !TERMINAL.has(operation.status);

export const canResume = (operation) =>
  operation.operation_type === "TRAINING" && ["FAILED", "CANCELLED"].includes(operation.status);

/** Asks, then cancels; resolves to the operation as it stands, or to null. */
export async function cancel(operation) {
  const agreed = await confirmed({
    title: "Cancel this operation?",
    text: `${what(operation).title} ends after its current step. A training keeps its last checkpoint and can be resumed.`,
    action: "Cancel it",
    isDangerous: true,
  });
  return agreed ? attempt(() => post(`/operations/${operation.operation_id}/cancel`)) : null;
}

/** Asks, then goes on from the last checkpoint as a new operation, which is shown. */
export async function resume(operation) {
  const agreed = await confirmed({
    title: "Resume this training?",
    text: "It goes on from its last checkpoint as a new operation, and ends with the same weights as if it had never stopped.",
    action: "Resume it",
  });
  if (!agreed) return;
  const begun = await attempt(() => start(`/operations/${operation.operation_id}/resume`));
  if (begun) location.hash = `#/operations/${begun.operation_id}`;
}

export async function attempt(task) {
  try {
    return await task();
  } catch (problem) {
    toast(problem);
    return null;
  }
}

export function copyButton(text, name = "Copy") {
  const button = h("button", { class: "quiet", type: "button" }, name);
  button.addEventListener("click", async () => {
    const isCopied = await copied(typeof text === "function" ? text() : text);
    button.textContent = isCopied ? "Copied" : "Select and copy by hand";
    setTimeout(() => {
      button.textContent = name;
    }, 2000);
  });
  return button;
}

/** The clipboard is only there in secure contexts; the older way works in all. */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("textarea", { value: text, class: "offscreen" });
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    return isDone;
  }
}
