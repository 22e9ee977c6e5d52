// Candles with volume, and what a training sees in them; older bars are asked for as one pans towards them.

import { get } from "./api.js";
import { Bars } from "./bars.js";
import { Bands, Chart, color, faded } from "./charts.js";
import { debounce, emptyState, h, replace, show as showIf } from "./dom.js";
import { bytes, day, integer, what, words } from "./format.js";
import { loadForm } from "./load.js";

const FIRST_BARS = 2000;
const MORE_BARS = 20_000;
const MOST_BARS = 200_000;
const MOST_MARKED = 350;
const MOST_CANDLES = 1500;
const RESTING_MS = 120;
const MOST_PANES = 4;
const LINES = ["c1", "c2", "c4", "c6", "c3", "c5"];
const SECONDS = { "1m": 60, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400, "1w": 604_800 };
const DAY = 86_400;
const COLORS = { sound: "good", doubtful: "warn", faulty: "bad", error: "bad", warning: "warn", note: "muted" };

export async function show({ root, query, life }) {
  const head = h("div", { class: "view-head" });
  const body = h("div", {});
  replace(root, head, body);
  const { series } = await get("/data", {}, life);
  const chosen = choose(series, query);
  const goTo = (changes) => {
    const next = new URLSearchParams({ ...Object.fromEntries(query), ...changes });
    for (const [name, value] of [...next]) if (!value) next.delete(name);
    const hash = `#/market?${next}`;
    if (location.hash === hash) dispatchEvent(new HashChangeEvent("hashchange"));
    else location.hash = hash;
  };
  const form = loadForm(life, (symbol, timeframe) => goTo({ symbol, timeframe, training: "" }));
  if (!chosen) {
    replace(head, h("h1", {}, "Market"));
    replace(
      body,
      h(
        "section",
        { class: "panel" },
        emptyState("No bars yet", "Load a symbol from a provider, or import a file of your own."),
      ),
      form,
    );
    form.open = true;
    return;
  }
  const controls = await drawHead(head, series, chosen, query.get("training") ?? "", goTo, life);
  const view = new MarketChart(chosen, query.get("training") ?? "", controls, life);
  replace(
    body,
    h("section", { class: "panel market", "aria-label": "Chart" }, view.note, view.chart.box, view.key, view.judged),
    form,
  );
  await view.begin();
}

function choose(series, query) {
  const symbol = query.get("symbol");
  const timeframe = query.get("timeframe");
  return (
    series.find((each) => each.symbol === symbol && (!timeframe || each.timeframe === timeframe)) ??
    series.find((each) => each.symbol === symbol) ??
    series[0]
  );
}

async function drawHead(head, series, chosen, training, goTo, life) {
  const key = (each) => `${each.symbol} ${each.timeframe}`;
  const picker = h(
    "select",
    { id: "series" },
    series.map((each) => h("option", { value: key(each), selected: each === chosen }, key(each))),
  );
  picker.addEventListener("change", () => {
    const [symbol, timeframe] = picker.value.split(" ");
    goTo({ symbol, timeframe, training: "" });
  });
  const { operations } = await get("/operations", { type: "TRAINING", limit: 200 }, life);
  const fitting = operations.filter(
    (each) => each.metadata.symbols?.includes(chosen.symbol) && each.metadata.timeframes?.includes(chosen.timeframe),
  );
  const trainings = h(
    "select",
    {
      id: "training",
      onchange: (event) => goTo({ symbol: chosen.symbol, timeframe: chosen.timeframe, training: event.target.value }),
    },
    h("option", { value: "" }, "none"),
    fitting.map((each) =>
      h(
        "option",
        { value: each.operation_id, selected: each.operation_id === training },
        `${what(each).title} ${each.operation_id.split("_").at(-1)}`,
      ),
    ),
  );
  const controls = Object.fromEntries(
    ["Indicators", "Labels", "Predictions", "Gaps"].map((name) => [
      name.toLowerCase(),
      h("input", { type: "checkbox", checked: true }),
    ]),
  );
  const toggles = Object.entries(controls).map(([name, box]) =>
    h("label", { class: "toggle" }, box, name[0].toUpperCase() + name.slice(1)),
  );
  const about = `${integer(chosen.rows)} bars, ${day(chosen.first)} to ${day(chosen.last)}, from ${chosen.provider}, ${bytes(chosen.size_bytes)}`;
  replace(
    head,
    h("div", { class: "row" }, h("h1", {}, "Market"), h("span", { class: "muted" }, about)),
    h(
      "div",
      { class: "row filters" },
      h("label", { for: "series" }, "Series"),
      picker,
      h("label", { for: "training" }, "as seen by"),
      trainings,
      h("div", { class: "row toggles", role: "group", "aria-label": "Shown" }, toggles),
    ),
  );
  return controls;
}

