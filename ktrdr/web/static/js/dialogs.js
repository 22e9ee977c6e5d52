// Questions to the person: one dialog at a time, closed by Escape like any other.

import { h, problemCard } from "./dom.js";

/** Resolves to whether the person agreed. */
export function confirmed({ title, text, action, isDangerous = false }) {
  const agree = h("button", { class: isDangerous ? "danger" : "primary", value: "yes", type: "submit" }, action);
  const leave = h("button", { value: "no", type: "submit" }, "Keep as it is");
  return opened(
    h("form", { method: "dialog" }, h("h2", {}, title), h("p", {}, text), h("div", { class: "row end" }, leave, agree)),
  );
}

let asking = null;

/** The server's token; asked for once, however many requests wait for it. */
export function askForToken(keep) {
  asking ??= ask(keep).finally(() => {
    asking = null;
  });
  return asking;
}

async function ask(keep) {
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
  const given = await opened(form);
  if (given && field.value) keep(field.value);
  return given && Boolean(field.value);
}

function opened(form) {
  const before = document.activeElement;
  const dialog = h("dialog", {}, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
      before?.focus?.();
    });
  });
}

/** A short word at the edge of the page; problems stay until they are closed. */
export function toast(content) {
  const isProblem = typeof content !== "string";
  const close = h(
    "button",
    { class: "quiet", type: "button", "aria-label": "Close", onclick: () => box.remove() },
    "×",
  );
  const box = h(
    "div",
    { class: isProblem ? "toast bad" : "toast" },
    isProblem ? problemCard(content) : h("p", {}, content),
    close,
  );
  document.getElementById("toasts").append(box);
  if (!isProblem) setTimeout(() => box.remove(), 6000);
}
