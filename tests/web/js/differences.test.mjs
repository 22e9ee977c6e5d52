// Settings side by side.

import assert from "node:assert/strict";
import { test } from "node:test";
import { flatten } from "../../../ktrdr/web/static/js/compare/differences.js";
import { withDistinctNames } from "../../../ktrdr/web/static/js/compare/runs.js";
import { operation } from "./samples.mjs";

test("nested settings are named by their paths, lists of groups are short", () => {
  const settings = {
    training: { epochs: 20, early_stopping: null },
    timeframes: ["1d", "1h"],
    indicators: [
      { name: "macd", fast: 12, as: null },
      { name: "rsi", fast: null, as: null },
    ],
  };
  assert.deepEqual(flatten(settings), [
    ["training.epochs", "20"],
    ["timeframes", "1d, 1h"],
    ["indicators", "macd 12, rsi"],
  ]);
});

test("runs of the same title are told apart by their ids, however often they are named", () => {
  const run = (/** @type {string} */ id, /** @type {string} */ title) => ({
    ...{ id, title, name: title, colorName: "c1", dash: 0 },
    ...{ operation: operation({}), results: null, card: null },
  });
  const once = withDistinctNames([run("op_1_aaa", "Run"), run("op_1_bbb", "Run"), run("op_1_ccc", "Other")]);
  const names = ["Run aaa", "Run bbb", "Other"];
  assert.deepEqual(
    once.map(({ name }) => name),
    names,
  );
  assert.deepEqual(
    withDistinctNames(once).map(({ name }) => name),
    names,
  );
});