/**
 * The chart holds a window of the bars, and when many are in sight several of them as one candle: what it costs does not
 * grow with the series. The window moves when the person rests.
 */
class MarketChart {
  constructor({ symbol, timeframe }, training, controls, life) {
    Object.assign(this, { symbol, timeframe, training, controls, life });
    this.path = `${encodeURIComponent(symbol)}/${timeframe}`;
    this.isLoading = false;
    this.isHeld = false;
    this.note = h("p", { class: "ohlc", role: "status" }, "…");
    this.chart = new Chart(life, {
      label: `Candles of ${symbol} ${timeframe} with volume${training ? ", indicators, labels and predictions" : ""}`,
      height: 480,
      options: { timeScale: { timeVisible: SECONDS[timeframe] < DAY, secondsVisible: false, rightOffset: 4 } },
    });
    this.key =
      training &&
      h(
        "p",
        { class: "muted after" },
        "Lower strip: the label that came true. Upper strip: whether the model was right; arrows, when zoomed in, what it said.",
      );
    this.gaps = new Bands("warn");
    this.judged = h("details", { class: "judged", hidden: true });
    this.lines = new Set();
  }

  async begin() {
    if (!this.chart.isReady) return;
    this._addFixedSeries();
    this.bars = new Bars(await this._page(FIRST_BARS));
    const last = this.bars.length;
    this._show(Math.max(0, last - 160), last + 4);
    this._listen();
    await this._check();
  }

  _addFixedSeries() {
    const { chart } = this;
    const candles = () => ({
      upColor: color("up"),
      downColor: color("down"),
      wickUpColor: color("up"),
      wickDownColor: color("down"),
      borderVisible: false,
      priceLineVisible: false,
    });
    const quiet = { priceLineVisible: false, lastValueVisible: false };
    chart.isFollowing = false;
    chart.addSeries("candles", "CandlestickSeries", candles(), 0, { label: null, recolor: candles });
    chart.addSeries(
      "volume",
      "HistogramSeries",
      { priceScaleId: "volume", priceFormat: { type: "volume" }, ...quiet },
      0,
      { label: null },
    );
    this._place("candles", 0.08, 0.2);
    this._place("volume", 0.84, 0.06);
    for (const [name, top] of [
      ["labels", 0.975],
      ["predictions", 0.945],
    ]) {
      chart.addSeries(name, "HistogramSeries", { priceScaleId: name, ...quiet }, 0, { label: null });
      this._place(name, top, 0.975 - top);
    }
    chart.attach("candles", this.gaps);
  }

  _place(name, top, bottom) {
    this.chart.series.get(name).series.priceScale().applyOptions({ scaleMargins: { top, bottom } });
  }

  // -- pulling -------------------------------------------------------------------------------------------------------

  _page(limit, before) {
    return get(`/charts/${this.path}`, { before, limit, training: this.training }, this.life);
  }

  async _loadOlder() {
    if (this.isLoading || this.bars.first_row === 0 || this.bars.length >= MOST_BARS) return;
    this.isLoading = true;
    try {
      const before = this.bars.length;
      this.bars.prepend(await this._page(MORE_BARS, new Date(this.bars.time[0] * 1000).toISOString()));
      const added = this.bars.length - before;
      this.window = { ...this.window, from: this.window.from + added, to: this.window.to + added };
    } finally {
      this.isLoading = false;
    }
    this._settle();
  }

  /** What the series lacks, as the server judges it; the chart need not wait for that. */
  async _check() {
    this.quality = await get(`/data/${this.path}/quality`, {}, this.life);
    this._drawGaps();
    const { verdict, score, faults, calendar } = this.quality;
    const told = faults.map((fault) =>
      h("li", {}, h("span", { class: COLORS[fault.severity] ?? "muted" }, words(fault.severity)), " ", fault.message),
    );
    const grade = h("b", { class: COLORS[verdict] ?? "warn" }, `${words(verdict)}, ${score} of 100`);
    replace(
      this.judged,
      h("summary", {}, "Quality: ", grade, h("span", { class: "muted" }, ` by the calendar ${calendar.name}`)),
      told.length
        ? h("ul", { class: "faults" }, told)
        : h("p", { class: "muted" }, "Nothing is missing, and nothing is odd."),
    );
    showIf(this.judged, true);
  }

