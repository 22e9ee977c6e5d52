// Elements without markup in strings: text is always text, so nothing that a server sends can become a script.

const SVG = "http://www.w3.org/2000/svg";

export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  append(element, children);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
  else if (name === "data") Object.assign(element.dataset, value);
  else if (name === "value" && "value" in element) element.value = value;
  else element.setAttribute(name, value === true ? "" : value);
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

export function replace(parent, ...children) {
  parent.replaceChildren();
  append(parent, children);
  return parent;
}

/** Sets text only where it differs, so that nothing is laid out again for nothing. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element, isShown) {
  if (element.hidden === isShown) element.hidden = !isShown;
}

/** A panel with a heading; `id` lets it be linked and labels it. */
export function panel(title, attributes = {}, ...children) {
  const { note, wide, ...others } = attributes;
  const heading = h("h2", {}, title);
  const head = note ? h("div", { class: "panel-head" }, heading, h("span", { class: "muted" }, note)) : heading;
  return h("section", { class: wide ? "panel wide" : "panel", "aria-label": title, ...others }, head, children);
}

export function emptyState(title, text, ...actions) {
  return h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), h("p", {}, text), actions);
}

/** What went wrong, why, and what to do. */
export function problemCard(problem) {
  return h(
    "div",
    { class: "problem", role: "alert" },
    h("p", { class: "problem-detail" }, problem.detail || problem.message || String(problem)),
    problem.hint && h("p", { class: "problem-hint" }, problem.hint),
    problem.code && h("p", { class: "problem-code" }, problem.code),
  );
}

export function definition(pairs) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined);
  return h(
    "dl",
    { class: "facts" },
    rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

export function debounce(wait, task) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(task, wait, ...args);
  };
}
