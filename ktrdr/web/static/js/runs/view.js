// All runs in a table that is filtered and sorted by the server, a page at a time; what it shows stands in the address.

/** @import { RunColumn, RunTable, ViewContext } from "../types.d.ts" */
/** @import { RunQuery } from "./query.js" */

import { attempt } from "../actions.js";
import * as api from "../api.js";
import { debounce, emptyState, h, problemCard, replace, setText, showIf } from "../dom.js";
import { saveFile } from "../downloads.js";
import { integer } from "../format.js";
import { queryString } from "../http.js";
import { isRefusal, poll } from "../poll.js";
import { annotate } from "./annotate.js";
import { nextSort, parametersOf, readQuery } from "./query.js";
import { runTable } from "./table.js";

const PAGE = 100;
const PAUSE_MS = 4000;
const TYPING_REST_MS = 250;

/** @param {ViewContext} context */
export async function show({ root, query, signal }) {
  const view = new RunsView(readQuery(query), signal);
  replace(root, view.elements);
  await poll(
    signal,
    () => PAUSE_MS,
    () => view.refresh(),
    (problem) => view.showProblem(problem),
  );
}

class RunsView {
  #query;
  #signal;
  #asked = 0;
  #drawn = "";
  /** @type {RunTable | null} */
  #runs = null;
  /** @type {Set<string>} */
  #chosen = new Set();
  #count = h("span", { class: "muted", role: "status" });
  #compare = h("a", { class: "button", hidden: true });
  #write = h("button", { type: "button", hidden: true }, "Tags and note…");
  #conditions = h("div", { class: "chips", role: "group", "aria-label": "Conditions" });
  #names = h("datalist", { id: "run-columns" });
  #columns = h("ul", { class: "choices" });
  #problem = h("div");
  #table = h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table of runs" });
  #pages = h("div", { class: "row pages" });

  /**
   * @param {RunQuery} query
   * @param {AbortSignal} signal
   */
  constructor(query, signal) {
    this.#query = query;
    this.#signal = signal;
    this.#write.addEventListener("click", () => this.#annotate());
    this.#drawConditions();
  }

