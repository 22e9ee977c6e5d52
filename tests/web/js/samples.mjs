// Records as the API gives them.

/** @import { Operation } from "../../../ktrdr/web/static/js/types.d.ts" */

/**
 * A training that waits, but for what is told.
 * @param {Partial<Operation>} differences
 * @returns {Operation}
 */
export function operation(differences) {
  return {
    operation_id: "op_training_20260101_aaaaaa",
    operation_type: "TRAINING",
    status: "PENDING",
    created_at: "2026-01-01T00:00:00Z",
    updated_at: "2026-01-01T00:00:00Z",
    progress: { percentage: 0, message: "", current_step: 0, items_processed: 0 },
    metadata: {},
    ...differences,
  };
}

/**
 * A server in place of `fetch`, which answers as JSON; returns the paths and queries that it was asked for.
 * @param {(url: URL) => unknown} answer undefined for 404
 */
export function serve(answer) {
  /** @type {string[]} */
  const requests = [];
  globalThis.fetch = async (input) => {
    const url = new URL(String(input), "http://ktrdr.test");
    requests.push(url.pathname + url.search);
    const body = answer(url);
    return body === undefined
      ? Response.json({ code: "not_found", detail: `there is no ${url.pathname}` }, { status: 404 })
      : Response.json(body);
  };
  return requests;
}
