// Elements without markup in strings: text is always text, so nothing that a server sends can become a script.

/** @import { OperationError } from "./types.d.ts" */

/**
 * @typedef {Node | string | number | null | undefined | false | Child[]} Child What is empty or false is left out.
 *
 * @typedef {string | number | boolean | null | undefined | Record<string, string> | ((event: Event) => unknown)} Value
 *   `style` and `data` are objects, names that begin with "on" have listeners; null and false leave an attribute out.
 *
 * @typedef {Record<string, Value>} Attributes
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} [attributes]
 * @param {...Child} children
 */
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/**
 * @template {HTMLElement | SVGElement} Element
 * @param {Element} element
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  append(element, children);
  return element;
}

/**
 * @param {HTMLElement | SVGElement} element
 * @param {string} name
 * @param {Value} value
 */
function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") element.addEventListener(name.slice(2), value);
  else if (typeof value === "object") setGroup(element, name, value);
  else if (name === "value" && "value" in element) element.value = value;
  else element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * @param {HTMLElement | SVGElement} element
 * @param {string} name
 * @param {Record<string, string>} values
 */
function setGroup(element, name, values) {
  if (name === "data") Object.assign(element.dataset, values);
  else for (const [key, value] of Object.entries(values)) element.style.setProperty(key, value);
}

/**
 * @param {Element} parent
 * @param {Child[]} children
 */
function append(parent, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child instanceof Node) parent.append(child);
    else if (child !== null && child !== undefined && child !== false) parent.append(String(child));
  }
}

/**
 * @template {Element} Parent
 * @param {Parent} parent
 * @param {...Child} children
 */
export function replace(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
  return parent;
}

/**
 * The page's own element with that id.
 * @param {string} id
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element;
}

/**
 * Sets text only where it differs, so that nothing is laid out again for nothing.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {HTMLElement} element
 * @param {boolean} isShown
 */
export function showIf(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/**
 * A panel with a heading, which labels it too.
 * @param {string} title
 * @param {{ note?: Child, wide?: boolean }} [options]
 * @param {...Child} children
 */
export function panel(title, { note, wide = false } = {}, ...children) {
  const heading = h("h2", {}, title);
  const head = note ? h("div", { class: "panel-head" }, heading, h("span", { class: "muted" }, note)) : heading;
  return h("section", { class: wide ? "panel wide" : "panel", "aria-label": title }, head, children);
}

/**
 * @param {string} label
 * @param {HTMLInputElement | HTMLSelectElement} input
 */
export const field = (label, input) => h("div", { class: "field" }, h("label", { for: input.id }, label), input);

/**
 * @param {string} title
 * @param {string} text
 * @param {...Child} actions
 */
export function emptyState(title, text, ...actions) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), h("p", {}, text), actions);
}

/**
 * What went wrong, why, and what to do.
 * @param {unknown} problem a Problem, another error, or an operation's error
 */
export function problemCard(problem) {
  const { detail, message, hint, code } = /** @type {Partial<OperationError & Error>} */ (problem);
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", { class: "problem-detail" }, detail || message || String(problem)),
    hint && h("p", { class: "problem-hint" }, hint),
    code && h("p", { class: "problem-code" }, code),
  );
}

/**
 * Names and values; those without a value are left out.
 * @param {[string, Child][]} facts
 */
export function definitions(facts) {
  const present = facts.filter(([, value]) => value !== null && value !== undefined);
  return h(
    "dl",
    { class: "facts" },
    present.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

/** @typedef {[name: string, value: string, more?: string | false]} Tile */

/**
 * Key figures side by side.
 * @param {Tile[]} all
 */
export function tileRow(all) {
  const boxes = all.map(([name, value, more]) => {
    const texts = [h("div", { class: "name" }, name), h("div", { class: "value" }, value)];
    return h("div", { class: "tile" }, texts, h("div", { class: "tile-more" }, more || "\u00a0"));
  });
  return h("div", { class: "tiles" }, boxes);
}

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {boolean} [isNumber]
 * @property {string} [class]
 */

/**
 * A table; the first cell of a row is its heading.
 * @param {Column[]} columns
 * @param {Child[][]} rows
 * @param {string} [className]
 */
export function table(columns, rows, className = "") {
  const classes = columns.map((column) => (column.isNumber ? "number" : column.class));
  const head = columns.map(({ title }, index) =>
    title ? h("th", { scope: "col", class: classes[index] }, title) : h("td", {}),
  );
  const body = rows.map(([heading, ...cells]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, heading),
      cells.map((cell, index) => h("td", { class: classes[index + 1] }, cell)),
    ),
  );
  return h("table", { class: `plain ${className}` }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body));
}

/**
 * Calls `task` once `wait` milliseconds have passed without another call.
 * @param {number} wait
 * @param {() => unknown} task
 */
export function debounce(wait, task) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(task, wait);
  };
}