  get elements() {
    const csv = h("button", { type: "button", onclick: () => this.#download() }, "CSV");
    const grow = h("span", { class: "grow" });
    const chooser = h("details", { class: "panel chooser" }, h("summary", {}, "Columns"), this.#columns);
    return [
      h(
        "div",
        { class: "view-head" },
        h("div", { class: "row" }, h("h1", {}, "Runs"), this.#count, grow, this.#write, this.#compare, csv),
        h("div", { class: "row filters" }, this.#conditionField(), this.#conditions, this.#names, this.#searchField()),
      ),
      chooser,
      this.#problem,
      h("section", { class: "panel", "aria-label": "All runs" }, this.#table, this.#pages),
    ];
  }

  /** Asks for the table; a later question makes the answer to an earlier one void. */
  async refresh() {
    this.#asked += 1;
    const asked = this.#asked;
    try {
      const runs = await api.runs({ ...parametersOf(this.#query), limit: PAGE }, this.#signal);
      if (asked === this.#asked) this.#show(runs);
    } catch (problem) {
      if (!isRefusal(problem)) throw problem;
      this.showProblem(problem);
    }
  }

  /** @param {unknown} problem */
  showProblem(problem) {
    replace(this.#problem, problemCard(problem));
  }

  // -- what is asked for ---------------------------------------------------------------------------------------------

  /**
   * @param {Partial<RunQuery>} change
   * @param {"pushState" | "replaceState"} [method] of the history; typing leaves one place, not one a letter
   */
  #ask(change, method = "pushState") {
    this.#query = { ...this.#query, offset: 0, ...change };
    history[method](null, "", `#/runs${queryString(parametersOf(this.#query))}`);
    this.#drawConditions();
    this.#refreshNow();
  }

  #refreshNow() {
    return this.refresh().catch((problem) => {
      if (!this.#signal.aborted) this.showProblem(problem);
    });
  }

  #searchField() {
    const placeholder = "Search ids, names, tags and notes";
    const input = h("input", { type: "search", placeholder, "aria-label": "Search", value: this.#query.q });
    const search = debounce(TYPING_REST_MS, () => {
      if (!this.#signal.aborted) this.#ask({ q: input.value.trim() }, "replaceState");
    });
    input.addEventListener("input", search);
    return input;
  }

  #conditionField() {
    const placeholder = "lead>0.01";
    const input = h("input", { placeholder, "aria-label": "Condition", list: "run-columns", autocomplete: "off" });
    const form = h("form", { class: "row" }, input, h("button", { type: "submit" }, "Add condition"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const condition = input.value.trim();
      input.value = "";
      if (condition) this.#ask({ where: [...this.#query.where, condition] });
    });
    return form;
  }

  #drawConditions() {
    const chips = this.#query.where.map((condition) => {
      const onclick = () => this.#ask({ where: this.#query.where.filter((other) => other !== condition) });
      const label = `Remove the condition ${condition}`;
      return h("button", { type: "button", class: "chip", "aria-label": label, onclick }, `${condition} ×`);
    });
    replace(this.#conditions, chips);
  }

  /** @param {RunTable} runs */
  #drawColumns({ columns, names }) {
    const shown = columns.map(({ name }) => name);
    const choices = names.map((name) => {
      const box = h("input", { type: "checkbox", checked: shown.includes(name), data: { key: `column ${name}` } });
      box.addEventListener("change", () => {
        this.#ask({ columns: box.checked ? [...shown, name] : shown.filter((other) => other !== name) });
      });
      return h("li", {}, h("label", {}, box, name));
    });
    const onclick = () => this.#ask({ columns: [] });
    const usual = h("li", {}, h("button", { type: "button", class: "quiet", onclick }, "The usual columns"));
    replace(this.#columns, this.#query.columns.length > 0 && usual, choices);
  }

  // -- what came -----------------------------------------------------------------------------------------------------

  /** @param {RunTable} runs */
  #show(runs) {
    replace(this.#problem);
    const content = JSON.stringify([runs, this.#query]);
    if (content === this.#drawn) return;
    this.#drawn = content;
    this.#runs = runs;
    keepingFocus(() => this.#draw(runs));
  }

  /** @param {RunTable} runs */
  #draw(runs) {
    const reading = runs.unread ? `; ${integer(runs.unread)} are still being read` : "";
    setText(this.#count, `${integer(runs.total)}${reading}`);
    const options = runs.names.map((name) => h("option", { value: name }));
    replace(this.#names, options);
    this.#drawColumns(runs);
    replace(this.#table, runs.rows.length ? this.#runTable(runs) : nothing(this.#query));
    replace(this.#pages, this.#pager(runs));
    this.#drawChosen();
  }

  /** @param {RunTable} runs */
  #runTable(runs) {
    return runTable(runs, {
      sort: this.#query.sort,
      chosen: this.#chosen,
      onSort: (/** @type {RunColumn} */ column) => this.#ask({ sort: nextSort(this.#query.sort, column) }),
      onChoose: (id, isChosen) => this.#choose(id, isChosen),
    });
  }

  /** @param {RunTable} runs */
  #pager({ rows, total }) {
    const { offset } = this.#query;
    if (total <= rows.length) return null;
    const button = (/** @type {string} */ text, /** @type {number} */ to, /** @type {boolean} */ isThere) => {
      const onclick = () => this.#ask({ offset: to });
      return h("button", { type: "button", disabled: !isThere, data: { key: text }, onclick }, text);
    };
    const place = `${integer(offset + 1)} to ${integer(offset + rows.length)} of ${integer(total)}`;
    return [
      button("Previous", Math.max(0, offset - PAGE), offset > 0),
      h("span", { class: "muted" }, place),
      button("Next", offset + PAGE, offset + PAGE < total),
    ];
  }

  // -- what is done with runs ----------------------------------------------------------------------------------------

  /**
   * @param {string} id
   * @param {boolean} isChosen
   */
  #choose(id, isChosen) {
    if (isChosen) this.#chosen.add(id);
    else this.#chosen.delete(id);
    this.#drawChosen();
  }

  #drawChosen() {
    const count = this.#chosen.size;
    showIf(this.#write, count > 0);
    showIf(this.#compare, count > 0);
    setText(this.#compare, `Compare ${count}`);
    this.#compare.href = `#/compare?ids=${[...this.#chosen].join(",")}`;
  }

  async #annotate() {
    if (await annotate([...this.#chosen])) await this.#refreshNow();
  }

  /** All runs that match, with the columns that are shown. */
  async #download() {
    const columns = this.#runs?.columns.map(({ name }) => name).join(",");
    const query = { ...parametersOf(this.#query), columns, offset: null };
    await attempt(async () => saveFile(await api.runsFile(query), "runs.csv"));
  }
}

/** @param {RunQuery} query */
function nothing({ q, where }) {
  if (q || where.length) return emptyState("Nothing here", "No run fits these filters.");
  const text = "Each training, its folds and the trials of a search appear here with their settings and measures.";
  return emptyState("No runs yet", text, h("a", { class: "button primary", href: "#/start" }, "Start a training"));
}

/**
 * Draws anew; what had the focus has it again.
 * @param {() => void} draw
 */
function keepingFocus(draw) {
  const key = document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
  draw();
  const element = key && document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (element instanceof HTMLElement) element.focus();
}
