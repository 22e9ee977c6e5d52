// Start a training: the strategy as form and as text, on which bars, what is wrong, a preflight, and the command.

/**
 * @import {
 *   Indicator, JsonSchema, OperationMetadata, PreflightResults, Series, StrategyVerdict, TrainingStart, ViewContext
 * } from "../types.d.ts"
 */

import { attempt, completion } from "../actions.js";
import * as api from "../api.js";
import { copyButton } from "../clipboard.js";
import { debounce, h, panel, problemCard, replace, setText } from "../dom.js";
import { integer } from "../format.js";
import { preflightPanels } from "../preflight-panels.js";
import { DataChoice } from "./data-choice.js";
import { StrategySchema } from "./schema.js";
import { faultText, SchemaForm } from "./schema-form.js";
import { toYaml } from "./yaml.js";

const DRAFT_KEY = "ktrdr.draft";
const TYPING_REST_MS = 250;
const MAX_NAME = 60;
const FIRST_STRATEGY = `name: First try
model:
  type: lstm
  layers: 1
  hidden_size: 32
training:
  epochs: 20
indicators:
  - {name: sma, period: 20}
  - {name: rsi, period: 14}
`;

/** @param {ViewContext} context */
export async function show({ root, query, signal }) {
  const [schema, { indicators }, { series }] = await Promise.all([
    api.strategySchema(signal),
    api.indicators(signal),
    api.data(signal),
  ]);
  const view = new StartView(schema, indicators, series, signal);
  const original = query.get("from");
  const text = original ? await api.strategyText(original, signal) : (storedDraft() ?? FIRST_STRATEGY);
  const metadata = original ? (await api.operation(original, signal)).metadata : {};
  replace(root, view.element);
  view.begin(text, metadata);
}

class StartView {
  #signal;
  #schema;
  #form;
  #data;
  /** Whether the form shows a strategy, and whether the text has another one by now. */
  #isFormDrawn = false;
  #isFormStale = true;
  #text = h("textarea", { class: "code", id: "yaml", rows: 18, spellcheck: "false", "aria-describedby": "verdict" });
  #verdict = h("div", { id: "verdict", role: "status" });
  #preflight = h("div", { "aria-live": "polite" });
  #problem = h("div");
  #command = h("pre", { class: "wrap", tabindex: "0", "aria-label": "Command" });
  #preflightButton = h("button", { type: "button", onclick: () => this.#runPreflight() }, "Run a preflight");
  #startButton = h("button", { type: "button", class: "primary", onclick: () => this.#start() }, "Start the training");
  #validateSoon = debounce(TYPING_REST_MS, () => this.#validate());

