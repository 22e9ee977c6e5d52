// Small pictures beside numbers, as SVG: sparklines, meters, shares, dots with their errors, confusion, calibration.

import { h, svg } from "./dom.js";
import { integer, percent } from "./format.js";

const path = (points) => points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

export function sparkline(values, { width = 96, height = 26, label = "" } = {}) {
  const known = values.filter((value) => Number.isFinite(value));
  if (known.length < 2) return h("span", { class: "spark none", "aria-hidden": "true" });
  const low = Math.min(...known);
  const span = Math.max(...known) - low || 1;
  const points = known.map((value, index) => [
    2 + ((width - 4) * index) / (known.length - 1),
    3 + (height - 6) * (1 - (value - low) / span),
  ]);
  const [x, y] = points.at(-1);
  return svg(
    "svg",
    { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    svg("path", { d: path(points) }),
    svg("circle", { cx: x, cy: y, r: 2.2 }),
  );
}

/** A bar of `share` (0 to 1); `state` picks its colour. */
export function meter(share, label, state = "") {
  const fill = h("i", { style: { width: `${Math.min(100, 100 * share)}%` } });
  return h("div", { class: `meter ${state}`, role: "img", "aria-label": label }, fill);
}

/** One bar made of parts, with their names and sizes beneath. */
export function stacked(parts, format = percent) {
  const total = parts.reduce((sum, part) => sum + part.value, 0) || 1;
  const bar = parts.map((part, index) =>
    h("i", {
      class: `part c${(index % 6) + 1}`,
      style: { width: `${(100 * part.value) / total}%` },
      title: `${part.name}: ${format(part.value)}`,
    }),
  );
  const names = parts.map((part, index) =>
    h("li", {}, h("i", { class: `dot c${(index % 6) + 1}` }), h("span", {}, part.name), h("b", {}, format(part.value))),
  );
  const told = parts.map((part) => `${part.name} ${format(part.value)}`).join(", ");
  return h(
    "div",
    { class: "stacked" },
    h("div", { class: "stack", role: "img", "aria-label": told }, bar),
    h("ul", { class: "keys" }, names),
  );
}

/** Rows of dots on one axis, each with what its error reaches over. */
export function dots(rows, { format = percent, label }) {
  const ends = rows.flatMap((row) => [row.value, row.low, row.high]).filter((value) => Number.isFinite(value));
  const low = Math.min(...ends);
  const span = Math.max(...ends) - low || 1;
  const at = (value) => `${4 + (92 * (value - low)) / span}%`;
  const drawn = rows.map((row) =>
    h(
      "li",
      { class: row.isMain ? "main" : "" },
      h("span", { class: "dots-name" }, row.name),
      h(
        "span",
        { class: "dots-line", "aria-hidden": "true" },
        Number.isFinite(row.low) &&
          h("i", { class: "reach", style: { left: at(row.low), width: `${(92 * (row.high - row.low)) / span}%` } }),
        h("i", { class: "point", style: { left: at(row.value) } }),
      ),
      h("b", {}, format(row.value)),
    ),
  );
  return h("ul", { class: "dots", "aria-label": label }, drawn);
}

export function confusion(matrix, names) {
  const rows = matrix.map((row, index) => {
    const total = row.reduce((sum, count) => sum + count, 0) || 1;
    const cells = row.map((count, column) =>
      h(
        "td",
        { class: index === column ? "right" : "wrong" },
        h("i", { style: { opacity: (0.08 + (0.62 * count) / total).toFixed(2) } }),
        h("b", {}, integer(count)),
        h("small", {}, percent(count / total, 0)),
      ),
    );
    return h("tr", {}, h("th", { scope: "row" }, names[index]), cells);
  });
  const head = h(
    "tr",
    {},
    h("td", { class: "corner" }, "was ↓ · taken for →"),
    names.map((name) => h("th", { scope: "col" }, name)),
  );
  return h("table", { class: "confusion" }, h("thead", {}, head), h("tbody", {}, rows));
}

/** Confidence against accuracy, one dot a bin as large as its samples; on the diagonal the model knows what it knows. */
export function calibration({ bins, expected_error: error }) {
  const size = 200;
  const edge = 30;
  const shares = bins.flatMap((bin) => [bin.confidence, bin.accuracy]);
  const low = Math.max(0, Math.floor(Math.min(...shares) * 10 - 0.3) / 10);
  const high = Math.min(1, Math.ceil(Math.max(...shares) * 10 + 0.3) / 10);
  const at = (value) => edge + ((size - edge - 16) * (value - low)) / (high - low);
  const up = (value) => size - at(value);
  const most = Math.max(...bins.map((bin) => bin.samples));
  const circles = bins.map((bin) =>
    svg(
      "circle",
      { cx: at(bin.confidence), cy: up(bin.accuracy), r: 3 + 4 * Math.sqrt(bin.samples / most) },
      svg("title", {}, `says ${percent(bin.confidence)}, is right ${percent(bin.accuracy)} of ${integer(bin.samples)}`),
    ),
  );
  const ticks = [low, (low + high) / 2, high].flatMap((value) => [
    svg("text", { x: at(value), y: size - 10, "text-anchor": "middle" }, percent(value, 0)),
    svg("text", { x: edge - 4, y: up(value) + 3, "text-anchor": "end" }, percent(value, 0)),
  ]);
  return svg(
    "svg",
    {
      class: "calibration",
      viewBox: `0 0 ${size} ${size}`,
      role: "img",
      "aria-label": `Calibration: expected error ${percent(error)}`,
    },
    svg("path", { class: "axis", d: `M${edge} 16V${size - edge}H${size - 16}` }),
    svg("path", { class: "ideal", d: `M${at(low)} ${up(low)}L${at(high)} ${up(high)}` }),
    ticks,
    circles,
  );
}
