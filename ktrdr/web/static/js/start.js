// Start a training: the strategy as form and as text, on which bars, what is wrong, what it would meet, and the command.

import { attempt, copyButton } from "./actions.js";
import { get, getText, post, start } from "./api.js";
import { debounce, emptyState, h, panel, problemCard, replace, setText } from "./dom.js";
import { SchemaForm, said, withoutDefaults } from "./form.js";
import { integer } from "./format.js";
import { preflightPanels } from "./results.js";
import { toYaml } from "./yaml.js";

const DRAFT = "ktrdr.draft";
const FIRST = `name: First try
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

export async function show({ root, query, life }) {
  const [schema, { indicators }, { series }] = await Promise.all([
    get("/strategies/schema", {}, life),
    get("/indicators", {}, life),
    get("/data", {}, life),
  ]);
  const from = query.get("from");
  const text = from ? await getText(`/operations/${from}/strategy`, life) : (kept() ?? FIRST);
  const given = from ? (await get(`/operations/${from}`, {}, life)).metadata : {};
  const page = new StartPage(schema, indicators, series, life);
  replace(root, page.element);
  page.begin(text, given);
}

class StartPage {
  constructor(schema, indicators, series, life) {
    this.life = life;
    this.series = series;
    this.form = new SchemaForm(schema, indicators, (document) => this._takeForm(document));
    this.text = h("textarea", {
      class: "code",
      id: "yaml",
      rows: 18,
      spellcheck: "false",
      "aria-describedby": "verdict",
    });
    this.verdict = h("div", { id: "verdict", role: "status" });
    this.check = debounce(250, () => this._validate());
    this.text.addEventListener("input", () => {
      this.isFormStale = true;
      this._edited();
    });
    this.data = new DataChoice(series, () => this._edited());
    this.ahead = h("div", { class: "ahead", "aria-live": "polite" });
    this.problem = h("div", {});
    this.command = h("pre", { class: "wrap", tabindex: "0", "aria-label": "Command" });
    this.lookButton = h("button", { type: "button" }, "Look ahead");
    this.startButton = h("button", { type: "button", class: "primary" }, "Start the training");
    this.lookButton.addEventListener("click", () => this._lookAhead());
    this.startButton.addEventListener("click", () => this._start());
    this.element = this._layout();
  }

  _layout() {
    return h(
      "div",
      {},
      h(
        "div",
        { class: "view-head row" },
        h("h1", {}, "Start a training"),
        h("span", { class: "grow" }),
        this.lookButton,
        this.startButton,
      ),
      this.problem,
      h(
        "div",
        { class: "start-columns" },
        h(
          "div",
          {},
          panel("Bars", {}, this.data.element),
          panel("Strategy", { note: "the form writes the text" }, this.form.element),
        ),
        h(
          "div",
          {},
          panel(
            "As text",
            { note: "this is what is sent" },
            h("label", { for: "yaml", class: "offscreen" }, "Strategy as YAML"),
            this.text,
            this.verdict,
          ),
          this.ahead,
          panel(
            "The same on the command line",
            {},
            h(
              "div",
              { class: "row end corner" },
              copyButton(() => this.command.textContent),
            ),
            this.command,
          ),
        ),
      ),
    );
  }

  begin(text, given) {
    this.text.value = text;
    this.isFormStale = true;
    this.data.choose(given);
    this._edited();
  }

  // -- form and text -------------------------------------------------------------------------------------------------

  _takeForm(document) {
    this.text.value = `${toYaml(document)}\n`;
    this.isFormStale = false;
    this._edited();
  }

  _edited() {
    keep(this.text.value);
    this._tellCommand();
    this.startButton.disabled = true;
    this.check();
  }

  async _validate() {
    const text = this.text.value;
    const verdict = await attempt(() => post("/strategies/validate", { strategy: text }, this.life));
    if (!verdict || text !== this.text.value) return;
    this.strategy = verdict.strategy;
    if (verdict.valid && (this.isFormStale || !this.isFormDrawn)) this._drawForm(verdict.strategy);
    this._showVerdict(verdict);
    this._tellCommand();
    const isReady = verdict.valid && this.data.isChosen;
    this.startButton.disabled = !isReady;
    this.lookButton.disabled = !isReady;
  }

  _drawForm(strategy) {
    this.form.draw(withoutDefaults(strategy, this.form));
    this.isFormDrawn = true;
    this.isFormStale = false;
  }

  _showVerdict({ valid, faults }) {
    this.form.showFaults?.(this.isFormDrawn ? faults : []);
    if (valid) {
      replace(
        this.verdict,
        h("p", { class: "good" }, "✓ A valid strategy"),
        !this.data.isChosen && h("p", { class: "warn" }, "Choose the bars to train on."),
      );
      this.text.removeAttribute("aria-invalid");
      return;
    }
    this.text.setAttribute("aria-invalid", "true");
    const items = faults.map((fault) =>
      h(
        "li",
        {},
        fault.line ? h("span", { class: "muted" }, `line ${fault.line} `) : "",
        h("code", {}, fault.path),
        " ",
        said(fault),
      ),
    );
    replace(
      this.verdict,
      h("p", { class: "bad" }, `${integer(faults.length)} ${faults.length === 1 ? "fault" : "faults"}`),
      h("ul", { class: "faults" }, items),
    );
  }

  _tellCommand() {
    const name = fileName(this.name);
    const { symbols, timeframes, start_date: from, end_date: to } = this.data.value;
    const parts = [
      `ktrdr models train --strategy ${name}.yaml`,
      `--symbols ${symbols.join(",") || "SYMBOL"}`,
      timeframes.length && `--timeframes ${timeframes.join(",")}`,
      from && `--start-date ${from}`,
      to && `--end-date ${to}`,
      "--follow",
    ];
    setText(this.command, parts.filter(Boolean).join(" \\\n    "));
  }

  /** Of the text as it stands, valid or not. */
  get name() {
    return this.text.value.match(/^name:\s*["']?(.*?)["']?\s*$/m)?.[1];
  }

  get request() {
    return { strategy: this.text.value, strategy_name: fileName(this.name), ...this.data.value };
  }

  // -- doing it ------------------------------------------------------------------------------------------------------

  async _lookAhead() {
    this.lookButton.disabled = true;
    replace(
      this.ahead,
      panel("Preflight", {}, h("p", { class: "muted" }, "Counting samples and timing a few batches…")),
    );
    try {
      const begun = await start("/training/preflight", this.request);
      const operation = await ended(begun.operation_id, this.life);
      if (operation.status === "FAILED") throw operation.error;
      const results = await get(`/operations/${begun.operation_id}/results`, {}, this.life);
      replace(this.ahead, preflightPanels(results));
    } catch (problem) {
      if (!this.life.aborted) replace(this.ahead, problemCard(problem));
    } finally {
      this.lookButton.disabled = false;
    }
  }

  async _start() {
    this.startButton.disabled = true;
    replace(this.problem);
    try {
      const begun = await start("/training/start", this.request);
      location.hash = `#/operations/${begun.operation_id}`;
    } catch (problem) {
      replace(this.problem, problemCard(problem));
      this.problem.scrollIntoView({ block: "center" });
      this.startButton.disabled = false;
    }
  }
}