  /**
   * @param {JsonSchema} schema
   * @param {Indicator[]} indicators
   * @param {Series[]} series
   * @param {AbortSignal} signal
   */
  constructor(schema, indicators, series, signal) {
    this.#signal = signal;
    this.#schema = new StrategySchema(schema);
    this.#form = new SchemaForm(this.#schema, indicators, (document) => {
      this.#text.value = `${toYaml(document)}\n`;
      this.#onEdit(false);
    });
    this.#data = new DataChoice(series, () => this.#onEdit(this.#isFormStale));
    this.#text.addEventListener("input", () => this.#onEdit(true));
    this.element = this.#layout();
  }

  #layout() {
    const label = h("label", { for: "yaml", class: "offscreen" }, "Strategy as YAML");
    const copy = h(
      "div",
      { class: "row end corner" },
      copyButton(() => this.#command.textContent ?? ""),
    );
    const buttons = [h("span", { class: "grow" }), this.#preflightButton, this.#startButton];
    const form = h(
      "div",
      {},
      panel("Bars", {}, this.#data.element),
      panel("Strategy", { note: "the form writes the text" }, this.#form.element),
    );
    const text = h(
      "div",
      {},
      panel("As text", { note: "this is what is sent" }, label, this.#text, this.#verdict),
      this.#preflight,
      panel("The same on the command line", {}, copy, this.#command),
    );
    return h(
      "div",
      {},
      h("div", { class: "view-head row" }, h("h1", {}, "Start a training"), buttons),
      this.#problem,
      h("div", { class: "start-columns" }, form, text),
    );
  }

  /**
   * @param {string} text
   * @param {OperationMetadata} metadata of the training that one starts from
   */
  begin(text, metadata) {
    this.#text.value = text;
    this.#data.choose(metadata);
    this.#onEdit(true);
  }

  // -- form and text -------------------------------------------------------------------------------------------------

  /** @param {boolean} isFormStale whether the form has yet to follow the text */
  #onEdit(isFormStale) {
    this.#isFormStale = isFormStale;
    storeDraft(this.#text.value);
    this.#drawCommand();
    this.#startButton.disabled = true;
    this.#validateSoon();
  }

  async #validate() {
    const text = this.#text.value;
    const verdict = await attempt(() => api.validateStrategy(text, this.#signal));
    if (!verdict || text !== this.#text.value) return;
    if (verdict.valid && verdict.strategy && (this.#isFormStale || !this.#isFormDrawn)) {
      this.#form.draw(this.#schema.withoutDefaults(verdict.strategy));
      this.#isFormDrawn = true;
      this.#isFormStale = false;
    }
    this.#drawVerdict(verdict);
    this.#drawCommand();
    const isReady = verdict.valid && this.#data.isComplete;
    this.#startButton.disabled = !isReady;
    this.#preflightButton.disabled = !isReady;
  }

  /** @param {StrategyVerdict} verdict */
  #drawVerdict({ valid, faults }) {
    if (this.#isFormDrawn) this.#form.showFaults(faults);
    if (valid) {
      const missing = !this.#data.isComplete && h("p", { class: "warn" }, "Choose the bars to train on.");
      replace(this.#verdict, h("p", { class: "good" }, "✓ A valid strategy"), missing);
      this.#text.removeAttribute("aria-invalid");
      return;
    }
    this.#text.setAttribute("aria-invalid", "true");
    const items = faults.map((fault) => {
      const line = fault.line ? h("span", { class: "muted" }, `line ${fault.line} `) : "";
      return h("li", {}, line, h("code", {}, fault.path), " ", faultText(fault));
    });
    const count = `${integer(faults.length)} ${faults.length === 1 ? "fault" : "faults"}`;
    replace(this.#verdict, h("p", { class: "bad" }, count), h("ul", { class: "faults" }, items));
  }

  #drawCommand() {
    const { symbols, timeframes, start_date: from, end_date: to } = this.#data.value;
    const parts = [
      `ktrdr models train --strategy ${this.#name}.yaml`,
      `--symbols ${symbols.join(",") || "SYMBOL"}`,
      timeframes.length && `--timeframes ${timeframes.join(",")}`,
      from && `--start-date ${from}`,
      to && `--end-date ${to}`,
      "--follow",
    ];
    setText(this.#command, parts.filter(Boolean).join(" \\\n    "));
  }

  /** A file's name, from the text as it stands, valid or not. */
  get #name() {
    return fileName(this.#text.value.match(/^name:\s*["']?(.*?)["']?\s*$/m)?.[1] ?? "");
  }

  /** @returns {TrainingStart} */
  get #request() {
    return { strategy: this.#text.value, strategy_name: this.#name, ...this.#data.value };
  }

  // -- doing it ------------------------------------------------------------------------------------------------------

  async #runPreflight() {
    this.#preflightButton.disabled = true;
    const text = "Counting samples and timing a few batches…";
    replace(this.#preflight, panel("Preflight", {}, h("p", { class: "muted" }, text)));
    try {
      const { operation_id: id } = await api.startPreflight(this.#request);
      await completion(id, this.#signal);
      const results = /** @type {PreflightResults} */ (await api.results(id, this.#signal));
      replace(this.#preflight, preflightPanels(results));
    } catch (problem) {
      if (!this.#signal.aborted) replace(this.#preflight, problemCard(problem));
    } finally {
      this.#preflightButton.disabled = false;
    }
  }

  async #start() {
    this.#startButton.disabled = true;
    replace(this.#problem);
    try {
      const { operation_id: id } = await api.startTraining(this.#request);
      location.hash = `#/operations/${id}`;
    } catch (problem) {
      replace(this.#problem, problemCard(problem));
      this.#problem.scrollIntoView({ block: "center" });
      this.#startButton.disabled = false;
    }
  }
}

/** @param {string} name */
function fileName(name) {
  const plain = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "");
  return plain.slice(0, MAX_NAME) || "strategy";
}

function storedDraft() {
  try {
    return sessionStorage.getItem(DRAFT_KEY);
  } catch {
    return null;
  }
}

/** @param {string} text */
function storeDraft(text) {
  try {
    sessionStorage.setItem(DRAFT_KEY, text);
  } catch {
    // A draft is a comfort, no more.
  }
}
