// A button that copies text.

import { h } from "./dom.js";

const ANSWER_MS = 2000;

/** @param {() => string} text */
export function copyButton(text) {
  const button = h("button", { class: "quiet", type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text())) ? "Copied" : "Select and copy by hand";
    setTimeout(() => {
      button.textContent = "Copy";
    }, ANSWER_MS);
  });
  return button;
}

/**
 * Resolves to whether it worked. The clipboard is only there in secure contexts; the older way works in all.
 * @param {string} text
 */
async function copy(text) {
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
