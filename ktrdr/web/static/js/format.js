// Numbers, instants and names as people read them.

const whole = new Intl.NumberFormat("en");
const dash = "–";

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

export const integer = (value) => (isNumber(value) ? whole.format(Math.round(value)) : dash);

export const fixed = (value, digits = 4) => (isNumber(value) ? value.toFixed(digits) : dash);

export const percent = (value, digits = 1) => (isNumber(value) ? `${(100 * value).toFixed(digits)} %` : dash);

export const points = (value, digits = 1) =>
  isNumber(value) ? `${value >= 0 ? "+" : "−"}${Math.abs(100 * value).toFixed(digits)} pp` : dash;

export function signed(value, digits = 1) {
  if (!isNumber(value)) return dash;
  const size = Math.abs(100 * value).toFixed(digits);
  return `${Number(size) === 0 ? "" : value < 0 ? "−" : "+"}${size} %`;
}

export function bytes(value) {
  if (!isNumber(value)) return dash;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit && size < 100 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

export function duration(seconds) {
  if (!isNumber(seconds)) return dash;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function ago(instant) {
  if (!instant) return dash;
  const seconds = (Date.now() - Date.parse(instant)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

export const instant = (text) => (text ? text.replace("T", " ").replace(/(\.\d+)?(Z|\+00:00)$/, "") : dash);

export const day = (text) => (text ? text.slice(0, 10) : dash);

export const seconds = (from, to) => (Date.parse(to) - Date.parse(from)) / 1000;

/** Seconds until the end, by the pace so far; null where that tells nothing yet. */
export function eta(operation) {
  const done = operation.progress.percentage;
  if (operation.status !== "RUNNING" || !operation.started_at || done < 1 || done >= 100) return null;
  const elapsed = (Date.now() - Date.parse(operation.started_at)) / 1000;
  return (elapsed * (100 - done)) / done;
}

export function elapsed(operation) {
  if (!operation.started_at) return null;
  const end = operation.completed_at ? Date.parse(operation.completed_at) : Date.now();
  return Math.max(0, (end - Date.parse(operation.started_at)) / 1000);
}

const KINDS = {
  TRAINING: "Training",
  DATA_LOAD: "Data load",
  PREFLIGHT: "Preflight",
  PREDICTION: "Prediction",
  EXPORT: "Export",
  AUDIT: "Audit",
};

export const kind = (type) => KINDS[type] || words(type);

export const STATES = {
  PENDING: "Waiting",
  RUNNING: "Running",
  COMPLETED: "Completed",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

export const TERMINAL = new Set(["COMPLETED", "FAILED", "CANCELLED"]);

export const words = (name) => {
  const text = String(name).replaceAll("_", " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
};

export const what = (operation) => {
  const { strategy, symbols = [], timeframes = [], provider, fold, folds } = operation.metadata;
  const place = fold ? `fold ${fold}` : folds && `${folds} folds`;
  const series = [list(symbols), timeframes.join(", "), place].filter(Boolean).join(" ");
  return { title: strategy || series || kind(operation.operation_type), series: strategy ? series : provider || "" };
};

export const list = (names, most = 3) =>
  names.length > most ? `${names.slice(0, most).join(", ")} and ${names.length - most} more` : names.join(", ");
