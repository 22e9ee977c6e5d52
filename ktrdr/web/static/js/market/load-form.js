// Bars from a provider or a file into the store.

import { completion } from "../actions.js";
import * as api from "../api.js";
import { field, h, problemCard, replace } from "../dom.js";
import { integer } from "../format.js";
import { timeframes } from "../meta.js";
import { FileDialect } from "./file-dialect.js";

const USUAL_TIMEFRAME = "1d";

/** A foldable panel, as `element`. */
export class LoadForm {
  #signal;
  #onLoaded;
  #symbol = h("input", {
    id: "load-symbol",
    required: true,
    maxlength: 32,
    placeholder: "AAPL",
    autocapitalize: "characters",
  });
  #timeframe = h(
    "select",
    { id: "load-timeframe" },
    timeframes().map((name) => h("option", { selected: name === USUAL_TIMEFRAME }, name)),
  );
  #provider = h("input", { id: "load-provider", value: "auto", list: "providers" });
  #providers = h("datalist", { id: "providers" });
  #from = h("input", { id: "load-start", type: "date" });
  #to = h("input", { id: "load-end", type: "date" });
  #file = h("input", { id: "load-file", type: "file", accept: ".csv,.parquet" });
  #calendar = h("input", { id: "load-calendar", maxlength: 64, placeholder: "as before" });
  #dialect = new FileDialect();
  #button = h("button", { class: "primary", type: "submit" }, "Load bars");
  #status = h("div", { role: "status" });

  /**
   * @param {AbortSignal} signal
   * @param {(symbol: string, timeframe: string) => void} onLoaded
   */
  constructor(signal, onLoaded) {
    this.#signal = signal;
    this.#onLoaded = onLoaded;
    this.element = h(
      "details",
      { class: "panel load" },
      h("summary", {}, "Load more bars"),
      this.#form(),
      this.#status,
    );
    this.#offerProviders().catch(() => {});
  }

  #form() {
    const form = h(
      "form",
      { class: "fields" },
      field("Symbol", this.#symbol),
      field("Timeframe", this.#timeframe),
      field("Provider", this.#provider),
      this.#providers,
      field("From", this.#from),
      field("To", this.#to),
      field("Calendar", this.#calendar),
      field("Or import a file", this.#file),
      this.#dialect.element,
      h("div", { class: "field" }, this.#button),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#load();
    });
    return form;
  }

  async #offerProviders() {
    const { providers } = await api.providers(this.#signal);
    replace(
      this.#providers,
      providers.map(({ name }) => h("option", { value: name })),
    );
  }

  async #load() {
    const symbol = this.#symbol.value.trim().toUpperCase();
    const timeframe = this.#timeframe.value;
    this.#button.disabled = true;
    this.#tell("Loading…");
    try {
      const { operation_id: id } = await this.#start(symbol, timeframe);
      await completion(id, this.#signal, ({ progress }) =>
        this.#tell(`${progress.message}: ${integer(progress.items_processed)} bars`),
      );
      this.#onLoaded(symbol, timeframe);
    } catch (problem) {
      if (!this.#signal.aborted) replace(this.#status, problemCard(problem));
    } finally {
      this.#button.disabled = false;
    }
  }

  /**
   * @param {string} symbol
   * @param {string} timeframe
   */
  #start(symbol, timeframe) {
    const file = this.#file.files?.[0];
    const calendar = this.#calendar.value.trim();
    if (file) return api.importBars(symbol, timeframe, file, { ...this.#dialect.query(), calendar });
    const provider = this.#provider.value.trim() || "auto";
    const [from, to] = [this.#from.value || null, this.#to.value || null];
    return api.loadBars({ symbol, timeframe, provider, start_date: from, end_date: to, calendar });
  }

  /** @param {string} text */
  #tell(text) {
    replace(this.#status, h("p", { class: "muted" }, text));
  }
}
