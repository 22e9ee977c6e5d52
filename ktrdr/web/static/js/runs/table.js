// Runs as a table: headings that sort, and one row a run with a link to it.

/** @import { RunColumn, RunRow, RunTable, RunValue } from "../types.d.ts" */
/** @import { Child } from "../dom.js" */

import { h } from "../dom.js";
import { duration, instant, isNumber, percent, pValue, signedPercent, significant } from "../format.js";
import { STATE_TITLES } from "../meta.js";
import { shortId } from "../record.js";
import { direction } from "./query.js";

/** @type {Record<string, ((value: number) => string) | undefined>} */
const NUMBERS = {
  accuracy: (value) => percent(value),
  balanced_accuracy: (value) => percent(value),
  p: (value) => pValue(value),
  adjusted_p: (value) => pValue(value),
  total_return: (value) => signedPercent(value),
  drawdown: (value) => signedPercent(value),
  duration: (value) => duration(value),
};
const MARKS = { ascending: " ↑", descending: " ↓", none: "" };

/**
 * @param {RunTable} runs
 * @param {object} options
 * @param {string} options.sort
 * @param {Set<string>} options.chosen ids
 * @param {(column: RunColumn) => void} options.onSort
 * @param {(id: string, isChosen: boolean) => void} options.onChoose
 */
export function runTable({ columns, rows }, { sort, chosen, onSort, onChoose }) {
  const heads = columns.map((column) => heading(column, direction(sort, column.name), onSort));
  const lines = rows.map((row) => line(row, columns, chosen.has(row.operation_id), onChoose));
  const head = h("thead", {}, h("tr", {}, h("td", {}), heads));
  return h("table", { class: "plain runs" }, head, h("tbody", {}, lines));
}

/**
 * @param {RunColumn} column
 * @param {"ascending" | "descending" | "none"} order
 * @param {(column: RunColumn) => void} onSort
 */
function heading(column, order, onSort) {
  const { name, title, is_number: isOfNumbers } = column;
  const button = h(
    "button",
    { type: "button", title: name, data: { key: name }, onclick: () => onSort(column) },
    title,
  );
  const arrow = h("span", { "aria-hidden": "true" }, MARKS[order]);
  return h("th", { scope: "col", class: isOfNumbers && "number", "aria-sort": order }, button, arrow);
}

/**
 * @param {RunRow} row
 * @param {RunColumn[]} columns
 * @param {boolean} isChosen
 * @param {(id: string, isChosen: boolean) => void} onChoose
 */
function line({ operation_id: id, values }, columns, isChosen, onChoose) {
  const box = h("input", { type: "checkbox", checked: isChosen, "aria-label": `Choose ${id}`, data: { key: id } });
  box.addEventListener("change", () => onChoose(id, box.checked));
  const cells = columns.map(({ name, is_number: isOfNumbers }, index) =>
    h("td", { class: isOfNumbers ? "number" : name === "note" && "note" }, cell(name, values[index], id)),
  );
  return h("tr", { data: { id } }, h("td", {}, box), cells);
}

/**
 * @param {string} name of the column
 * @param {RunValue} value
 * @param {string} id of the run
 * @returns {Child}
 */
function cell(name, value, id) {
  const text = valueText(name, value);
  if (name === "id") return h("a", { class: "mono", href: `#/operations/${id}`, title: id }, shortId(id));
  if (name === "name") return h("a", { href: `#/operations/${id}` }, text || id);
  if (name === "whole") return h("a", { class: "mono", href: `#/operations/${text}`, title: text }, shortId(text));
  if (name === "tags" && Array.isArray(value)) return value.map((tag) => h("span", { class: "tag" }, tag));
  return text;
}

/**
 * @param {string} name of the column
 * @param {RunValue} value
 */
export function valueText(name, value) {
  if (value === null) return "";
  if (isNumber(value)) return NUMBERS[name]?.(value) ?? significant(value, 5);
  if (Array.isArray(value)) return value.join(", ");
  const text = String(value);
  if (name === "status" && text in STATE_TITLES) return STATE_TITLES[/** @type {keyof typeof STATE_TITLES} */ (text)];
  return name === "created" ? instant(text) : text;
}
