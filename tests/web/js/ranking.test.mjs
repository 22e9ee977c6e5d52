// A winner is named only beyond chance.

import assert from "node:assert/strict";
import { test } from "node:test";
import { rank } from "../../../ktrdr/web/static/js/compare/ranking.js";

/**
 * @param {number} accuracy
 * @param {number} halfWidth of its 95 % interval
 */
function contender(accuracy, halfWidth, samples = 500) {
  /** @type {[number, number]} */
  const interval = [accuracy - halfWidth, accuracy + halfWidth];
  const rows = { validation_samples: samples, from: "2024-01-01", to: "2024-12-31", class_names: ["down", "up"] };
  return {
    name: `run ${Math.round(100 * accuracy)}`,
    symbols: ["AAPL"],
    evaluation: { accuracy, accuracy_interval: interval, ...rows },
  };
}

test("the best is ahead when its lead is larger than chance explains", () => {
  const ranking = rank([contender(0.52, 0.02), contender(0.6, 0.02)]);
  assert.equal(ranking.isSure, true);
  assert.equal(ranking.title, "run 60 is ahead beyond chance");
  assert.match(
    ranking.text,
    /60\.0% against 52\.0% on the same 500 samples: \+8\.0 pp, with a standard error of at most 2\.0 pp/,
  );
});

test("a difference can be chance although each is beside the other's interval", () => {
  const ranking = rank([contender(0.56, 0.03), contender(0.52, 0.03)]);
  assert.deepEqual([ranking.isSure, ranking.title], [false, "No winner: the difference can be chance"]);
});

test("what is enough for two is not enough for the best of three", () => {
  const two = [contender(0.6, 0.036), contender(0.52, 0.036)];
  assert.equal(rank(two).isSure, true);
  assert.equal(rank([...two, contender(0.5, 0.036)]).isSure, false);
});

test("other rows cannot be compared", () => {
  const others = [
    contender(0.52, 0.02, 400),
    { ...contender(0.52, 0.02), symbols: ["MSFT"] },
    {
      ...contender(0.52, 0.02),
      evaluation: { ...contender(0.52, 0.02).evaluation, class_names: ["down", "flat", "up"] },
    },
  ];
  for (const other of others) assert.equal(rank([contender(0.9, 0.02), other]).title, "Not evaluated on the same rows");
});

test("one alone has nobody to be ahead of", () => {
  const unfinished = { name: "live", symbols: ["AAPL"], evaluation: null };
  assert.equal(rank([contender(0.6, 0.02), unfinished]).title, "Nobody is ahead yet");
  assert.equal(rank([contender(0.6, 0.02), contender(0.6, 0.02)]).title, "They are level");
});
