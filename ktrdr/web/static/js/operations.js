// All operations, newest first: the first page is pulled again and again, older ones as one scrolls to them.

import { canCancel, cancel, canResume, resume } from "./actions.js";
import { get } from "./api.js";
import { debounce, emptyState, h, problemCard, replace, setText, show as showIf } from "./dom.js";
import { ago, duration, elapsed, eta, fixed, integer, kind, percent, STATES, TERMINAL, what } from "./format.js";
import { meter, sparkline } from "./pictures.js";
import { poll } from "./poll.js";

const FIRST_PAGE = 50;
const NEXT_PAGE = 100;
const ALL_AT_ONCE = 1000;
const CALM_MS = 2000;
const BUSY_MS = 1000;
/** While something runs every third look is at the whole list, the others at what has not ended. */
const LOOKS_A_LIST = 3;
const TYPES = ["TRAINING", "DATA_LOAD", "PREFLIGHT", "PREDICTION", "EXPORT", "AUDIT"];

export async function show({ root, query, life }) {
  const list = new List(query, life);
  replace(root, list.head, list.trouble, list.rowsBox, list.more);
  await poll(
    life,
    () => (list.isBusy ? BUSY_MS : CALM_MS),
    () => list.refresh(),
  );
}

class List {
  constructor(query, life) {
    this.life = life;
    this.status = query.get("status") ?? "";
    this.type = query.get("type") ?? "";
    this.text = query.get("q") ?? "";
    this.operations = new Map();
    this.rows = new Map();
    this.chosen = new Set();
    this.nextPage = null;
    this.looks = 0;
    this.total = 0;
    this.rowsBox = h("ul", { class: "operations", "aria-label": "Operations" });
    this.trouble = h("div", {});
    this.more = h("p", { class: "more muted" });
    this.curves = new Curves(life, this.rows);
    this._drawHead();
    this._watchEnd();
  }

  get isBusy() {
    return [...this.operations.values()].some((each) => each.status === "RUNNING");
  }

  // -- what stands above the list ------------------------------------------------------------------------------------

  _drawHead() {
    this.count = h("span", { class: "muted", role: "status" });
    this.compare = h("a", { class: "button", hidden: true }, "Compare");
    const chips = ["", ...Object.keys(STATES)].map((status) => this._chip(status));
    const types = h(
      "select",
      { "aria-label": "Type", onchange: (event) => this._filter({ type: event.target.value }) },
      [
        h("option", { value: "" }, "All types"),
        TYPES.map((type) => h("option", { value: type, selected: type === this.type }, kind(type))),
      ],
    );
    const search = h("input", {
      type: "search",
      placeholder: "Search by name, symbol or id",
      "aria-label": "Search",
      value: this.text,
    });
    search.addEventListener(
      "input",
      debounce(200, () => this._search(search.value)),
    );
    this.head = h(
      "div",
      { class: "view-head" },
      h(
        "div",
        { class: "row" },
        h("h1", {}, "Operations"),
        this.count,
        h("span", { class: "grow" }),
        this.compare,
        h("a", { class: "button primary", href: "#/start" }, "Start a training"),
      ),
      h(
        "div",
        { class: "row filters" },
        h("div", { class: "chips", role: "group", "aria-label": "State" }, chips),
        types,
        search,
      ),
    );
  }

  _chip(status) {
    const isOn = status === this.status;
    const chip = h(
      "button",
      { type: "button", class: "chip", "aria-pressed": String(isOn) },
      status ? STATES[status] : "All",
    );
    chip.addEventListener("click", () => this._filter({ status }));
    return chip;
  }

  /** A filter is a place that one can come back to. */
  _filter(changed) {
    const { status, type } = { status: this.status, type: this.type, ...changed };
    const query = new URLSearchParams(Object.entries({ status, type, q: this.text }).filter(([, value]) => value));
    location.hash = `#/operations${query.size ? `?${query}` : ""}`;
  }

  async _search(text) {
    this.text = text.trim();
    this._draw();
    while (this.text && this.nextPage && !this.life.aborted) await this._loadMore(ALL_AT_ONCE);
  }

  // -- pulling -------------------------------------------------------------------------------------------------------

  async refresh() {
    try {
      await this._refresh();
      replace(this.trouble);
    } catch (problem) {
      if (!this.life.aborted) replace(this.trouble, problemCard(problem));
      throw problem;
    }
  }

  /** After something was done here: at once, and all of it. */
  _changed() {
    this.looks = -1;
    return this.refresh();
  }

  async _refresh() {
    this.looks += 1;
    if (this.isBusy && this.looks % LOOKS_A_LIST) {
      await this._refreshOpen(new Set());
      this._draw();
      return;
    }
    const page = await this._page({ limit: FIRST_PAGE });
    const oldest = page.operations.at(-1)?.created_at ?? "";
    const isWhole = !page.next_page_token;
    for (const [id, each] of this.operations) if (isWhole || each.created_at >= oldest) this.operations.delete(id);
    if (!this.operations.size) this.nextPage = page.next_page_token;
    this._take(page);
    await this._refreshOpen(new Set(page.operations.map((each) => each.operation_id)));
    this._draw();
    await this.curves.refresh();
  }

