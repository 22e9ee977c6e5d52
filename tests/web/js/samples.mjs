// What the API tells, and a server that tells it.

/** @import { Operation } from "../../../ktrdr/web/static/js/types.d.ts" */

import { adopt } from "../../../ktrdr/web/static/js/meta.js";

adopt({
  final_errors: ["training_diverged"],
  file_formats: ["histdata"],
  states: ["PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"],
  terminal_states: ["COMPLETED", "FAILED", "CANCELLED"],
  timeframes: [
    { name: "1h", seconds: 3600 },
    { name: "1d", seconds: 86_400 },
  ],
  kinds: [
    { operation_type: "TRAINING", title: "Training", is_resumable: true },
    { operation_type: "AUDIT", title: "Audit", is_resumable: false },
  ],
});

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
