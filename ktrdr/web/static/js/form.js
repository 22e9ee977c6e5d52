// A form made from a JSON Schema: a field for each key, a choice for each variant, and what is wrong beside its field.

import { h, replace, setText } from "./dom.js";
import { words } from "./format.js";

/** What is offered next; the same one twice would be a fault. */
const USUAL = ["rsi", "sma", "macd", "bbands", "atr", "adx", "obv", "ema"];

const OPEN = new Set(["model", "training", "indicators"]);

export class SchemaForm {
  /** `catalogue` are the indicators there are; `onChange(document)` gets what was made of the form. */
  constructor(schema, catalogue, onChange) {
    this.schema = schema;
    this.catalogue = new Map(catalogue.map((each) => [each.name, each]));
    this.onChange = onChange;
    this.document = {};
    this.element = h("div", { class: "schema-form" });
  }

  draw(document) {
    this.document = structuredClone(document);
    this._draw();
  }

  _draw() {
    const isOpen = new Map(
      [...this.element.querySelectorAll("details[data-path]")].map((each) => [each.dataset.path, each.open]),
    );
    this.places = new Map();
    const names = h(
      "datalist",
      { id: "indicator-names" },
      [...this.catalogue.values()].map(({ name, title }) => h("option", { value: name }, title)),
    );
    const plain = [];
    const sections = [];
    for (const [key, schema] of Object.entries(this.schema.properties)) {
      const place = this._place([key], schema);
      if (place.isGroup) sections.push(section(key, place, isOpen.get(key) ?? OPEN.has(key)));
      else plain.push(place.element);
    }
    replace(this.element, names, h("div", { class: "fields" }, plain), sections);
  }

  // -- one key of the schema -------------------------------------------------------------------------------------------

  _place(path, raw) {
    const schema = this._simple(raw);
    const value = at(this.document, path) ?? schema.default;
    if (path.join(".") === "indicators")
      return { isGroup: true, description: schema.description, element: this._indicators(path) };
    if (schema.discriminator) return this._variants(path, schema);
    if (schema.type === "object") return this._group(path, schema);
    return { isGroup: false, element: this._field(path, schema, value) };
  }

  /** References followed, and "or null" taken apart. */
  _simple(schema) {
    const { $ref: reference, anyOf, ...own } = schema;
    if (reference) return { ...this._simple(this._defined(reference)), ...own };
    const others = anyOf?.filter((each) => each.type !== "null");
    if (!others) return own;
    const isNullable = others.length < anyOf.length;
    if (others.length > 1) return { ...own, isNullable, type: "text", hasNumbers: true };
    return { ...this._simple(others[0]), ...own, isNullable };
  }

  _defined(reference) {
    return this.schema.$defs[reference.split("/").at(-1)];
  }

  _group(path, schema) {
    if (schema.isNullable) return this._optional(path, schema);
    const places = Object.entries(schema.properties).map(([key, each]) => this._place([...path, key], each));
    return { isGroup: true, description: schema.description, element: arranged(places) };
  }

  /** A group that may be absent as a whole, behind a box to tick. */
  _optional(path, schema) {
    const isOn = at(this.document, path) !== undefined;
    const box = h("input", { type: "checkbox", id: idOf(path), checked: isOn });
    box.addEventListener("change", () => {
      const needed = Object.fromEntries(
        (schema.required ?? []).map((key) => [key, suggested(key, schema.properties[key])]),
      );
      this._set(path, box.checked ? needed : undefined, true);
    });
    const inner = isOn
      ? arranged(Object.entries(schema.properties).map(([key, each]) => this._place([...path, key], each)))
      : null;
    const element = h(
      "div",
      { class: "optional" },
      h(
        "label",
        { class: "row", for: box.id },
        box,
        words(path.at(-1)),
        h("small", { class: "muted" }, schema.description),
      ),
      inner,
    );
    return { isGroup: false, element };
  }

  _variants(path, { discriminator, description }) {
    const types = Object.keys(discriminator.mapping);
    const current = at(this.document, [...path, "type"]) ?? types[0];
    const variant = this._defined(discriminator.mapping[current] ?? discriminator.mapping[types[0]]);
    const select = h(
      "select",
      { id: idOf([...path, "type"]) },
      types.map((type) => h("option", { value: type, selected: type === current }, type)),
    );
    select.addEventListener("change", () => {
      const known = Object.keys(this._defined(discriminator.mapping[select.value]).properties);
      const kept = Object.entries(at(this.document, path) ?? {}).filter(
        ([key]) => known.includes(key) && key !== "type",
      );
      this._set(path, { type: select.value, ...Object.fromEntries(kept) }, true);
    });
    const chooser = this._framed([...path, "type"], "Type", variant.description, select);
    const places = Object.entries(variant.properties)
      .filter(([key]) => key !== "type")
      .map(([key, each]) => this._place([...path, key], each));
    return { isGroup: true, description, element: arranged([{ element: chooser }, ...places]) };
  }

