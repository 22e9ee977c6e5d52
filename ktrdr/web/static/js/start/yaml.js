// A strategy as YAML text, the way people write one: block style, and nothing quoted that need not be.

/** @import { Json } from "../types.d.ts" */

/** What YAML reads as text without quotes, whatever stands around it. */
const PLAIN_TEXT = /^[A-Za-z_][A-Za-z0-9_ .%/()-]*[A-Za-z0-9_%)]$|^[A-Za-z_]$/;
const RESERVED = /^(true|false|yes|no|on|off|null|~|y|n)$/i;

/** @typedef {{ [key: string]: Json }} JsonObject */

/** @param {JsonObject} value */
export const toYaml = (value) => block(value, "").join("\n");

/**
 * @param {JsonObject} value
 * @param {string} indent
 * @returns {string[]} lines
 */
const block = (value, indent) => Object.entries(value).flatMap(([key, inner]) => entry(key, inner, indent));

/**
 * @param {string} key
 * @param {Json} value
 * @param {string} indent
 */
function entry(key, value, indent) {
  const name = `${indent}${key}:`;
  if (isScalar(value)) return [`${name} ${scalar(value)}`];
  if (Array.isArray(value)) return value.every(isScalar) ? [`${name} ${flow(value)}`] : [name, ...items(value, indent)];
  const lines = block(value, `${indent}  `);
  return lines.length ? [name, ...lines] : [`${name} {}`];
}

/**
 * @param {Json[]} values
 * @param {string} indent
 */
const items = (values, indent) => values.map((value) => `${indent}  - ${flow(value)}`);

/**
 * All on one line.
 * @param {Json} value
 * @returns {string}
 */
function flow(value) {
  if (isScalar(value)) return scalar(value);
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  const entries = Object.entries(value).map(([key, inner]) => `${key}: ${flow(inner)}`);
  return `{${entries.join(", ")}}`;
}

/**
 * @param {Json} value
 * @returns {value is string | number | boolean | null}
 */
const isScalar = (value) => value === null || typeof value !== "object";

/** @param {string | number | boolean | null} value */
function scalar(value) {
  if (typeof value === "number") return number(value);
  if (typeof value !== "string") return String(value);
  return PLAIN_TEXT.test(value) && !RESERVED.test(value) ? value : JSON.stringify(value);
}

/**
 * YAML takes 1e-7 for a text unless it has a point.
 * @param {number} value
 */
const number = (value) => String(value).replace(/^(-?\d+)e/, "$1.0e");
