// Lines and candles, drawn by TradingView's Lightweight Charts on a canvas; colours come from the style sheet.

import { h, setText, show } from "./dom.js";

const Library = globalThis.LightweightCharts;

/** The library walks through a whole series with each new point: more than so many are set together with the old ones. */
const FEW_POINTS = 2;

export function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function faded(name, alpha) {
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(color(name).slice(at, at + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

function look() {
  return {
    layout: {
      attributionLogo: false,
      background: { type: "solid", color: "transparent" },
      textColor: color("muted"),
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      panes: { separatorColor: color("line"), separatorHoverColor: color("line"), enableResize: true },
    },
    grid: { vertLines: { color: color("grid") }, horzLines: { color: color("grid") } },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.06 } },
    timeScale: { borderVisible: false },
    crosshair: {
      vertLine: { color: color("muted"), labelBackgroundColor: color("label") },
      horzLine: { color: color("muted"), labelBackgroundColor: color("label") },
    },
  };
}

/**
 * A box with a chart in it: keyboard, resizing, colours and end of life are the same for all.
 * `isOfNumbers`: the horizontal axis counts (epochs) and is no time.
 */
export class Chart {
  constructor(life, { label, height = 220, isOfNumbers = false, options = {} }) {
    this.legend = h("div", { class: "legend" });
    this.canvas = h("div", {
      class: "canvas",
      role: "img",
      "aria-label": label,
      tabindex: "0",
      style: { height: `${height}px` },
    });
    this.box = h("figure", { class: "chart" }, this.legend, this.canvas);
    this.series = new Map();
    this.isFollowing = true;
    if (!Library) {
      this.canvas.append(h("p", { class: "empty" }, "The chart library is not installed: pip install lwcharts==0.3.0"));
      return;
    }
    const create = isOfNumbers ? Library.createOptionsChart : Library.createChart;
    this.api = create(this.canvas, { autoSize: true, ...look(), ...options });
    this.api.timeScale().applyOptions({ minBarSpacing: 0.002, enableConflation: true, ...options.timeScale });
    this._followTheme(life);
    this._listen();
    this._fitWhenLaidOut(life);
    this.api.subscribeCrosshairMove((move) => this._showValues(move));
    life.addEventListener("abort", () => this.api.remove());
  }

  get isReady() {
    return Boolean(this.api);
  }

  /** A line; `format` makes text of its values. */
  addLine(name, { colorName, format, pane = 0, isStep = false, dash = 0, width = 2, scale, label }) {
    if (!this.isReady) return;
    const options = {
      color: color(colorName),
      lineWidth: width,
      lineType: isStep ? 1 : 0,
      lineStyle: dash,
      priceLineVisible: false,
      lastValueVisible: false,
      crosshairMarkerRadius: 3,
      priceFormat: { type: "custom", formatter: format, minMove: 1e-6 },
      ...(scale === undefined ? {} : { priceScaleId: scale }),
    };
    this._keep(name, this.api.addSeries(Library.LineSeries, options, pane), { colorName, format, label });
  }

  addSeries(name, kind, options, pane = 0, told = {}) {
    if (this.isReady) this._keep(name, this.api.addSeries(Library[kind], options, pane), told);
  }

  _keep(name, series, { colorName, format, label, recolor }) {
    const value = h("span", { class: "legend-value" });
    const item =
      label === null
        ? null
        : h(
            "span",
            { class: "legend-item" },
            h("i", { style: { background: `var(--${colorName})` } }),
            label ?? name,
            value,
          );
    if (item) this.legend.append(item);
    this.series.set(name, { series, colorName, format, value, item, recolor, last: null, points: [] });
  }

  remove(name) {
    const kept = this.series.get(name);
    if (!kept) return;
    this.api.removeSeries(kept.series);
    kept.item?.remove();
    this.series.delete(name);
  }

  set(name, points) {
    const kept = this.series.get(name);
    if (!kept) return;
    kept.series.setData(points);
    kept.points = points;
    this._showLast(kept, points.at(-1));
    this.fit();
  }

  append(name, points) {
    const kept = this.series.get(name);
    if (!kept || !points.length) return;
    kept.points.push(...points);
    if (points.length > FEW_POINTS) kept.series.setData(kept.points);
    else for (const point of points) kept.series.update(point);
    this._showLast(kept, points.at(-1));
    this.fit();
  }

  /** Everything in view, unless the person looks at something in particular. */
  fit() {
    if (this.isReady && this.isFollowing) this.api.timeScale().fitContent();
  }

  /** A dashed level as long as the line `name`, in view like any other line. */
  addLevel(name, value, label, colorName) {
    const kept = this.series.get(name);
    const [first, last] = [kept?.points.at(0), kept?.points.at(-1)];
    if (!first) return;
    this.addLine(label, { colorName, format: kept.format, dash: 2, width: 1 });
    this.set(
      label,
      [first, last].filter((_, index) => !index || last.time > first.time).map(({ time }) => ({ time, value })),
    );
  }

  mark(name, marks) {
    const kept = this.series.get(name);
    if (!kept) return;
    kept.marks ??= Library.createSeriesMarkers(kept.series, [], { autoScale: false });
    kept.marks.setMarkers(marks);
  }

  attach(name, primitive) {
    this.series.get(name)?.series.attachPrimitive(primitive);
  }

  _showLast(kept, point) {
    if (!point) return;
    kept.last = point.value ?? point.close;
    if (kept.format) setText(kept.value, kept.format(kept.last));
  }

  _showValues(move) {
    for (const kept of this.series.values()) {
      if (!kept.format) continue;
      const point = move.time === undefined ? null : move.seriesData.get(kept.series);
      const value = point ? (point.value ?? point.close) : move.time === undefined ? kept.last : null;
      setText(kept.value, value === null || value === undefined ? "" : kept.format(value));
    }
  }

  /** A chart that is filled before it is in the page has no width to fit into yet. */
  _fitWhenLaidOut(life) {
    const watcher = new ResizeObserver(() => {
      if (this.canvas.clientWidth) requestAnimationFrame(() => !life.aborted && this.fit());
    });
    watcher.observe(this.canvas);
    life.addEventListener("abort", () => watcher.disconnect());
  }

  _followTheme(life) {
    document.addEventListener("theme", () => this._recolor(), { signal: life });
  }

  _recolor() {
    this.api.applyOptions(look());
    for (const kept of this.series.values()) {
      if (kept.recolor) kept.series.applyOptions(kept.recolor());
      else if (kept.colorName) kept.series.applyOptions({ color: color(kept.colorName) });
    }
  }

  _listen() {
    const leave = () => {
      this.isFollowing = false;
    };
    for (const event of ["wheel", "pointerdown"]) this.canvas.addEventListener(event, leave, { passive: true });
    this.canvas.addEventListener("dblclick", () => this._return());
    this.canvas.addEventListener("keydown", (event) => this._onKey(event));
    this.canvas.title = "Drag or arrow keys move, wheel or + and − zoom, double click or Home shows all";
  }

  _return() {
    this.isFollowing = true;
    this.fit();
  }

  _onKey(event) {
    const range = this.api.timeScale().getVisibleLogicalRange();
    if (!range) return;
    const width = range.to - range.from;
    const moves = {
      ArrowLeft: [-0.2, -0.2],
      ArrowRight: [0.2, 0.2],
      "+": [0.2, -0.2],
      "=": [0.2, -0.2],
      "-": [-0.25, 0.25],
    };
    if (event.key === "Home") this._return();
    else if (moves[event.key]) {
      const [from, to] = moves[event.key];
      this.isFollowing = false;
      this.api.timeScale().setVisibleLogicalRange({ from: range.from + from * width, to: range.to + to * width });
    } else return;
    event.preventDefault();
  }

  hideWhen(isEmpty) {
    show(this.box, !isEmpty);
  }
}

/** Vertical bands behind the candles; `bands` are pairs of places on the axis, as logical indices. */
export class Bands {
  constructor(colorName) {
    this.colorName = colorName;
    this.bands = [];
  }

  attached({ chart, requestUpdate }) {
    this.chart = chart;
    this.requestUpdate = requestUpdate;
  }

  set(bands) {
    this.bands = bands;
    this.requestUpdate?.();
  }

  paneViews() {
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this._draw(target) }) }];
  }

  _draw(target) {
    const scale = this.chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return;
    const visible = this.bands.filter(([from, to]) => to >= range.from && from <= range.to);
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio }) => {
      context.fillStyle = faded(this.colorName, 0.22);
      for (const [from, to] of visible) {
        const left = scale.logicalToCoordinate(from);
        const width = Math.max(2, scale.logicalToCoordinate(to) - left);
        context.fillRect(
          Math.round(left * horizontalPixelRatio),
          0,
          Math.ceil(width * horizontalPixelRatio),
          bitmapSize.height,
        );
      }
    });
  }
}
