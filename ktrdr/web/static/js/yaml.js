// A strategy as YAML text, the way people write one: block style, and nothing quoted that need not be.

export function toYaml(value, indent = "") {
  const lines = [];
  for (const [key, each] of Object.entries(value)) lines.push(...entry(key, each, indent));
  return lines.join("\n");
}

function entry(key, value, indent) {
  if (isPlain(value)) return [`${indent}${key}: ${scalar(value)}`];
  if (Array.isArray(value)) return list(key, value, indent);
  const lines = toYaml(value, `${indent}  `);
  return lines ? [`${indent}${key}:`, lines] : [`${indent}${key}: {}`];
}

function list(key, values, indent) {
  if (values.every(isPlain)) return [`${indent}${key}: [${values.map(scalar).join(", ")}]`];
  return [`${indent}${key}:`, ...values.map((each) => `${indent}  - {${flow(each)}}`)];
}

const flow = (value) =>
  Object.entries(value)
    .map(([key, each]) => `${key}: ${inFlow(each)}`)
    .join(", ");

const inFlow = (value) => {
  if (Array.isArray(value)) return `[${value.map(inFlow).join(", ")}]`;
  return isPlain(value) ? scalar(value) : `{${flow(value)}}`;
};

const isPlain = (value) => value === null || typeof value !== "object";

const SAFE = /^[A-Za-z_][A-Za-z0-9_ .%/()-]*[A-Za-z0-9_%)]$|^[A-Za-z_]$/;
const RESERVED = /^(true|false|yes|no|on|off|null|~|y|n)$/i;

function scalar(value) {
  if (value === null) return "null";
  if (typeof value === "number" && Number.isInteger(value) === false)
    return String(value).includes("e") ? exponent(value) : String(value);
  if (typeof value !== "string") return String(value);
  return SAFE.test(value) && !RESERVED.test(value) ? value : JSON.stringify(value);
}

/** YAML takes 1e-3 for a text unless it has a point. */
const exponent = (value) => String(value).replace(/^(-?\d+)e/, "$1.0e");
