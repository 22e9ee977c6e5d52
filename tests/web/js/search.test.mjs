// Trials in order, what their parameters are called, and the axes that they are drawn on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { countAxis, parameterAxis, roundNumbers } from "../../../ktrdr/web/static/js/plots.js";
import { briefNames, ranked } from "../../../ktrdr/web/static/js/search/trials.js";

/** @typedef {{ trial: number, score: number | null, rung: number }} Short */

const trial = (/** @type {Short} */ given) => ({ ...given, epochs: 1, status: "completed", parameters: {} });
const trials = [
  { trial: 0, score: 0.7, rung: 1 },
  { trial: 1, score: null, rung: 1 },
  { trial: 2, score: 0.6, rung: 1 },
  { trial: 3, score: 0.7, rung: 1 },
  { trial: 4, score: 0.65, rung: 2 },
].map(trial);

test("trials of later rungs come first, then the best score, then the lower number, at the end those without", () => {
  const order = (/** @type {"val_loss" | "lead"} */ objective) => ranked(trials, objective).map((each) => each.trial);
  assert.deepEqual(order("val_loss"), [4, 2, 0, 3, 1]);
  assert.deepEqual(order("lead"), [4, 0, 3, 2, 1]);
});

test("parameters are named without their section unless two would be called the same", () => {
  const names = ["training.learning_rate", "fast.period", "slow.period"];
  assert.deepEqual([...briefNames(names).values()], ["learning_rate", "fast.period", "slow.period"]);
});

test("a parameter's axis is logarithmic where its values are spread so", () => {
  const axis = parameterAxis([0.001, 0.01, 0.1]);
  assert.ok(Math.abs(axis.place(0.01) - 0.5) < 1e-9);
  assert.ok(Math.abs(parameterAxis([0.01, 0.3, 0.5]).place(0.255) - 0.5) < 1e-9);
});

test("what a trial does not have lies below all that others have", () => {
  const axis = parameterAxis([10, undefined, 20]);
  assert.ok(axis.place(undefined) < axis.place(10));
  assert.ok(axis.place(10) < axis.place(20));
  const names = parameterAxis(["sgd", "adam"]);
  assert.deepEqual(
    names.ticks.map(({ text, at }) => [text, at]),
    [
      ["adam", 0.25],
      ["sgd", 0.75],
    ],
  );
});

test("ticks are round and lie between the ends", () => {
  assert.deepEqual(roundNumbers(0, 1), [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1]);
  assert.deepEqual(roundNumbers(18, 69), [20, 30, 40, 50, 60]);
});

test("a count has whole ticks only", () => {
  const texts = (/** @type {number} */ count) => countAxis(count).ticks.map(({ text }) => text);
  assert.deepEqual(texts(2), ["1", "2"]);
  assert.deepEqual(texts(11), ["5", "10"]);
});
