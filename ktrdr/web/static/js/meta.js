// What the API works with: states and kinds of operations, timeframes. The server tells it once (GET /api/v1/meta).

/** @import { Meta, OperationStatus } from "./types.d.ts" */

import { words } from "./format.js";

const DAY_SECONDS = 86_400;

/** The states in the page's own words. */
export const STATE_TITLES = {
  PENDING: "Waiting",
  RUNNING: "Running",
  COMPLETED: "Completed",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

/** @type {Meta | null} */
let current = null;

/** @param {Meta} meta */
export function adopt(meta) {
  current = meta;
}

export const isLoaded = () => current !== null;

/** In the order in which an operation passes through them. */
export const states = () => current?.states ?? [];

/** @param {OperationStatus} status */
export const isTerminal = (status) => current?.terminal_states.includes(status) ?? false;

export const kinds = () => current?.kinds ?? [];

/** @param {string} type of an operation */
export const kindTitle = (type) => kindOf(type)?.title ?? words(type);

/** @param {string} type of an operation */
export const isResumable = (type) => kindOf(type)?.is_resumable ?? false;

/** @param {string} code of an error after which an operation cannot be resumed, or of another */
export const isFinalError = (code) => current?.final_errors.includes(code) ?? false;

/** Vendors whose files are known. */
export const fileFormats = () => current?.file_formats ?? [];

/** @param {string} type */
const kindOf = (type) => kinds().find((kind) => kind.operation_type === type);

/** Names, from the shortest to the longest. */
export const timeframes = () => (current?.timeframes ?? []).map(({ name }) => name);

/** @param {string} timeframe */
export function isIntraday(timeframe) {
  const length = current?.timeframes.find(({ name }) => name === timeframe);
  return length !== undefined && length.seconds < DAY_SECONDS;
}
