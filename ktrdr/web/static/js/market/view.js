// A stored series: its candles, what a training sees in it, its quality, and a form that loads more.

/** @import { Operation, Quality, Series, ViewContext } from "../types.d.ts" */

import * as api from "../api.js";
import { emptyState, h, replace, showIf } from "../dom.js";
import { bytes, days, fixed, integer, words } from "../format.js";
import { describe, shortId } from "../record.js";
import { LAYERS, MarketChart } from "./chart.js";
import { LoadForm } from "./load-form.js";

const MAX_TRAININGS = 200;

/** Colours of verdicts and of severities, as classes. */
const COLORS = { sound: "good", doubtful: "warn", faulty: "bad", error: "bad", warning: "warn", note: "muted" };

/** @typedef {{ symbol: string, timeframe: string, training: string }} Place What the address names. */

/** @param {ViewContext} context */
export async function show({ root, query, signal }) {
  const head = h("div", { class: "view-head" });
  const body = h("div");
  replace(root, head, body);
  const { series } = await api.data(signal);
  const form = new LoadForm(signal, (symbol, timeframe) => goTo({ symbol, timeframe, training: "" }));
  const chosen = choose(series, query);
  if (!chosen) {
    replace(head, h("h1", {}, "Market"));
    const text = "Load a symbol from a provider, or import a file of your own.";
    replace(body, h("section", { class: "panel" }, emptyState("No bars yet", text)), form.element);
    form.element.open = true;
    return;
  }
  const training = query.get("training") ?? "";
  const trainings = await trainingsOn(chosen, signal);
  const layers = layerBoxes();
  replace(head, title(chosen), controls(series, chosen, trainings, training, layers));
  const chart = new MarketChart(chosen, training, layers, signal);
  const quality = h("details", { class: "judged", hidden: true });
  replace(body, h("section", { class: "panel market", "aria-label": "Chart" }, chart.elements, quality), form.element);
  await chart.begin();
  const found = await api.quality(chosen.symbol, chosen.timeframe, signal);
  chart.showGaps(found.gaps);
  drawQuality(quality, found);
}

/**
 * What the address names, or as much of it as there is.
 * @param {Series[]} series
 * @param {URLSearchParams} query
 * @returns {Series | undefined}
 */
function choose(series, query) {
  const timeframe = query.get("timeframe");
  const ofSymbol = series.filter(({ symbol }) => symbol === query.get("symbol"));
  return ofSymbol.find((candidate) => candidate.timeframe === timeframe) ?? ofSymbol[0] ?? series[0];
}

/** @param {Place} place */
function goTo(place) {
  const present = Object.entries(place).filter(([, value]) => value);
  const hash = `#/market?${new URLSearchParams(present)}`;
  // The same place again has new bars to show.
  if (location.hash === hash) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = hash;
}

/**
 * @param {Series} series
 * @param {AbortSignal} signal
 */
async function trainingsOn({ symbol, timeframe }, signal) {
  const { operations } = await api.operations({ type: "TRAINING", limit: MAX_TRAININGS }, signal);
  return operations.filter(
    ({ metadata }) => metadata.symbols?.includes(symbol) && metadata.timeframes?.includes(timeframe),
  );
}

// -- the head --------------------------------------------------------------------------------------------------------

/** @param {Series} series */
function title({ rows, first, last, provider, size_bytes: size }) {
  const about = `${integer(rows)} bars, ${days(first, last)}, from ${provider}, ${bytes(size)}`;
  return h("div", { class: "row" }, h("h1", {}, "Market"), h("span", { class: "muted" }, about));
}

/**
 * @param {Series[]} series
 * @param {Series} chosen
 * @param {Operation[]} trainings
 * @param {string} training
 * @param {Record<string, HTMLInputElement>} layers
 */
function controls(series, chosen, trainings, training, layers) {
  const toggles = Object.entries(layers).map(([name, box]) => h("label", { class: "toggle" }, box, words(name)));
  return h(
    "div",
    { class: "row filters" },
    h("label", { for: "series" }, "Series"),
    seriesPicker(series, chosen),
    h("label", { for: "training" }, "as seen by"),
    trainingPicker(chosen, trainings, training),
    h("div", { class: "row toggles", role: "group", "aria-label": "Shown" }, toggles),
  );
}

const layerBoxes = () =>
  Object.fromEntries(LAYERS.map((name) => [name, h("input", { type: "checkbox", checked: true })]));

/**
 * @param {Series[]} series
 * @param {Series} chosen
 */
function seriesPicker(series, chosen) {
  const options = series.map((candidate, index) =>
    h("option", { value: index, selected: candidate === chosen }, `${candidate.symbol} ${candidate.timeframe}`),
  );
  const picker = h("select", { id: "series" }, options);
  picker.addEventListener("change", () => {
    const { symbol, timeframe } = series[picker.selectedIndex];
    goTo({ symbol, timeframe, training: "" });
  });
  return picker;
}

/**
 * @param {Series} series
 * @param {Operation[]} trainings
 * @param {string} chosen
 */
function trainingPicker({ symbol, timeframe }, trainings, chosen) {
  const options = trainings.map((operation) => {
    const { operation_id: id } = operation;
    return h("option", { value: id, selected: id === chosen }, `${describe(operation).title} ${shortId(id)}`);
  });
  const picker = h("select", { id: "training" }, h("option", { value: "" }, "none"), options);
  picker.addEventListener("change", () => goTo({ symbol, timeframe, training: picker.value }));
  return picker;
}

// -- quality ---------------------------------------------------------------------------------------------------------

/**
 * @param {HTMLElement} details
 * @param {Quality} quality
 */
function drawQuality(details, { verdict, score, faults, calendar }) {
  const grade = h("b", { class: COLORS[verdict] }, `${words(verdict)}, ${fixed(score, score % 1 ? 1 : 0)} of 100`);
  const items = faults.map(({ severity, message }) =>
    h("li", {}, h("span", { class: COLORS[severity] }, words(severity)), " ", message),
  );
  const nothing = h("p", { class: "muted" }, "Nothing is missing, and nothing is odd.");
  replace(
    details,
    h("summary", {}, "Quality: ", grade, h("span", { class: "muted" }, ` by the calendar ${calendar.name}`)),
    items.length ? h("ul", { class: "faults" }, items) : nothing,
  );
  showIf(details, true);
}
