// Questions to the person, one dialog at a time, and problems at the edge of the page.

import { byId, h, problemCard } from "./dom.js";

/**
 * Resolves to whether the person agreed.
 * @param {{ title: string, text: string, action: string, isDangerous?: boolean }} question
 */
export function confirmed({ title, text, action, isDangerous = false }) {
  const agree = h("button", { class: isDangerous ? "danger" : "primary", value: "yes", type: "submit" }, action);
  const leave = h("button", { value: "no", type: "submit" }, "Keep as it is");
  const buttons = h("div", { class: "row end" }, leave, agree);
  return opened(h("form", { method: "dialog" }, h("h2", {}, title), h("p", {}, text), buttons));
}

/**
 * Resolves to whether the person has filled in the fields and wants that done.
 * @param {{ title: string, fields: HTMLElement[], action: string, refusal?: string }} form
 */
export function filledIn({ title, fields, action, refusal = "Keep as it is" }) {
  const agree = h("button", { class: "primary", value: "yes", type: "submit" }, action);
  const leave = h("button", { value: "no", type: "submit", formnovalidate: true }, refusal);
  const buttons = h("div", { class: "row end" }, agree, leave);
  return opened(h("form", { method: "dialog", class: "filled-in" }, h("h2", {}, title), fields, buttons));
}

/** @type {Promise<boolean> | null} */
let asking = null;

/**
 * Asks for the server's token, once, however many requests wait for it; resolves to whether there is one.
 * @param {(token: string) => void} store
 */
export function askForToken(store) {
  asking ??= ask(store).finally(() => {
    asking = null;
  });
  return asking;
}

/** @param {(token: string) => void} store */
async function ask(store) {
  const field = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true });
  const form = h(
    "form",
    { method: "dialog" },
    h("h2", {}, "This server asks for a token"),
    h("p", {}, "It is the server's KTRDR_API_TOKEN. The page keeps it until this tab is closed."),
    h("label", { for: "token" }, "Token"),
    field,
    h("div", { class: "row end" }, h("button", { class: "primary", value: "yes", type: "submit" }, "Use it")),
  );
  const isGiven = (await opened(form)) && field.value !== "";
  if (isGiven) store(field.value);
  return isGiven;
}

/**
 * Opens a dialog; resolves, once it is closed, to whether that was by the button "yes".
 * @param {HTMLFormElement} form
 * @returns {Promise<boolean>}
 */
function opened(form) {
  const before = document.activeElement;
  const dialog = h("dialog", {}, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
      if (before instanceof HTMLElement) before.focus();
    });
  });
}

/**
 * Shows at the edge of the page what went wrong, until it is closed.
 * @param {unknown} problem
 */
export function showProblem(problem) {
  const close = h("button", { class: "quiet", type: "button", "aria-label": "Close" }, "×");
  const box = h("div", { class: "toast bad" }, problemCard(problem), close);
  close.addEventListener("click", () => box.remove());
  byId("toasts").append(box);
}
