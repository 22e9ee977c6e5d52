// A strategy as YAML text.

import assert from "node:assert/strict";
import { test } from "node:test";
import { toYaml } from "../../../ktrdr/web/static/js/start/yaml.js";

test("groups are blocks, lists of names are on one line, lists of groups have a line for each", () => {
  const text = toYaml({
    name: "First try",
    model: { type: "lstm", layers: 1 },
    timeframes: ["1h", "1d"],
    indicators: [
      { name: "sma", period: 20 },
      { name: "bbands", outputs: ["upper", "lower"] },
    ],
  });
  assert.equal(
    text,
    `name: First try
model:
  type: lstm
  layers: 1
timeframes: ["1h", "1d"]
indicators:
  - {name: sma, period: 20}
  - {name: bbands, outputs: [upper, lower]}`,
  );
});

test("what is empty is still a value", () => {
  assert.equal(toYaml({ data: {}, symbols: [], calendar: null }), "data: {}\nsymbols: []\ncalendar: null");
});

test("text that YAML would take for something else is quoted", () => {
  for (const text of ["yes", "null", "1.5", "2024-01-01", "a: b", "# a", "- a", " a", "a ", "", "{a}", 'say "hi"']) {
    assert.equal(toYaml({ text }), `text: ${JSON.stringify(text)}`);
  }
});

test("numbers in exponential form have a point, without which YAML takes them for text", () => {
  assert.equal(toYaml({ rate: 1e-7 }), "rate: 1.0e-7");
  assert.equal(toYaml({ rate: 2.5e-7 }), "rate: 2.5e-7");
  assert.equal(toYaml({ rate: 0.001 }), "rate: 0.001");
  assert.equal(toYaml({ large: 1e21 }), "large: 1.0e+21");
});
