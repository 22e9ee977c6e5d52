// What an operation's record tells: what it is called, how long it takes, what can be done with it.

/** @import { Operation, OperationMetadata } from "./types.d.ts" */

import { isNumber, joined, shortList } from "./format.js";
import { isFinalError, isResumable, isTerminal, kindTitle, STATE_TITLES } from "./meta.js";

/** @param {Operation} operation */
export const hasEnded = (operation) => isTerminal(operation.status);

/** @param {Operation} operation */
export const isTraining = ({ operation_type: type }) => type === "TRAINING" || type === "TRIAL";

/** @param {Operation} operation */
export const isSearch = ({ operation_type: type }) => type === "SEARCH";

/** @param {Operation} operation */
export const canCancel = (operation) => !hasEnded(operation);

/** @param {Operation} operation */
export const canResume = ({ operation_type: type, status, error }) =>
  isResumable(type) && (status === "CANCELLED" || (status === "FAILED" && !isFinalError(error?.code ?? "")));

/**
 * The word for its state, and the class that colours it.
 * @param {Operation} operation
 */
export const stateTitle = ({ status }) => STATE_TITLES[status];

/** @param {Operation} operation */
export const stateClass = ({ status }) => status.toLowerCase();

/** @type {((metadata: OperationMetadata) => string | false)[]} */
const PARTS = [
  ({ fold }) => isNumber(fold) && `fold ${fold}`,
  ({ folds }) => isNumber(folds) && `${folds} folds`,
  ({ trial }) => isNumber(trial) && `trial ${trial}`,
  ({ trials }) => isNumber(trials) && `${trials} trials`,
];

/**
 * Its title, and the series that it works on.
 * @param {Operation} operation
 */
export function describe({ operation_type: type, metadata }) {
  const { strategy, symbols = [], timeframes = [], provider = "" } = metadata;
  const part = joined(PARTS.map((describePart) => describePart(metadata)));
  const series = [shortList(symbols), timeframes.join(", "), part].filter(Boolean).join(" ");
  return strategy ? { title: strategy, series } : { title: series || kindTitle(type), series: provider };
}

/**
 * The end of its id, which tells operations of the same title apart.
 * @param {string} id
 */
export const shortId = (id) => id.slice(id.lastIndexOf("_") + 1);

/**
 * Seconds since its start, until its end; null where it has not started.
 * @param {Operation} operation
 */
export function elapsed({ started_at: start, completed_at: end }, now = Date.now()) {
  return start ? Math.max(0, ((end ? Date.parse(end) : now) - Date.parse(start)) / 1000) : null;
}

/**
 * Seconds until its end, at the rate so far; null where that tells nothing yet.
 * @param {Operation} operation
 */
export function remaining(operation, now = Date.now()) {
  const done = operation.progress.percentage;
  const passed = elapsed(operation, now);
  if (operation.status !== "RUNNING" || passed === null || done < 1 || done >= 100) return null;
  return (passed * (100 - done)) / done;
}
