// Many bars are drawn as fewer that hide nothing, and older ones join newer ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Bars } from "../../../ktrdr/web/static/js/market/bars.js";

/**
 * @param {number} first row
 * @param {number[]} time
 */
function page(first, time) {
  return {
    total: 5,
    first_row: first,
    time,
    open: time.map((_, index) => index + 1),
    high: time.map((_, index) => [5, 9, 4][index]),
    low: time.map((_, index) => [1, 0.5, 2][index]),
    close: time.map((_, index) => index + 2),
    volume: time.map((_, index) => 10 * (index + 1)),
    indicators: [{ name: "sma", group: "sma", on_price: true, values: time.map(() => first) }],
    labels: { class_names: ["down", "up"], classes: time.map((_, index) => (index ? 1 : null)) },
    predictions: {
      time: time.slice(1),
      part: time.slice(1).map(() => "test"),
      label: time.slice(1).map(() => "up"),
      predicted: time.slice(1).map((_, index) => (index ? "down" : "up")),
      confidence: time.slice(1).map(() => 0.6),
    },
  };
}

test("a candle of several bars has their extremes, first open, last close and whole volume", () => {
  const bars = new Bars(page(2, [10, 20, 30]));
  const candles = bars.groups(0, 3, 2).map((start) => ({ ...bars.candle(start, 2), volume: bars.traded(start, 2) }));
  assert.deepEqual(candles, [
    { time: 10, open: 1, high: 9, low: 0.5, close: 3, volume: 30 },
    { time: 30, open: 3, high: 4, low: 2, close: 4, volume: 30 },
  ]);
});

test("a bar is found by the time at which it opened", () => {
  const bars = new Bars(page(2, [10, 20, 30]));
  assert.deepEqual(
    [5, 10, 11, 30, 31].map((time) => bars.rowFrom(time)),
    [0, 0, 1, 2, 3],
  );
});

test("a bar tells its label and its prediction, where it has them", () => {
  const bars = new Bars(page(2, [10, 20, 30]));
  assert.deepEqual(
    [0, 1].map((row) => bars.label(row)),
    [null, "up"],
  );
  assert.equal(bars.prediction(0), null);
  assert.deepEqual(bars.prediction(1), { predicted: "up", isRight: true, confidence: 0.6 });
  assert.equal(bars.prediction(2)?.isRight, false);
});

test("a number is right when it has the sign that came true", () => {
  const numbers = { label: [0.02, 0.02], predicted: [0.001, -0.001], confidence: null };
  const returns = { ...page(2, [10, 20, 30]), predictions: { time: [20, 30], part: ["test", "test"], ...numbers } };
  const bars = new Bars(returns);
  assert.deepEqual([bars.prediction(1)?.isRight, bars.prediction(2)?.isRight], [true, false]);
});

test("older bars come before newer ones, in every column", () => {
  const bars = new Bars(page(2, [10, 20, 30]));
  bars.prepend(page(0, [1, 2]));
  assert.deepEqual([bars.firstRow, bars.length], [0, 5]);
  assert.deepEqual(bars.time, [1, 2, 10, 20, 30]);
  assert.deepEqual(bars.volume, [10, 20, 10, 20, 30]);
  assert.deepEqual(bars.indicators[0].values, [0, 0, 2, 2, 2]);
  assert.deepEqual(
    [0, 1, 2, 3].map((row) => bars.label(row)),
    [null, "up", null, "up"],
  );
  assert.deepEqual(
    [1, 2, 3].map((row) => bars.prediction(row)?.predicted),
    ["up", undefined, "up"],
  );
});
