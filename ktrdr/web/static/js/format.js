// Numbers, instants and names as people read them: one format for each kind of number, wherever it is shown.

/** @typedef {number | null | undefined} Maybe A number that may be missing, or NaN. */

const MISSING = "–";
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

/** @type {Map<string, Intl.NumberFormat>} */
const formats = new Map();

/**
 * @param {unknown} value
 * @returns {value is number}
 */
export const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

/**
 * @param {number} value
 * @param {number} digits after the point
 * @param {"negative" | "exceptZero"} signDisplay
 */
function decimal(value, digits, signDisplay = "negative") {
  const key = `${digits} ${signDisplay}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay });
    formats.set(key, format);
  }
  return format.format(value).replace("-", "−");
}

/** @param {Maybe} value */
export const integer = (value) => fixed(value, 0);

/** @param {Maybe} value */
export const fixed = (value, digits = 4) => (isNumber(value) ? decimal(value, digits) : MISSING);

/** @param {Maybe} share of 1 */
export const percent = (share, digits = 1) => (isNumber(share) ? `${decimal(100 * share, digits)}%` : MISSING);

/** @param {Maybe} share of 1, with its sign */
export const signedPercent = (share, digits = 1) =>
  isNumber(share) ? `${decimal(100 * share, digits, "exceptZero")}%` : MISSING;

/** @param {Maybe} share of 1, as percentage points */
export const points = (share, digits = 1) => (isNumber(share) ? `${decimal(100 * share, digits)} pp` : MISSING);

/** @param {Maybe} share of 1, as percentage points with their sign */
export const signedPoints = (share, digits = 1) =>
  isNumber(share) ? `${decimal(100 * share, digits, "exceptZero")} pp` : MISSING;

/** @param {Maybe} value */
export const pValue = (value) => (isNumber(value) && value < 0.0005 ? "< 0.001" : fixed(value, 3));

/**
 * The same within a sentence: `p = 0.012`, `p < 0.001`.
 *
 * @param {Maybe} value
 */
export const pEquals = (value) => `p ${pValue(value).replace(/^(?=[\d–])/, "= ")}`;

/**
 * A price, an indicator: as many digits as tell it from its neighbours.
 * @param {Maybe} value
 */
export function significant(value, digits = 6) {
  if (!isNumber(value)) return MISSING;
  return value
    .toPrecision(digits)
    .replace(/(\.\d*?)0+$/, "$1")
    .replace(/\.$/, "")
    .replace("-", "−");
}

/** @param {Maybe} value */
export function bytes(value) {
  if (!isNumber(value)) return MISSING;
  const exponent = value < 1 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log10(value) / 3));
  const size = value / 1000 ** exponent;
  return `${decimal(size, exponent && size < 100 ? 1 : 0)} ${BYTE_UNITS[exponent]}`;
}

/** @param {Maybe} seconds */
export function duration(seconds) {
  if (!isNumber(seconds)) return MISSING;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  const hours = Math.floor(whole / 3600);
  return hours < 48 ? `${hours} h ${Math.floor(whole / 60) % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** @param {string | null | undefined} instant */
export function ago(instant, now = Date.now()) {
  if (!instant) return MISSING;
  const seconds = (now - Date.parse(instant)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

/** @param {string | null | undefined} text in UTC, by ISO 8601 */
export const instant = (text) => (text ? text.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "") : MISSING);

/** @param {string | null | undefined} text in UTC, by ISO 8601 */
export const day = (text) => (text ? text.slice(0, 10) : MISSING);

/**
 * @param {string | null | undefined} first
 * @param {string | null | undefined} last
 */
export const days = (first, last) => `${day(first)} to ${day(last)}`;

/**
 * A name of the API as words: "Data load" for DATA_LOAD.
 * @param {string} name
 */
export function words(name) {
  const text = name.replaceAll("_", " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * @param {string[]} names
 * @param {number} limit of names that are listed
 */
export function shortList(names, limit = 3) {
  if (names.length <= limit) return names.join(", ");
  return `${names.slice(0, limit).join(", ")} and ${names.length - limit} more`;
}

/**
 * What there is of some parts of a line, with dots between.
 * @param {(string | null | undefined | false)[]} parts
 */
export const joined = (parts) => parts.filter(Boolean).join(" · ");
