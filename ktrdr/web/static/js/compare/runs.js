// The trainings that are compared, with all that is known of them.

/** @import { ModelCard, Operation, TrainingResults } from "../types.d.ts" */
/** @import { LineStyle } from "../curves.js" */

import * as api from "../api.js";
import { describe, hasEnded, shortId } from "../record.js";

/**
 * @typedef {object} Run
 * @property {string} id
 * @property {string} title
 * @property {string} name Its title, and what sets it apart from other runs of the same title.
 * @property {string} colorName
 * @property {number} dash
 * @property {Operation} operation
 * @property {TrainingResults | null} results Null before its end.
 * @property {ModelCard | null} card Null where there is no model.
 */

/**
 * @param {string} id
 * @param {LineStyle} style
 * @param {AbortSignal} signal
 * @returns {Promise<Run>}
 */
export async function readRun(id, { colorName, dash }, signal) {
  const operation = await api.operation(id, signal);
  const { fold } = operation.metadata;
  const { title: whole } = describe(operation);
  const title = fold ? `${whole} fold ${fold}` : whole;
  const run = { id, title, name: title, colorName, dash, operation, results: null, card: null };
  if (!hasEnded(operation)) return run;
  const results = /** @type {TrainingResults} */ (await api.results(id, signal));
  const card = results.artifacts?.model_card ? await api.modelCard(id, signal).catch(() => null) : null;
  return { ...run, results, card };
}

/**
 * Runs of the same title are named with their ids' ends.
 * @param {Run[]} runs
 */
export function withDistinctNames(runs) {
  const titles = runs.map(({ title }) => title);
  return runs.map((run) => {
    const isShared = titles.indexOf(run.title) !== titles.lastIndexOf(run.title);
    return { ...run, name: isShared ? `${run.title} ${shortId(run.id)}` : run.title };
  });
}