  /** Those that have not ended, but for the ones just seen; all others never change. */
  async _refreshOpen(fresh) {
    const open = [...this.operations.values()].filter(
      (each) => !TERMINAL.has(each.status) && !fresh.has(each.operation_id),
    );
    for (const { operation_id: id } of open.slice(0, 20)) {
      const operation = await get(`/operations/${id}`, {}, this.life);
      if (this.status && operation.status !== this.status) this.operations.delete(id);
      else this.operations.set(id, operation);
    }
  }

  async _loadMore(limit = NEXT_PAGE) {
    if (!this.nextPage || this.isLoading) return;
    this.isLoading = true;
    try {
      const page = await this._page({ limit, page_token: this.nextPage });
      this.nextPage = page.next_page_token;
      this._take(page);
      this._draw();
    } finally {
      this.isLoading = false;
    }
  }

  _page(query) {
    return get("/operations", { status: this.status, type: this.type, ...query }, this.life);
  }

  _take(page) {
    this.total = page.total;
    for (const each of page.operations) this.operations.set(each.operation_id, each);
  }

  _watchEnd() {
    const watcher = new IntersectionObserver((seen) => {
      if (seen.some((each) => each.isIntersecting)) this._loadMore().catch(() => {});
    });
    watcher.observe(this.more);
    this.life.addEventListener("abort", () => watcher.disconnect());
  }

  // -- drawing -------------------------------------------------------------------------------------------------------

  _draw() {
    const shown = [...this.operations.values()].filter((each) => matches(each, this.text)).sort(newestFirst);
    setText(this.count, this.text ? `${integer(shown.length)} of ${integer(this.total)}` : integer(this.total));
    this._drawRows(shown);
    const isAll = !this.nextPage;
    setText(
      this.more,
      isAll ? "" : `${integer(this.operations.size)} of ${integer(this.total)} shown; scroll for more`,
    );
  }

  _drawRows(shown) {
    if (!shown.length) {
      this.rows.clear();
      replace(this.rowsBox, h("li", {}, this._empty()));
      return;
    }
    const wanted = new Set(shown.map((each) => each.operation_id));
    for (const child of [...this.rowsBox.children]) if (!wanted.has(child.dataset.id)) child.remove();
    for (const id of [...this.rows.keys()]) if (!wanted.has(id)) this.rows.delete(id);
    shown.forEach((operation, index) => {
      const row = this._row(operation);
      row.update(operation);
      if (this.rowsBox.children[index] !== row.element)
        this.rowsBox.insertBefore(row.element, this.rowsBox.children[index] ?? null);
    });
  }

  _row(operation) {
    const id = operation.operation_id;
    if (!this.rows.has(id)) {
      const row = new Row(
        operation,
        (isChosen) => this._choose(id, isChosen),
        () => this._changed(),
      );
      this.rows.set(id, row);
      this.curves.watch(row.element);
    }
    return this.rows.get(id);
  }

  _choose(id, isChosen) {
    if (isChosen) this.chosen.add(id);
    else this.chosen.delete(id);
    showIf(this.compare, this.chosen.size > 1);
    setText(this.compare, `Compare ${this.chosen.size}`);
    this.compare.href = `#/compare?ids=${[...this.chosen].join(",")}`;
  }

  _empty() {
    if (this.status || this.type || this.text)
      return emptyState(
        "Nothing here",
        "No operation fits these filters.",
        h("a", { class: "button", href: "#/operations" }, "Show all"),
      );
    return emptyState(
      "Nothing has been started yet",
      "Load bars of a symbol, then train a model on them; both appear here and can be watched live.",
      h("a", { class: "button primary", href: "#/market" }, "Load bars"),
      h("a", { class: "button", href: "#/start" }, "Start a training"),
    );
  }
}

const newestFirst = (one, other) =>
  other.created_at.localeCompare(one.created_at) || other.operation_id.localeCompare(one.operation_id);

function matches(operation, text) {
  if (!text) return true;
  const { strategy, symbols, timeframes, model_type: model } = operation.metadata;
  const about = [operation.operation_id, operation.operation_type, strategy, symbols, timeframes, model]
    .flat()
    .join(" ")
    .toLowerCase();
  return text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => about.includes(word));
}

