// The strategy's JSON Schema: what a key allows, what is the default anyway, and values by their path.

/** @import { Json, JsonSchema, StrategyDocument } from "../types.d.ts" */

/**
 * @typedef {(string | number)[]} Path Keys and indices, from the document down.
 *
 * @typedef {JsonSchema & { isNullable?: boolean, hasNumbers?: boolean }} Part
 *   With references followed and "or null" taken apart; `hasNumbers`: of a text that may be a number.
 *
 * @typedef {Record<string | number, Json>} Container
 */

export class StrategySchema {
  #schema;

  /** @param {JsonSchema} schema */
  constructor(schema) {
    this.#schema = schema;
  }

  get properties() {
    return this.#schema.properties ?? {};
  }

  /**
   * @param {JsonSchema} schema
   * @returns {Part}
   */
  resolve(schema) {
    const { $ref: reference, anyOf, ...own } = schema;
    if (reference) return { ...this.resolve(this.#definition(reference)), ...own };
    if (!anyOf) return own;
    const others = anyOf.filter((choice) => choice.type !== "null");
    const isNullable = others.length < anyOf.length;
    if (others.length > 1) return { ...own, isNullable, type: "text", hasNumbers: true };
    return { ...this.resolve(others[0]), ...own, isNullable };
  }

  /**
   * The variants of a part, by their types.
   * @param {Part} part
   */
  variants({ discriminator }) {
    const entries = Object.entries(discriminator?.mapping ?? {});
    return new Map(entries.map(([type, reference]) => [type, this.#definition(reference)]));
  }

  /** @param {string} reference */
  #definition(reference) {
    const definition = this.#schema.$defs?.[reference.slice(reference.lastIndexOf("/") + 1)];
    if (!definition) throw new Error(`the strategy's schema has no ${reference}`);
    return definition;
  }

  // -- defaults ------------------------------------------------------------------------------------------------------

  /**
   * The document without what is the default anyway.
   * @param {StrategyDocument} document
   */
  withoutDefaults(document) {
    return this.#stripObject(document, this.properties);
  }

  /**
   * @param {Json} value
   * @param {Part} part
   * @returns {Json | undefined} undefined where nothing is left
   */
  #strip(value, part) {
    if (value === null || JSON.stringify(value) === JSON.stringify(part.default)) return undefined;
    if (Array.isArray(value)) return value.length ? value.map(withoutNulls) : undefined;
    if (typeof value !== "object") return value;
    const stripped = part.discriminator
      ? this.#stripVariant(value, part)
      : this.#stripObject(value, part.properties ?? {});
    return Object.keys(stripped).length ? stripped : undefined;
  }

  /**
   * @param {StrategyDocument} document
   * @param {Record<string, JsonSchema>} properties
   * @returns {StrategyDocument}
   */
  #stripObject(document, properties) {
    const entries = Object.entries(document).map(([key, value]) => [
      key,
      this.#strip(value, this.resolve(properties[key] ?? {})),
    ]);
    return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
  }

  /**
   * Its type is kept, unless it is the default type and nothing stands beside it.
   * @param {StrategyDocument} document
   * @param {Part} part
   */
  #stripVariant({ type, ...others }, part) {
    const properties = this.variants(part).get(String(type))?.properties ?? {};
    const stripped = this.#stripObject(others, properties);
    const isDefault = properties.type?.default === type && !Object.keys(stripped).length;
    return isDefault ? {} : { type, ...stripped };
  }
}

/**
 * @param {Json} value
 * @returns {Json}
 */
function withoutNulls(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== null));
}

// -- values ----------------------------------------------------------------------------------------------------------

/**
 * @param {StrategyDocument} document
 * @param {Path} path
 * @returns {Json | undefined}
 */
export function valueAt(document, path) {
  /** @type {Json | undefined} */
  let value = document;
  for (const key of path) {
    if (value === null || typeof value !== "object") return undefined;
    value = /** @type {Container} */ (value)[key];
  }
  return value;
}

/**
 * Sets a value, or with undefined removes it; groups that are empty then go too.
 * @param {StrategyDocument} document
 * @param {Path} path
 * @param {Json | undefined} value
 */
export function setValueAt(document, path, value) {
  put(document, path, value);
}

/**
 * @param {Container} container
 * @param {Path} path
 * @param {Json | undefined} value
 */
function put(container, [key, ...rest], value) {
  if (!rest.length) {
    if (value === undefined) delete container[key];
    else container[key] = value;
    return;
  }
  container[key] ??= typeof rest[0] === "number" ? [] : {};
  const inner = /** @type {Container} */ (container[key]);
  put(inner, rest, value);
  if (!Array.isArray(inner) && !Object.keys(inner).length) delete container[key];
}

/**
 * What a person typed into a field; undefined removes the key.
 * @param {string} text
 * @param {Part} part
 * @returns {Json | undefined}
 */
export function parseField(text, part) {
  const trimmed = text.trim();
  const isNumber = part.type === "integer" || part.type === "number";
  const isList = part.type === "array";
  if (trimmed === "") return isNumber || isList || part.isNullable ? undefined : "";
  if (isList) return splitList(trimmed).map(numberOrText);
  if (isNumber) return Number(trimmed);
  return part.hasNumbers ? numberOrText(trimmed) : text;
}

/** @param {string} text */
const splitList = (text) =>
  text
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean);

/** @param {string} text */
const numberOrText = (text) => (Number.isNaN(Number(text)) ? text : Number(text));
