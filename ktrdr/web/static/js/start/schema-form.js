// A form made from a JSON Schema: a field for each key, a choice for each variant, and what is wrong beside its field.

/**
 * @import { Indicator, IndicatorParameter, Json, JsonSchema, StrategyDocument, StrategyFault } from "../types.d.ts"
 * @import { Path, Part, StrategySchema } from "./schema.js"
 */

import { h, replace, setText } from "../dom.js";
import { words } from "../format.js";
import { parseField, setValueAt, valueAt } from "./schema.js";

/** Indicators that are offered next; the same one twice would be a fault. */
const USUAL_FORMULA = { expr: "close / ema(close, n) - 1", as: "gap", n: 20 };
const FORMULA_NOTE = "Over open, high, low, close and volume; a number that it names stands beside it.";
const USUAL_INDICATORS = ["rsi", "sma", "macd", "bbands", "atr", "adx", "obv", "ema"];

const OPEN_SECTIONS = new Set(["model", "training", "indicators"]);

/** What a required key begins with where its schema suggests nothing. */
const SUGGESTED = new Map([["patience", 10]]);

/**
 * @typedef {{ element: HTMLElement, isGroup: boolean, description?: string }} Place
 * @typedef {Record<string, Json>} IndicatorEntry One indicator or formula in the document.
 */

export class SchemaForm {
  #schema;
  /** @type {Map<string, Indicator>} */
  #indicators;
  #onChange;
  /** @type {StrategyDocument} */
  #document = {};
  /** @type {Map<string, { input: HTMLElement, fault: HTMLElement }>} fields by their paths */
  #fields = new Map();
  element = h("div", { class: "schema-form" });

  /**
   * @param {StrategySchema} schema
   * @param {Indicator[]} indicators those that there are
   * @param {(document: StrategyDocument) => void} onChange gets what was made of the form
   */
  constructor(schema, indicators, onChange) {
    this.#schema = schema;
    this.#indicators = new Map(indicators.map((indicator) => [indicator.name, indicator]));
    this.#onChange = onChange;
  }

  /** @param {StrategyDocument} document */
  draw(document) {
    this.#document = structuredClone(document);
    this.#draw();
  }

  /**
   * Marks the fields that faults are about.
   * @param {StrategyFault[]} faults
   */
  showFaults(faults) {
    const byPath = new Map(faults.map((fault) => [fault.path.replace(/\[(\d+)\]/g, ".$1"), fault]));
    for (const [path, field] of this.#fields) {
      const fault = byPath.get(path);
      field.fault.hidden = !fault;
      setText(field.fault, fault ? faultText(fault) : "");
      if (fault) field.input.setAttribute("aria-invalid", "true");
      else field.input.removeAttribute("aria-invalid");
    }
  }

