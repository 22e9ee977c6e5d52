// Bars from a provider or a file into the store.

import { get, start } from "./api.js";
import { h, problemCard, replace } from "./dom.js";
import { integer } from "./format.js";

const TIMEFRAMES = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"];

/** A foldable panel; `onLoaded(symbol, timeframe)` is called once bars are stored. */
export function loadForm(life, onLoaded) {
  const symbol = h("input", {
    id: "load-symbol",
    required: true,
    maxlength: 32,
    placeholder: "AAPL",
    autocapitalize: "characters",
  });
  const timeframe = h(
    "select",
    { id: "load-timeframe" },
    TIMEFRAMES.map((name) => h("option", { selected: name === "1d" }, name)),
  );
  const provider = h("input", { id: "load-provider", value: "auto", list: "providers" });
  const names = h("datalist", { id: "providers" });
  offer(names, life).catch(() => {});
  const from = h("input", { id: "load-start", type: "date" });
  const to = h("input", { id: "load-end", type: "date" });
  const file = h("input", { id: "load-file", type: "file", accept: ".csv,.parquet" });
  const button = h("button", { class: "primary", type: "submit" }, "Load bars");
  const told = h("div", { role: "status" });
  const field = (label, input) => h("div", { class: "field" }, h("label", { for: input.id }, label), input);
  const form = h(
    "form",
    { class: "fields" },
    field("Symbol", symbol),
    field("Timeframe", timeframe),
    field("Provider", provider),
    names,
    field("From", from),
    field("To", to),
    field("Or import a file", file),
    h("div", { class: "field" }, button),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    replace(told, h("p", { class: "muted" }, "Loading…"));
    try {
      const name = symbol.value.trim().toUpperCase();
      const begun = await begin(name, timeframe.value, {
        provider: provider.value.trim() || "auto",
        from: from.value,
        to: to.value,
        file: file.files[0],
      });
      await ended(begun.operation_id, life, told);
      onLoaded(name, timeframe.value);
    } catch (problem) {
      if (!life.aborted) replace(told, problemCard(problem));
    } finally {
      button.disabled = false;
    }
  });
  return h("details", { class: "panel load" }, h("summary", {}, "Load more bars"), form, told);
}

async function offer(names, life) {
  const { providers } = await get("/data/providers", {}, life);
  names.append(...providers.map(({ name }) => h("option", { value: name })));
}

function begin(symbol, timeframe, { provider, from, to, file }) {
  if (file) return start(`/data/${encodeURIComponent(symbol)}/${timeframe}/import`, file, { filename: file.name });
  return start("/data/load", { symbol, timeframe, provider, start_date: from || null, end_date: to || null });
}

/** Waits with the server, and tells how many bars have come; throws the operation's error. */
async function ended(id, life, told) {
  for (;;) {
    const operation = await get(`/operations/${id}`, { wait: 1 }, life);
    if (operation.status === "COMPLETED") return;
    if (operation.status === "FAILED") throw operation.error;
    if (operation.status === "CANCELLED") throw new Error("the load was cancelled");
    replace(
      told,
      h("p", { class: "muted" }, `${operation.progress.message}: ${integer(operation.progress.items_processed)} bars`),
    );
  }
}