/** One operation; its parts are kept and only what differs is set, so that focus and selection survive. */
class Row {
  constructor(operation, onChoose, onChange) {
    const id = operation.operation_id;
    const { title, series } = what(operation);
    this.state = h("span", { class: "state" });
    this.progress = h("div", { class: "op-progress" });
    this.message = h("span", { class: "op-message" });
    this.curve = h("div", { class: "op-curve" });
    this.figure = h("div", { class: "op-figure" });
    this.time = h("div", { class: "op-time" });
    this.error = h("div", { class: "op-error" });
    this.cancelButton = h("button", { type: "button", class: "quiet", "aria-label": `Cancel ${title}` }, "Cancel");
    this.resumeButton = h("button", { type: "button", class: "quiet", "aria-label": `Resume ${title}` }, "Resume");
    this.cancelButton.addEventListener("click", async () => (await cancel(this.operation)) && onChange());
    this.resumeButton.addEventListener("click", () => resume(this.operation));
    this.element = h(
      "li",
      { class: "op", data: { id } },
      this._chooser(operation, title, onChoose),
      h(
        "div",
        { class: "op-name" },
        h("a", { href: `#/operations/${id}` }, title),
        h("span", { class: "muted" }, [kind(operation.operation_type), series].filter(Boolean).join(" · ")),
      ),
      h("div", { class: "op-state" }, this.state, this.message),
      this.progress,
      this.curve,
      this.figure,
      this.time,
      h("div", { class: "op-actions" }, this.cancelButton, this.resumeButton),
      this.error,
    );
  }

  _chooser({ operation_type: type }, title, onChoose) {
    if (type !== "TRAINING") return h("span", { class: "op-choose" });
    const box = h("input", {
      type: "checkbox",
      "aria-label": `Choose ${title} to compare`,
      onchange: (event) => onChoose(event.target.checked),
    });
    return h("label", { class: "op-choose" }, box);
  }

  update(operation) {
    const seen = JSON.stringify([operation.status, operation.progress, operation.updated_at]);
    this.operation = operation;
    this._drawTime(operation);
    if (seen === this.seen) return;
    this.seen = seen;
    const { status, progress, error } = operation;
    this.element.dataset.status = status;
    this.state.className = `state ${status.toLowerCase()}`;
    setText(this.state, progress.stalled ? "Silent" : STATES[status]);
    setText(this.message, status === "COMPLETED" ? "" : progress.message);
    replace(
      this.progress,
      meter(progress.percentage / 100, `${progress.percentage.toFixed(0)} %`, status.toLowerCase()),
    );
    replace(this.figure, figureOf(operation));
    replace(
      this.error,
      status === "FAILED" && error
        ? [h("span", {}, error.detail), error.hint && h("span", { class: "muted" }, error.hint)]
        : "",
    );
    showIf(this.error, status === "FAILED");
    showIf(this.cancelButton, canCancel(operation));
    showIf(this.resumeButton, canResume(operation));
  }

  _drawTime(operation) {
    const left = eta(operation);
    const took = elapsed(operation);
    const spent = took === null ? "" : duration(took);
    setText(
      this.time,
      left === null
        ? [ago(operation.created_at), spent].filter(Boolean).join(" · ")
        : `${spent}, ${duration(left)} left`,
    );
  }

  get wantsCurve() {
    const { operation_type: type, status } = this.operation;
    return type === "TRAINING" && status !== "PENDING" && !(this.hasWholeCurve && TERMINAL.has(status));
  }

  drawCurve(values) {
    replace(
      this.curve,
      sparkline(values, { label: `Validation loss, from ${fixed(values[0])} to ${fixed(values.at(-1))}` }),
    );
    this.hasWholeCurve = TERMINAL.has(this.operation.status);
  }
}

function figureOf({ metadata, progress, operation_type: type }) {
  if (type === "DATA_LOAD") return [h("b", {}, integer(progress.items_processed)), h("small", {}, " bars")];
  if (Number.isFinite(metadata.best_val_loss))
    return [h("small", {}, "best loss "), h("b", {}, fixed(metadata.best_val_loss))];
  return [h("b", {}, percent(progress.percentage / 100, 0))];
}

/** Loss curves of the rows in sight, asked for together. */
class Curves {
  constructor(life, rows) {
    this.life = life;
    this.rows = rows;
    this.visible = new Set();
    this.watcher = new IntersectionObserver((seen) => this._see(seen), { rootMargin: "200px" });
    life.addEventListener("abort", () => this.watcher.disconnect());
    this.refreshSoon = debounce(150, () => this.refresh().catch(() => {}));
  }

  watch(element) {
    this.watcher.observe(element);
  }

  _see(seen) {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) this.visible.add(target.dataset.id);
      else this.visible.delete(target.dataset.id);
    }
    this.refreshSoon();
  }

  async refresh() {
    const wanted = [...this.visible].filter((id) => this.rows.get(id)?.wantsCurve).slice(0, 100);
    if (!wanted.length || this.life.aborted) return;
    const { curves } = await get("/charts/curves", { operation: wanted, points: 48 }, this.life);
    for (const id of wanted) {
      const row = this.rows.get(id);
      if (curves[id]) row?.drawCurve(curves[id].values);
      else if (row && TERMINAL.has(row.operation.status)) row.hasWholeCurve = true;
    }
  }
}