  #draw() {
    const open = this.#openSections();
    this.#fields = new Map();
    const names = [...this.#indicators.values()].map(({ name, title }) => h("option", { value: name }, title));
    const places = Object.entries(this.#schema.properties).map(([key, schema]) => ({
      key,
      ...this.#place([key], schema),
    }));
    const fields = places.filter((place) => !place.isGroup).map((place) => place.element);
    const sections = places
      .filter((place) => place.isGroup)
      .map((place) => section(place.key, place, open.has(place.key)));
    replace(
      this.element,
      h("datalist", { id: "indicator-names" }, names),
      h("div", { class: "fields" }, fields),
      sections,
    );
  }

  #openSections() {
    const sections = [...this.element.querySelectorAll("details")];
    if (!sections.length) return OPEN_SECTIONS;
    return new Set(sections.filter((details) => details.open).map((details) => details.dataset.path));
  }

  // -- one key of the schema -----------------------------------------------------------------------------------------

  /**
   * @param {Path} path
   * @param {JsonSchema} schema
   * @returns {Place}
   */
  #place(path, schema) {
    const part = this.#schema.resolve(schema);
    const { description } = part;
    if (path.join() === "indicators") return { isGroup: true, description, element: this.#indicatorList(path) };
    if (part.type !== "object" && !part.discriminator) return { isGroup: false, element: this.#field(path, part) };
    if (part.isNullable) return { isGroup: false, element: this.#optional(path, part) };
    if (part.discriminator) return { isGroup: true, description, element: this.#variants(path, part) };
    return { isGroup: true, description, element: this.#group(path, part.properties) };
  }

  /**
   * @param {Path} path
   * @param {Record<string, JsonSchema>} [properties]
   * @param {HTMLElement[]} [first] what stands before all fields
   */
  #group(path, properties = {}, first = []) {
    const places = Object.entries(properties).map(([key, schema]) => this.#place([...path, key], schema));
    const fields = places.filter((place) => !place.isGroup).map((place) => place.element);
    const groups = places.filter((place) => place.isGroup).map((place) => place.element);
    return h("div", {}, h("div", { class: "fields" }, first, fields), groups);
  }

  /**
   * A group that may be absent as a whole, behind a box to tick.
   * @param {Path} path
   * @param {Part} part
   */
  #optional(path, part) {
    const { description, properties = {}, required = [] } = part;
    const isOn = valueAt(this.#document, path) !== undefined;
    const box = h("input", { type: "checkbox", id: idOf(path), checked: isOn });
    box.addEventListener("change", () => {
      const [type] = this.#schema.variants(part).keys();
      const first = Object.fromEntries(required.map((key) => [key, suggested(key, properties[key])]));
      this.#set(path, box.checked ? { ...(type && { type }), ...first } : undefined, true);
    });
    const text = h("small", { class: "muted" }, description);
    const label = h("label", { class: "row", for: box.id }, box, title(path), text);
    const group = () => (part.discriminator ? this.#variants(path, part) : this.#group(path, properties));
    return h("div", { class: "optional" }, label, isOn && group());
  }

  /**
   * @param {Path} path
   * @param {Part} part
   */
  #variants(path, part) {
    const variants = this.#schema.variants(part);
    const types = [...variants.keys()];
    const type = String(valueAt(this.#document, [...path, "type"]));
    const current = variants.has(type) ? type : types[0];
    const { type: _, ...properties } = variants.get(current)?.properties ?? {};
    const options = types.map((name) => h("option", { value: name, selected: name === current }, name));
    const picker = h("select", { id: idOf([...path, "type"]) }, options);
    picker.addEventListener("change", () => {
      const allowed = variants.get(picker.value)?.properties ?? {};
      const present = Object.entries(valueAt(this.#document, path) ?? {});
      const shared = present.filter(([key]) => key in allowed && key !== "type");
      this.#set(path, { type: picker.value, ...Object.fromEntries(shared) }, true);
    });
    const chooser = this.#framed([...path, "type"], "Type", variants.get(current)?.description, picker);
    return this.#group(path, properties, [chooser]);
  }

  // -- fields --------------------------------------------------------------------------------------------------------

  /**
   * @param {Path} path
   * @param {Part} part
   * @param {Json | undefined} [value]
   */
  #field(path, part, value = valueAt(this.#document, path) ?? part.default) {
    if (part.enum) return this.#choice(path, part, value);
    if (part.type === "boolean") return this.#tick(path, part, value);
    if (part.items?.enum) return this.#ticks(path, part, part.items.enum, value);
    const isNumber = part.type === "integer" || part.type === "number";
    const input = h("input", {
      id: idOf(path),
      type: isNumber ? "number" : "text",
      step: part.type === "integer" ? 1 : "any",
      min: part.minimum,
      max: part.maximum,
      maxlength: part.maxLength,
      placeholder: part.isNullable ? "none" : "",
      value: Array.isArray(value) ? value.join(", ") : String(value ?? ""),
    });
    input.addEventListener("input", () => this.#set(path, parseField(input.value, part)));
    return this.#framed(path, title(path), part.description, input);
  }

  /**
   * @param {Path} path
   * @param {Part} part
   * @param {Json | undefined} value
   */
  #choice(path, { enum: names = [], isNullable, description }, value) {
    const options = names.map((name) => h("option", { value: name, selected: name === value }, name));
    const picker = h("select", { id: idOf(path) }, isNullable && h("option", { value: "" }, "none"), options);
    picker.addEventListener("change", () => this.#set(path, picker.value || undefined));
    return this.#framed(path, title(path), description, picker);
  }

  /**
   * @param {Path} path
   * @param {Part} part
   * @param {Json | undefined} value
   */
  #tick(path, { description }, value) {
    const box = h("input", { type: "checkbox", id: idOf(path), checked: Boolean(value) });
    box.addEventListener("change", () => this.#set(path, box.checked));
    return this.#framed(path, title(path), description, box);
  }

  /**
   * @param {Path} path
   * @param {Part} part
   * @param {string[]} names
   * @param {Json | undefined} value
   */
  #ticks(path, { description }, names, value) {
    const ticked = new Set(Array.isArray(value) ? value : []);
    const boxes = names.map((name) => h("input", { type: "checkbox", value: name, checked: ticked.has(name) }));
    const labels = boxes.map((box) => h("label", { class: "toggle" }, box, box.value));
    const group = h("div", { class: "row", role: "group", "aria-label": title(path), id: idOf(path) }, labels);
    group.addEventListener("change", () => {
      const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
      this.#set(path, chosen.length ? chosen : undefined);
    });
    return this.#framed(path, title(path), description, group);
  }

  /**
   * Label, field, explanation and, later, fault.
   * @param {Path} path
   * @param {string} name
   * @param {string | undefined} description
   * @param {HTMLElement} input
   */
  #framed(path, name, description, input) {
    const id = idOf(path);
    const fault = h("p", { class: "fault", id: `${id}-fault`, hidden: true });
    const note = description && h("p", { class: "note", id: `${id}-note` }, description);
    input.setAttribute("aria-describedby", `${note ? `${id}-note ` : ""}${id}-fault`);
    this.#fields.set(path.join("."), { input, fault });
    const isGroup = input.getAttribute("role") === "group";
    const label = isGroup ? h("span", { class: "label" }, name) : h("label", { for: id }, name);
    return h("div", { class: "field" }, label, input, fault, note);
  }

  // -- indicators ----------------------------------------------------------------------------------------------------

  /** @param {Path} path */
  #indicatorList(path) {
    const entries = /** @type {IndicatorEntry[]} */ (valueAt(this.#document, path) ?? []);
    const present = new Set(entries.map(({ name }) => name));
    const next = USUAL_INDICATORS.find((name) => !present.has(name)) ?? USUAL_INDICATORS[0];
    const add = h("button", { type: "button" }, "Add an indicator");
    add.addEventListener("click", () => this.#set(path, [...entries, { name: next }], true));
    const addFormula = h("button", { type: "button" }, "Add a formula");
    addFormula.addEventListener("click", () => this.#set(path, [...entries, USUAL_FORMULA], true));
    const boxes = entries.map((entry, index) => {
      const others = entries.filter((_, place) => place !== index);
      const onRemove = () => this.#set(path, others.length ? others : undefined, true);
      const own = [...path, index];
      return "expr" in entry ? this.#formula(own, entry, onRemove) : this.#indicator(own, entry, onRemove);
    });
    return h("div", {}, boxes, add, " ", addFormula);
  }

  /**
   * @param {Path} path
   * @param {IndicatorEntry} entry
   * @param {() => void} onRemove
   */
  #indicator(path, entry, onRemove) {
    const { name = "" } = entry;
    const { title: heading = "Indicator", parameters = [] } = this.#indicators.get(String(name).toLowerCase()) ?? {};
    const input = h("input", { id: idOf([...path, "name"]), value: String(name), list: "indicator-names" });
    input.addEventListener("change", () => this.#set(path, { name: input.value.trim().toLowerCase() }, true));
    const fields = parameters.map((parameter) => this.#parameter(path, entry, parameter));
    const chooser = this.#framed([...path, "name"], "Function", "", input);
    return framedEntry(heading, [chooser, ...fields], String(name), onRemove);
  }

  /**
   * A formula, its name, and the numbers that it names.
   * @param {Path} path
   * @param {IndicatorEntry} entry
   * @param {() => void} onRemove
   */
  #formula(path, { expr: _, as: name = "", timeframe: __, ...numbers }, onRemove) {
    const formula = this.#field([...path, "expr"], { type: "string", maxLength: 1000, description: FORMULA_NOTE });
    const named = this.#field([...path, "as"], { type: "string", maxLength: 64 });
    const fields = Object.keys(numbers).map((key) => this.#field([...path, key], { type: "number" }));
    return framedEntry("Formula", [formula, named, ...fields], String(name), onRemove);
  }

  /**
   * @param {Path} path
   * @param {IndicatorEntry} entry
   * @param {IndicatorParameter} parameter
   */
  #parameter(path, entry, { name, default: usual, integer }) {
    const key = name === "timeperiod" && "period" in entry ? "period" : name;
    return this.#field([...path, key], { type: integer ? "integer" : "number" }, entry[key] ?? usual);
  }

  // -- changes -------------------------------------------------------------------------------------------------------

  /**
   * @param {Path} path
   * @param {Json | undefined} value undefined removes the key
   * @param {boolean} isNewShape whether other fields are needed then
   */
  #set(path, value, isNewShape = false) {
    setValueAt(this.#document, path, value);
    if (isNewShape) this.#draw();
    this.#onChange(structuredClone(this.#document));
  }
}

/** @param {StrategyFault} fault */
export const faultText = ({ message, suggestion }) =>
  suggestion ? `${message}; did you mean ${suggestion}?` : message;

/**
 * @param {string} key
 * @param {Place} place
 * @param {boolean} isOpen
 */
function section(key, { description, element }, isOpen) {
  const text = description && h("small", { class: "muted" }, description);
  return h(
    "details",
    { class: "section", open: isOpen, data: { path: key } },
    h("summary", {}, words(key), text),
    element,
  );
}

/**
 * @param {string} heading
 * @param {HTMLElement[]} fields
 * @param {string} name
 * @param {() => void} onRemove
 */
function framedEntry(heading, fields, name, onRemove) {
  const remove = h("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}` }, "Remove");
  remove.addEventListener("click", onRemove);
  return h(
    "fieldset",
    { class: "indicator" },
    h("legend", {}, heading),
    h("div", { class: "fields" }, fields, h("div", { class: "field" }, remove)),
  );
}

/** @param {Path} path */
const idOf = (path) => `f-${path.join("-")}`;

/** @param {Path} path */
const title = (path) => words(String(path.at(-1)));

/**
 * @param {string} key
 * @param {JsonSchema} schema
 */
const suggested = (key, schema) => schema.default ?? SUGGESTED.get(key) ?? schema.minimum ?? 1;
