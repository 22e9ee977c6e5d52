// Numbers and instants as the page shows them.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../../../ktrdr/web/static/js/format.js";

test("numbers have groups of three, a true minus, and never a negative zero", () => {
  assert.equal(format.integer(1234567.4), "1,234,567");
  assert.equal(format.integer(-5), "−5");
  assert.equal(format.fixed(-0.14497, 2), "−0.14");
  assert.equal(format.fixed(-0.00001), "0.0000");
  assert.equal(format.percent(0.5678), "56.8%");
  assert.equal(format.percent(1, 0), "100%");
});

test("what has a direction has a sign, and zero has none", () => {
  assert.equal(format.signedPercent(0.0038), "+0.4%");
  assert.equal(format.signedPercent(-0.0338), "−3.4%");
  assert.equal(format.signedPercent(0.0001), "0.0%");
  assert.equal(format.signedPoints(0.064), "+6.4 pp");
  assert.equal(format.signedPoints(-0.064), "−6.4 pp");
  assert.equal(format.signedPoints(0), "0.0 pp");
  assert.equal(format.points(0.064), "6.4 pp");
});

test("what is missing is a dash in every format", () => {
  const formats = [format.integer, format.fixed, format.percent, format.signedPercent, format.points];
  const others = [format.signedPoints, format.pValue, format.significant, format.bytes, format.duration];
  for (const text of [...formats, ...others]) {
    for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) assert.equal(text(value), "–");
  }
  for (const text of [format.ago, format.instant, format.day]) assert.equal(text(null), "–");
});

test("a small p-value is given as a bound", () => {
  assert.equal(format.pValue(0.36), "0.360");
  assert.equal(format.pValue(0.0005), "0.001");
  assert.equal(format.pEquals(0.0001), "p < 0.001");
  assert.equal(format.pEquals(0.012), "p = 0.012");
  assert.equal(format.pValue(0.00049), "< 0.001");
});

test("prices have as many digits as tell them apart, and no zeros behind", () => {
  assert.equal(format.significant(254.77), "254.77");
  assert.equal(format.significant(250), "250");
  assert.equal(format.significant(0.000123456789), "0.000123457");
  assert.equal(format.significant(-1.5, 4), "−1.5");
});

test("bytes are counted in thousands", () => {
  assert.equal(format.bytes(0), "0 B");
  assert.equal(format.bytes(999), "999 B");
  assert.equal(format.bytes(1000), "1.0 kB");
  assert.equal(format.bytes(633_143_432), "633 MB");
  assert.equal(format.bytes(24_407_928_832), "24.4 GB");
  assert.equal(format.bytes(5e15), "5,000 TB");
});

test("durations carry over into the next unit", () => {
  assert.equal(format.duration(0.0199), "20 ms");
  assert.equal(format.duration(4.02), "4.0 s");
  assert.equal(format.duration(59.6), "1 min 0 s");
  assert.equal(format.duration(119.7), "2 min 0 s");
  assert.equal(format.duration(3599.9), "1 h 0 min");
  assert.equal(format.duration(47.5 * 3600), "47 h 30 min");
  assert.equal(format.duration(50 * 3600), "2 d 2 h");
});

test("an age is counted from now", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  assert.equal(format.ago("2026-01-01T23:59:30Z", now), "just now");
  assert.equal(format.ago("2026-01-01T23:00:01Z", now), "60 min ago");
  assert.equal(format.ago("2026-01-01T12:00:00Z", now), "12 h ago");
  assert.equal(format.ago("2025-12-30T00:00:00Z", now), "3 d ago");
});

test("instants lose what everybody knows", () => {
  assert.equal(format.instant("2024-12-30T21:00:00.123Z"), "2024-12-30 21:00:00");
  assert.equal(format.instant("2024-12-30T21:00:00+00:00"), "2024-12-30 21:00:00");
  assert.equal(format.days("2024-01-02T00:00:00Z", "2024-12-30T00:00:00Z"), "2024-01-02 to 2024-12-30");
});

test("names become words, and long lists are cut", () => {
  assert.equal(format.words("DATA_LOAD"), "Data load");
  assert.equal(format.shortList(["A", "B", "C"]), "A, B, C");
  assert.equal(format.shortList(["A", "B", "C", "D", "E"]), "A, B, C and 2 more");
  assert.equal(format.joined(["A", "", null, "B"]), "A · B");
});
