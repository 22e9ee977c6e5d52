// All operations, newest first, live; older ones appear as one scrolls to them.

/** @import { Operation, OperationStatus, ViewContext } from "../types.d.ts" */

import { debounce, emptyState, h, problemCard, replace, setText, showIf } from "../dom.js";
import { integer } from "../format.js";
import { KeyedList } from "../keyed-list.js";
import { kinds, STATE_TITLES, states } from "../meta.js";
import { poll } from "../poll.js";
import { matches, OperationFeed } from "./feed.js";
import { OperationRow } from "./row.js";
import { Sparklines } from "./sparklines.js";

const CALM_MS = 2000;
const BUSY_MS = 1000;
const SEARCH_REST_MS = 200;

/** @param {ViewContext} context */
export async function show({ root, query, signal }) {
  const view = new OperationsView(query, signal);
  replace(root, view.elements);
  await poll(
    signal,
    () => view.pause,
    () => view.refresh(),
    (problem) => view.showProblem(problem),
  );
}

class OperationsView {
  #filter;
  #text;
  #feed;
  #sparklines;
  /** @type {KeyedList<Operation, OperationRow>} */
  #list;
  /** @type {Set<string>} */
  #chosen = new Set();
  #count = h("span", { class: "muted", role: "status" });
  #compare = h("a", { class: "button", hidden: true }, "Compare");
  #problem = h("div");
  #empty = h("div", { class: "operations", hidden: true });
  #rows = h("ul", { class: "operations", "aria-label": "Operations" });
  #more = h("p", { class: "more muted" });

  /**
   * @param {URLSearchParams} query
   * @param {AbortSignal} signal
   */
  constructor(query, signal) {
    this.#filter = { status: query.get("status") ?? "", type: query.get("type") ?? "" };
    this.#text = query.get("q") ?? "";
    this.#feed = new OperationFeed(this.#filter, signal);
    this.#sparklines = new Sparklines(signal);
    this.#list = new KeyedList(
      this.#rows,
      (operation) => operation.operation_id,
      (operation) => this.#createRow(operation),
    );
    this.#loadAtTheEnd(signal);
  }

  get elements() {
    return [this.#head(), this.#problem, this.#empty, this.#rows, this.#more];
  }

  get pause() {
    return this.#feed.isBusy ? BUSY_MS : CALM_MS;
  }

  async refresh() {
    const isOfList = await this.#feed.refresh();
    this.#draw();
    if (isOfList) await this.#sparklines.refresh();
    replace(this.#problem);
  }

  /** @param {unknown} problem */
  showProblem(problem) {
    replace(this.#problem, problemCard(problem));
  }

  // -- what stands above the list ------------------------------------------------------------------------------------

  #head() {
    const start = h("a", { class: "button primary", href: "#/start" }, "Start a training");
    const chips = h("div", { class: "chips", role: "group", "aria-label": "State" }, [
      this.#chip(""),
      states().map((status) => this.#chip(status)),
    ]);
    return h(
      "div",
      { class: "view-head" },
      h(
        "div",
        { class: "row" },
        h("h1", {}, "Operations"),
        this.#count,
        h("span", { class: "grow" }),
        this.#compare,
        start,
      ),
      h("div", { class: "row filters" }, chips, this.#kindPicker(), this.#searchField()),
    );
  }

  /** @param {OperationStatus | ""} status */
  #chip(status) {
    const isOn = status === this.#filter.status;
    const onclick = () => this.#goTo({ ...this.#filter, status });
    const attributes = { type: "button", class: "chip", "aria-pressed": String(isOn), onclick };
    return h("button", attributes, status ? STATE_TITLES[status] : "All");
  }

  #kindPicker() {
    const options = kinds().map(({ operation_type: type, title }) =>
      h("option", { value: type, selected: type === this.#filter.type }, title),
    );
    const picker = h("select", { "aria-label": "Type" }, h("option", { value: "" }, "All types"), options);
    picker.addEventListener("change", () => this.#goTo({ ...this.#filter, type: picker.value }));
    return picker;
  }

  #searchField() {
    const placeholder = "Search by name, symbol or id";
    const field = h("input", { type: "search", placeholder, "aria-label": "Search", value: this.#text });
    field.addEventListener(
      "input",
      debounce(SEARCH_REST_MS, () => this.#search(field.value)),
    );
    return field;
  }

  /**
   * A filter is a place that one can come back to.
   * @param {{ status: string, type: string }} filter
   */
  #goTo(filter) {
    const present = Object.entries({ ...filter, q: this.#text }).filter(([, value]) => value);
    location.hash = `#/operations${present.length ? `?${new URLSearchParams(present)}` : ""}`;
  }

  /** @param {string} text */
  async #search(text) {
    this.#text = text.trim();
    this.#draw();
    await this.#feed
      .loadAll(() => {
        this.#draw();
        return this.#text !== "";
      })
      .catch(() => {});
    this.#draw();
  }

  // -- the list ------------------------------------------------------------------------------------------------------

  #draw() {
    const loaded = this.#feed.operations;
    const shown = this.#text ? loaded.filter((operation) => matches(operation, this.#text)) : loaded;
    const total = integer(this.#feed.total);
    setText(this.#count, this.#text ? `${integer(shown.length)} of ${total}` : total);
    setText(this.#more, this.#feed.hasMore ? `${integer(loaded.length)} of ${total} shown; scroll for more` : "");
    this.#list.update(shown);
    showIf(this.#rows, shown.length > 0);
    showIf(this.#empty, shown.length === 0);
    if (!shown.length) replace(this.#empty, this.#emptyState());
  }

  /** @param {Operation} operation */
  #createRow(operation) {
    const row = new OperationRow(operation, {
      onChoose: (id, isChosen) => this.#choose(id, isChosen),
      onChange: () => this.#refreshAll(),
    });
    this.#sparklines.watch(operation.operation_id, row);
    return row;
  }

  /** After something was done here: at once, and the whole list. */
  async #refreshAll() {
    this.#feed.expire();
    await this.refresh().catch((problem) => this.showProblem(problem));
  }

  /**
   * @param {string} id
   * @param {boolean} isChosen
   */
  #choose(id, isChosen) {
    if (isChosen) this.#chosen.add(id);
    else this.#chosen.delete(id);
    showIf(this.#compare, this.#chosen.size > 1);
    setText(this.#compare, `Compare ${this.#chosen.size}`);
    this.#compare.href = `#/compare?ids=${[...this.#chosen].join(",")}`;
  }

  #emptyState() {
    if (this.#filter.status || this.#filter.type || this.#text) {
      const all = h("a", { class: "button", href: "#/operations" }, "Show all");
      return emptyState("Nothing here", "No operation fits these filters.", all);
    }
    return emptyState(
      "Nothing has been started yet",
      "Load bars of a symbol, then train a model on them; both appear here and can be watched live.",
      h("a", { class: "button primary", href: "#/market" }, "Load bars"),
      h("a", { class: "button", href: "#/start" }, "Start a training"),
    );
  }

  /** @param {AbortSignal} signal */
  #loadAtTheEnd(signal) {
    const observer = new IntersectionObserver(async (entries) => {
      if (!this.#feed.hasMore || !entries.some((entry) => entry.isIntersecting)) return;
      await this.#feed.loadMore().catch(() => {});
      this.#draw();
    });
    observer.observe(this.#more);
    signal.addEventListener("abort", () => observer.disconnect());
  }
}
