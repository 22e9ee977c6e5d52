// What an operation's record tells.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isIntraday } from "../../../ktrdr/web/static/js/meta.js";
import { canCancel, canResume, describe, elapsed, remaining, shortId } from "../../../ktrdr/web/static/js/record.js";
import { operation } from "./samples.mjs";

const START = "2026-01-01T00:00:00Z";
const LATER = Date.parse(START) + 100_000;

test("a training is called by its strategy, a load by its series", () => {
  const metadata = { strategy: "momentum", symbols: ["AAPL"], timeframes: ["1d", "1h"] };
  assert.deepEqual(describe(operation({ metadata })), { title: "momentum", series: "AAPL 1d, 1h" });

  const load = operation({ operation_type: "DATA_LOAD", metadata: { symbols: ["AAPL"], provider: "sample" } });
  assert.deepEqual(describe(load), { title: "AAPL", series: "sample" });
  assert.deepEqual(describe(operation({ operation_type: "AUDIT" })), { title: "Audit", series: "" });
});

test("folds are named beside the series", () => {
  const metadata = { strategy: "momentum", symbols: ["AAPL"], timeframes: ["1d"] };
  assert.equal(describe(operation({ metadata: { ...metadata, folds: 3 } })).series, "AAPL 1d 3 folds");
  assert.equal(describe(operation({ metadata: { ...metadata, fold: 2 } })).series, "AAPL 1d fold 2");
});

test("what runs can be cancelled, and an interrupted training can be resumed", () => {
  assert.equal(canCancel(operation({ status: "RUNNING" })), true);
  assert.equal(canCancel(operation({ status: "COMPLETED" })), false);
  assert.equal(canResume(operation({ status: "CANCELLED" })), true);
  assert.equal(canResume(operation({ status: "RUNNING" })), false);
  const diverged = { code: "training_diverged", detail: "the loss is nan" };
  assert.equal(canResume(operation({ status: "FAILED", error: diverged })), false);
  assert.equal(canResume(operation({ status: "FAILED", error: { ...diverged, code: "worker_died" } })), true);
  assert.equal(canResume(operation({ status: "FAILED", operation_type: "AUDIT" })), false);
});

test("what the server does not tell of is named by its type, and has no length", () => {
  assert.equal(describe(operation({ operation_type: "SOMETHING_NEW" })).title, "Something new");
  assert.deepEqual(["1h", "1d", "3d"].map(isIntraday), [true, false, false]);
});

test("time counts from the start until the end, or until now", () => {
  assert.equal(elapsed(operation({}), LATER), null);
  assert.equal(elapsed(operation({ started_at: START }), LATER), 100);
  assert.equal(elapsed(operation({ started_at: START, completed_at: "2026-01-01T00:00:07Z" }), LATER), 7);
});

test("the time that is left follows from the rate so far", () => {
  const at = (/** @type {number} */ percentage) =>
    operation({
      status: "RUNNING",
      started_at: START,
      progress: { percentage, message: "", current_step: 1, items_processed: 1 },
    });
  assert.equal(remaining(at(25), LATER), 300);
  assert.equal(remaining(at(0.5), LATER), null);
  assert.equal(remaining({ ...at(25), status: "CANCELLED" }, LATER), null);
});

test("an id ends in what tells it apart", () => {
  assert.equal(shortId("op_training_20261128_1ei851"), "1ei851");
});