  _listen() {
    const rest = debounce(RESTING_MS, () => this._settle());
    this.chart.api.timeScale().subscribeVisibleLogicalRangeChange(rest);
    this.chart.api.subscribeCrosshairMove((move) => this._tell(move));
    this.chart.canvas.addEventListener("pointerdown", () => this._hold(true));
    for (const event of ["pointerup", "pointercancel"])
      addEventListener(event, () => this._hold(false) ?? rest(), { signal: this.life });
    const redraw = () => this._show(...this._inSight());
    for (const box of Object.values(this.controls)) box.addEventListener("change", redraw);
    document.addEventListener("theme", redraw, { signal: this.life });
  }

  _hold(isHeld) {
    this.isHeld = isHeld;
  }

  // -- the window ----------------------------------------------------------------------------------------------------

  /** Rows at the left and the right edge. */
  _inSight() {
    const { from, to } = this.chart.api.timeScale().getVisibleLogicalRange();
    return [this.window.from + from * this.window.factor, this.window.from + to * this.window.factor];
  }

  _settle() {
    if (this.isHeld || this.life.aborted || !this.chart.api.timeScale().getVisibleLogicalRange()) return;
    const [left, right] = this._inSight();
    const width = right - left;
    const { from, to, factor } = this.window;
    const lacksLeft = left - width / 2 < from && from > 0;
    const lacksRight = right + width / 2 > to && to < this.bars.length;
    if (factorFor(width) !== factor || lacksLeft || lacksRight) this._show(left, right);
    else this._markVisible(left, right);
    if (left - 2 * width < 0) this._loadOlder().catch(() => {});
  }

  /** Draws what lies between two rows and as much again on either side, in as few candles as can be told apart. */
  _show(left, right) {
    const width = right - left;
    const factor = factorFor(width);
    const from = Math.max(0, Math.floor((left - 1.5 * width) / factor) * factor);
    const to = Math.min(this.bars.length, Math.ceil(right + 1.5 * width));
    this.window = { from, to, factor };
    this._draw();
    this.chart.api.timeScale().setVisibleLogicalRange({ from: (left - from) / factor, to: (right - from) / factor });
    this._markVisible(left, right);
  }

  // -- drawing -------------------------------------------------------------------------------------------------------

  _draw() {
    const { bars, chart } = this;
    const { from, to, factor } = this.window;
    const starts = bars.groups(from, to, factor);
    const candles = starts.map((start) => bars.candle(start, factor));
    const [up, down] = [faded("up", 0.35), faded("down", 0.35)];
    chart.set("candles", candles);
    chart.set(
      "volume",
      candles.map((candle, index) => ({
        time: candle.time,
        value: bars.traded(starts[index], factor),
        color: candle.close >= candle.open ? up : down,
      })),
    );
    this._drawIndicators(starts);
    this._drawLabels(starts);
    this._drawPredictions(starts);
    this._drawGaps();
    this._tell({});
  }

  _drawIndicators(starts) {
    const shown = this.controls.indicators.checked ? this.bars.indicators : [];
    const panes = [...new Set(shown.filter((line) => !line.on_price).map((line) => line.group))].slice(0, MOST_PANES);
    const drawn = shown.filter((line) => line.on_price || panes.includes(line.group));
    for (const name of this.lines) {
      if (drawn.some((line) => line.name === name)) continue;
      this.chart.remove(name);
      this.lines.delete(name);
    }
    drawn.forEach((line, index) => {
      if (!this.lines.has(line.name)) this._addIndicator(line, index, panes.indexOf(line.group) + 1);
      this.chart.set(line.name, pointsOf(this.bars.time, line.values, starts));
    });
    this._sharePanes(panes.length);
  }

  _addIndicator(line, index, pane) {
    const format = (value) => (Math.abs(value) >= 1000 ? integer(value) : value.toPrecision(4));
    this.chart.addLine(line.name, {
      colorName: LINES[index % LINES.length],
      format,
      pane: line.on_price ? 0 : pane,
      width: 1,
    });
    this.lines.add(line.name);
  }

  _sharePanes(count) {
    for (const [index, pane] of this.chart.api.panes().entries()) pane.setStretchFactor(index ? 0.22 : 1);
    this.chart.canvas.style.height = `${480 + 96 * count}px`;
  }

  _drawLabels(starts) {
    const { labels, time } = this.bars;
    if (!labels || !this.controls.labels.checked) {
      this.chart.set("labels", []);
      return;
    }
    const colors = labels.class_names.map((_, index, all) => classColor(index, all.length));
    this.chart.set(
      "labels",
      strip(time, starts, (row) => colors[labels.classes[row]]),
    );
  }