  // -- fields ----------------------------------------------------------------------------------------------------------

  _field(path, schema, value) {
    if (schema.enum) return this._choice(path, schema, value);
    if (schema.type === "boolean") return this._tick(path, schema, value);
    if (schema.type === "array" && schema.items?.enum) return this._ticks(path, schema, value ?? []);
    const isNumber = schema.type === "integer" || schema.type === "number";
    const isList = schema.type === "array";
    const input = h("input", {
      id: idOf(path),
      type: isNumber ? "number" : "text",
      step: schema.type === "integer" ? 1 : "any",
      min: schema.minimum,
      max: schema.maximum,
      maxlength: schema.maxLength,
      placeholder: schema.isNullable ? "none" : "",
      value: value === undefined || value === null ? "" : isList ? value.join(", ") : String(value),
    });
    input.addEventListener("input", () => this._set(path, parsed(input.value, schema, isNumber, isList)));
    return this._framed(path, words(path.at(-1)), schema.description, input);
  }

  _choice(path, schema, value) {
    const select = h(
      "select",
      { id: idOf(path) },
      schema.isNullable && h("option", { value: "" }, "none"),
      schema.enum.map((each) => h("option", { value: each, selected: each === value }, each)),
    );
    select.addEventListener("change", () => this._set(path, select.value || undefined));
    return this._framed(path, words(path.at(-1)), schema.description, select);
  }

  _tick(path, schema, value) {
    const box = h("input", { type: "checkbox", id: idOf(path), checked: Boolean(value) });
    box.addEventListener("change", () => this._set(path, box.checked));
    return this._framed(path, words(path.at(-1)), schema.description, box);
  }

  _ticks(path, schema, values) {
    const boxes = schema.items.enum.map((name) => {
      const box = h("input", { type: "checkbox", value: name, checked: values.includes(name) });
      box.addEventListener("change", () => {
        const chosen = [...group.querySelectorAll("input")].filter((each) => each.checked).map((each) => each.value);
        this._set(path, chosen.length ? chosen : undefined);
      });
      return h("label", { class: "toggle" }, box, name);
    });
    const group = h("div", { class: "row", role: "group", "aria-label": words(path.at(-1)), id: idOf(path) }, boxes);
    return this._framed(path, words(path.at(-1)), schema.description, group, false);
  }

  /** Label, field, explanation and, later, fault. */
  _framed(path, name, description, input, hasLabel = true) {
    const id = idOf(path);
    const fault = h("p", { class: "fault", id: `${id}-fault`, hidden: true });
    const note = description && h("p", { class: "note", id: `${id}-note` }, description);
    input.setAttribute("aria-describedby", `${note ? `${id}-note ` : ""}${id}-fault`);
    this.places.set(path.join("."), { input, fault });
    const title = hasLabel ? h("label", { for: id }, name) : h("span", { class: "label" }, name);
    return h("div", { class: "field" }, title, input, fault, note);
  }

  // -- indicators ------------------------------------------------------------------------------------------------------

  _indicators(path) {
    const listed = at(this.document, path) ?? [];
    const add = h("button", { type: "button" }, "Add an indicator");
    const unused = USUAL.find((name) => !listed.some((each) => each.name === name)) ?? USUAL[0];
    add.addEventListener("click", () => this._set(path, [...listed, { name: unused }], true));
    return h(
      "div",
      {},
      listed.map((indicator, index) => this._indicator([...path, index], indicator)),
      add,
    );
  }

  _indicator(path, indicator) {
    const known = this.catalogue.get(String(indicator.name).toLowerCase());
    const name = h("input", { id: idOf([...path, "name"]), value: indicator.name ?? "", list: "indicator-names" });
    name.addEventListener("change", () => this._set(path, { name: name.value.trim().toLowerCase() }, true));
    const remove = h("button", { type: "button", class: "quiet", "aria-label": `Remove ${indicator.name}` }, "Remove");
    remove.addEventListener("click", () => {
      const others = at(this.document, path.slice(0, -1)).filter((_, index) => index !== path.at(-1));
      this._set(path.slice(0, -1), others.length ? others : undefined, true);
    });
    const parameters = (known?.parameters ?? []).map((parameter) => this._parameter(path, indicator, parameter));
    return h(
      "fieldset",
      { class: "indicator" },
      h("legend", {}, known?.title ?? "Indicator"),
      h(
        "div",
        { class: "fields" },
        this._framed([...path, "name"], "Function", "", name),
        parameters,
        h("div", { class: "field" }, remove),
      ),
    );
  }