async function ended(id, life) {
  for (;;) {
    const operation = await get(`/operations/${id}`, { wait: 20 }, life);
    if (["COMPLETED", "FAILED", "CANCELLED"].includes(operation.status)) return operation;
  }
}

/** Symbols, timeframes and days to train on, out of what is stored. */
class DataChoice {
  constructor(series, onChange) {
    this.onChange = onChange;
    const symbols = [...new Set(series.map((each) => each.symbol))];
    const order = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"];
    const timeframes = order.filter((name) => series.some((each) => each.timeframe === name));
    this.symbolBoxes = symbols.map((name) => this._box(name));
    this.timeframeBoxes = timeframes.map((name) => this._box(name));
    this.from = h("input", { id: "from", type: "date", onchange: onChange });
    this.to = h("input", { id: "to", type: "date", onchange: onChange });
    this.series = series;
    this.element = series.length
      ? this._layout()
      : emptyState(
          "No bars yet",
          "A training needs bars to learn from.",
          h("a", { class: "button primary", href: "#/market" }, "Load bars"),
        );
  }

  _box(name) {
    return h("input", { type: "checkbox", value: name, onchange: this.onChange });
  }

  _layout() {
    const group = (label, boxes) =>
      h(
        "div",
        { class: "field" },
        h("span", { class: "label" }, label),
        h(
          "div",
          { class: "row boxes", role: "group", "aria-label": label },
          boxes.map((box) => h("label", { class: "toggle" }, box, box.value)),
        ),
      );
    return h(
      "div",
      {},
      group("Symbols", this.symbolBoxes),
      group("Timeframes", this.timeframeBoxes),
      h(
        "div",
        { class: "fields" },
        h("div", { class: "field" }, h("label", { for: "from" }, "From"), this.from),
        h("div", { class: "field" }, h("label", { for: "to" }, "To"), this.to),
      ),
    );
  }

  choose({ symbols, timeframes, start_date: from, end_date: to }) {
    const wanted = { symbols: symbols ?? [this.series[0]?.symbol], timeframes: timeframes ?? [this._usual()] };
    for (const box of this.symbolBoxes) box.checked = wanted.symbols.includes(box.value);
    for (const box of this.timeframeBoxes) box.checked = wanted.timeframes.includes(box.value);
    this.from.value = from ?? "";
    this.to.value = to ?? "";
  }

  _usual() {
    const own = this.series.filter((each) => each.symbol === this.series[0].symbol).map((each) => each.timeframe);
    return own.includes("1d") ? "1d" : own[0];
  }

  get value() {
    const chosen = (boxes) => boxes.filter((box) => box.checked).map((box) => box.value);
    return {
      symbols: chosen(this.symbolBoxes),
      timeframes: chosen(this.timeframeBoxes),
      start_date: this.from.value || null,
      end_date: this.to.value || null,
    };
  }

  get isChosen() {
    return this.value.symbols.length > 0;
  }
}

const fileName = (name = "") =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, 60) || "strategy";

function kept() {
  try {
    return sessionStorage.getItem(DRAFT);
  } catch {
    return null;
  }
}

function keep(text) {
  try {
    sessionStorage.setItem(DRAFT, text);
  } catch {
    // A draft is a comfort, no more.
  }
}