  _drawPredictions(starts) {
    const isShown = this.bars.predictions && this.controls.predictions.checked;
    const [right, wrong] = [faded("good", 0.9), faded("bad", 0.9)];
    const colorOf = (row) => ({ true: right, false: wrong })[this.bars.wasRight(row)];
    this.chart.set("predictions", isShown ? strip(this.bars.time, starts, colorOf) : []);
  }

  /** Arrows where there is room for them. */
  _markVisible(left, right) {
    const { bars } = this;
    const isShown = bars.predictions && this.controls.predictions.checked && right - left <= MOST_MARKED;
    const marks = [];
    for (let row = Math.max(0, Math.floor(left)); isShown && row < Math.min(bars.length, right); row += 1) {
      const index = bars.saidAt.get(bars.time[row]);
      if (index !== undefined) marks.push(arrow(bars, row, index));
    }
    this.chart.mark("candles", marks);
  }

  _drawGaps() {
    if (!this.quality || !this.controls.gaps.checked) {
      this.gaps.set([]);
      return;
    }
    const { from, factor } = this.window;
    const rows = this.quality.gaps
      .map(({ first }) => this.bars.rowFrom(Date.parse(first) / 1000))
      .filter((row) => row > 0 && row < this.bars.length);
    this.gaps.set(rows.map((row) => [Math.floor((row - from - 1) / factor), Math.ceil((row - from) / factor)]));
  }

  _tell(move) {
    const {
      bars,
      window: { from, factor },
    } = this;
    const start =
      move.logical === undefined || move.time === undefined
        ? bars.length - factor
        : from + Math.round(move.logical) * factor;
    if (start < 0 || start >= bars.length) return;
    const candle = bars.candle(start, factor);
    const price = (value) => value.toPrecision(6).replace(/\.?0+$/, "");
    const at = new Date(candle.time * 1000)
      .toISOString()
      .replace("T", " ")
      .slice(0, SECONDS[this.timeframe] < DAY ? 16 : 10);
    const said = factor === 1 && this._said(start);
    const loaded = `${factor > 1 ? `${factor} bars a candle, ` : ""}${integer(bars.length)} of ${integer(bars.total)} bars loaded`;
    replace(
      this.note,
      h("b", {}, at),
      ["open", "high", "low", "close"].map((column) =>
        h("span", {}, h("small", {}, column), " ", price(candle[column])),
      ),
      h("span", {}, h("small", {}, "volume"), " ", integer(bars.traded(start, factor))),
      said && h("span", {}, said),
      h("span", { class: "muted end" }, loaded),
    );
  }

  _said(row) {
    const { labels, predictions, saidAt, time } = this.bars;
    const label = labels && labels.classes[row] !== null && `label ${labels.class_names[labels.classes[row]]}`;
    const index = saidAt.get(time[row]);
    const confidence =
      index !== undefined && predictions.confidence ? ` (${Math.round(100 * predictions.confidence[index])} %)` : "";
    const predicted = index !== undefined && `predicted ${predictions.predicted[index]}${confidence}`;
    return [label, predicted].filter(Boolean).join(", ");
  }
}

/** A power of two, so that candles keep their borders from one to the next. */
const factorFor = (width) => 2 ** Math.max(0, Math.ceil(Math.log2(width / MOST_CANDLES)));

/** A bar without a value is a place without a line. */
const pointsOf = (time, values, starts) =>
  starts.map((row) => (values[row] === null ? { time: time[row] } : { time: time[row], value: values[row] }));

const strip = (time, starts, colorOf) =>
  starts.flatMap((row) => {
    const shown = colorOf(row);
    return shown ? [{ time: time[row], value: 1, color: shown }] : [];
  });

function classColor(index, count) {
  if (index === 0) return color("down");
  return index === count - 1 ? color("up") : faded("muted", 0.6);
}

function arrow(bars, row, index) {
  const said = bars.predictions.predicted[index];
  const isUp = typeof said === "number" ? said > 0 : /up|upper|long|high/.test(said);
  const isDown = typeof said === "number" ? said <= 0 : /down|lower|short|low/.test(said);
  return {
    time: bars.time[row],
    position: isUp ? "belowBar" : "aboveBar",
    shape: isUp ? "arrowUp" : isDown ? "arrowDown" : "circle",
    color: color(bars.wasRight(row) ? "good" : "bad"),
    size: 0.6,
  };
}