  _parameter(path, indicator, { name, default: usual, integer }) {
    const key = name === "timeperiod" && indicator.period !== undefined ? "period" : name;
    return this._field(
      [...path, key],
      { type: integer ? "integer" : "number", default: usual },
      indicator[key] ?? usual,
    );
  }

  // -- changes ---------------------------------------------------------------------------------------------------------

  _set(path, value, isNewShape = false) {
    put(this.document, path, value);
    if (isNewShape) this._draw();
    this.onChange(structuredClone(this.document));
  }

  /** Marks the fields that faults speak of; the others are returned. */
  showFaults(faults) {
    const left = new Map(faults.map((fault) => [fault.path.replace(/\[(\d+)\]/g, ".$1"), fault]));
    for (const [path, { input, fault: text }] of this.places) {
      const fault = left.get(path);
      left.delete(path);
      text.hidden = !fault;
      setText(text, fault ? said(fault) : "");
      if (fault) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
    return [...left.values()];
  }
}

export const said = ({ message, suggestion }) => `${message}${suggestion ? `; did you mean ${suggestion}?` : ""}`;

/** The document without what is the default anyway. */
export function withoutDefaults(document, form) {
  return pruned(document, { type: "object", properties: form.schema.properties }, form) ?? {};
}

function pruned(value, raw, form) {
  const schema = raw ? form._simple(raw) : {};
  if (value === null || JSON.stringify(value) === JSON.stringify(schema.default)) return undefined;
  if (Array.isArray(value))
    return value.length
      ? value.map((each) => (typeof each === "object" && each ? withoutNulls(each) : each))
      : undefined;
  if (typeof value !== "object") return value;
  const properties = schema.discriminator
    ? form._defined(schema.discriminator.mapping[value.type]).properties
    : (schema.properties ?? {});
  const kept = {};
  for (const [key, each] of Object.entries(value)) {
    const found = key === "type" ? each : pruned(each, properties[key], form);
    if (found !== undefined) kept[key] = found;
  }
  const isUsual = schema.discriminator && Object.keys(kept).length === 1 && kept.type === defaultType(schema, form);
  return Object.keys(kept).length && !isUsual ? kept : undefined;
}

/** The variant whose type may be left out. */
function defaultType({ discriminator }, form) {
  return Object.keys(discriminator.mapping).find(
    (type) => form._defined(discriminator.mapping[type]).properties.type.default === type,
  );
}

const withoutNulls = (value) => Object.fromEntries(Object.entries(value).filter(([, each]) => each !== null));

function section(key, place, isOpen) {
  return h(
    "details",
    { class: "section", open: isOpen, data: { path: key } },
    h("summary", {}, words(key), place.description && h("small", { class: "muted" }, place.description)),
    place.element,
  );
}

function arranged(places) {
  const groups = places.filter((place) => place.isGroup);
  return h(
    "div",
    {},
    h(
      "div",
      { class: "fields" },
      places.filter((place) => !place.isGroup).map((place) => place.element),
    ),
    groups.map((place) => place.element),
  );
}

const idOf = (path) => `f-${path.join("-")}`;

const suggested = (key, schema) => schema.default ?? { patience: 10 }[key] ?? schema.minimum ?? 1;

function parsed(text, schema, isNumber, isList) {
  const trimmed = text.trim();
  if (trimmed === "") return isNumber || schema.isNullable || isList ? undefined : "";
  if (isList) return trimmed.split(",").map((each) => (Number.isNaN(Number(each)) ? each.trim() : Number(each)));
  if (isNumber || (schema.hasNumbers && !Number.isNaN(Number(trimmed)))) return Number(trimmed);
  return text;
}

function at(value, path) {
  return path.reduce((inner, key) => inner?.[key], value);
}

/** Sets, or with undefined removes; what is empty then goes too. */
function put(document, path, value) {
  const [key, ...rest] = path;
  if (!rest.length) {
    if (value === undefined) delete document[key];
    else document[key] = value;
    return;
  }
  document[key] ??= typeof rest[0] === "number" ? [] : {};
  put(document[key], rest, value);
  if (!Array.isArray(document[key]) && Object.keys(document[key]).length === 0) delete document[key];
}
