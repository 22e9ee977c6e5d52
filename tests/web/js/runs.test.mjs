// What a table of runs is asked for, and how its values read.

import assert from "node:assert/strict";
import { test } from "node:test";
import { queryString } from "../../../ktrdr/web/static/js/http.js";
import { nextSort, parametersOf, readQuery } from "../../../ktrdr/web/static/js/runs/query.js";
import { valueText } from "../../../ktrdr/web/static/js/runs/table.js";

test("an address is read as it is written", () => {
  const query = { q: "a&b", where: ["lead>0.01", "name~x=y"], sort: "-lead", columns: ["id", "p"], offset: 100 };
  assert.deepEqual(readQuery(new URLSearchParams(queryString(parametersOf(query)))), query);
});

test("an offset that is none is the beginning", () => {
  assert.equal(readQuery(new URLSearchParams("offset=-5")).offset, 0);
  assert.equal(readQuery(new URLSearchParams("offset=x")).offset, 0);
});

test("numbers begin with the greatest, texts with the first, and a second click turns them round", () => {
  const lead = { name: "lead", is_number: true };
  assert.equal(nextSort("", lead), "-lead");
  assert.equal(nextSort("-lead", lead), "lead");
  assert.equal(nextSort("lead", lead), "-lead");
  assert.equal(nextSort("lead", { name: "name", is_number: false }), "name");
});

test("values read as elsewhere on the page", () => {
  assert.equal(valueText("accuracy", 0.5), "50.0%");
  assert.equal(valueText("training.learning_rate", 0.000123456), "0.00012346");
  assert.equal(valueText("status", "FAILED"), "Failed");
  assert.equal(valueText("features.scale", true), "true");
  assert.equal(valueText("symbols", ["A", "B"]), "A, B");
  assert.equal(valueText("p", null), "");
});
