// The newest lines of the log that name an operation; pulled only while they are looked at.

import * as api from "../api.js";
import { h, panel } from "../dom.js";

const MAX_LINES = 1000;
/** So near to the end one is taken to follow it. */
const END_PIXELS = 8;

export class LogPanel {
  #id;
  #signal;
  /** @type {number | undefined} */
  #cursor;
  /** @type {string[]} */
  #lines = [];
  #text = h("pre", { class: "log wrap", tabindex: "0", "aria-label": "Log lines" });
  #details = h("details", {}, h("summary", {}, "Show the lines that name this operation"), this.#text);
  panel = panel("Log", {}, this.#details);

  /**
   * @param {string} id
   * @param {AbortSignal} signal
   */
  constructor(id, signal) {
    this.#id = id;
    this.#signal = signal;
    this.#details.addEventListener("toggle", () => this.refresh().catch(() => {}));
  }

  async refresh() {
    if (!this.#details.open || this.#signal.aborted) return;
    const page = await api.log(this.#id, this.#cursor, this.#signal);
    this.#cursor = page.new_cursor;
    if (!page.lines.length) return;
    const { scrollTop, clientHeight, scrollHeight } = this.#text;
    this.#lines = [...this.#lines, ...page.lines].slice(-MAX_LINES);
    this.#text.textContent = this.#lines.join("\n");
    if (scrollTop + clientHeight >= scrollHeight - END_PIXELS) this.#text.scrollTop = this.#text.scrollHeight;
  }
}
