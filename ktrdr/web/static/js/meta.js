// What the API works with: kinds of operations, their states, timeframes. The page copies these nowhere else.

/** @import { OperationStatus } from "./types.d.ts" */

/** Titles of the states, in the order in which an operation passes through them. */
export const STATE_TITLES = {
  PENDING: "Waiting",
  RUNNING: "Running",
  COMPLETED: "Completed",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

/** @type {OperationStatus[]} */
export const STATES = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"];

/** @type {Set<OperationStatus>} */
export const TERMINAL_STATES = new Set(["COMPLETED", "FAILED", "CANCELLED"]);

/** Kinds of operations that can go on after they have failed or were cancelled. */
export const RESUMABLE_KINDS = new Set(["TRAINING"]);

export const KINDS = ["TRAINING", "DATA_LOAD", "PREFLIGHT", "PREDICTION", "EXPORT", "AUDIT"];

/** From the shortest to the longest. */
export const TIMEFRAMES = [
  { name: "1m", seconds: 60 },
  { name: "5m", seconds: 300 },
  { name: "15m", seconds: 900 },
  { name: "30m", seconds: 1800 },
  { name: "1h", seconds: 3600 },
  { name: "4h", seconds: 14_400 },
  { name: "1d", seconds: 86_400 },
  { name: "1w", seconds: 604_800 },
];

const DAY_SECONDS = 86_400;

/** @param {string} timeframe */
export function isIntraday(timeframe) {
  const known = TIMEFRAMES.find(({ name }) => name === timeframe);
  return known !== undefined && known.seconds < DAY_SECONDS;
}
