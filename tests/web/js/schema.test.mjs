// The strategy's schema: what the form makes of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseField, StrategySchema, setValueAt, valueAt } from "../../../ktrdr/web/static/js/start/schema.js";

const schema = new StrategySchema({
  properties: {
    name: { type: "string" },
    calendar: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
    model: { discriminator: { mapping: { lstm: "#/$defs/Lstm", mlp: "#/$defs/Mlp" } } },
    labels: { discriminator: { mapping: { direction: "#/$defs/Direction" } } },
    training: { $ref: "#/$defs/Training", description: "How it learns." },
    indicators: { type: "array" },
  },
  $defs: {
    Lstm: { type: "object", properties: { type: { type: "string" }, layers: { type: "integer", default: 2 } } },
    Mlp: { type: "object", properties: { type: { type: "string" }, width: { type: "integer", default: 8 } } },
    Direction: {
      type: "object",
      properties: { type: { type: "string", default: "direction" }, horizon: { type: "integer", default: 1 } },
    },
    Training: {
      type: "object",
      properties: {
        epochs: { type: "integer", default: 20 },
        early_stopping: { anyOf: [{ $ref: "#/$defs/EarlyStopping" }, { type: "null" }], default: null },
        schedule: {
          anyOf: [{ discriminator: { mapping: { plateau: "#/$defs/Plateau" } } }, { type: "null" }],
          default: null,
        },
      },
    },
    Plateau: { type: "object", properties: { type: { type: "string" }, factor: { type: "number", default: 0.5 } } },
    EarlyStopping: { type: "object", properties: { patience: { type: "integer" } }, required: ["patience"] },
  },
});

test("references are followed, and what stands beside them wins", () => {
  const training = schema.resolve(schema.properties.training);
  assert.equal(training.description, "How it learns.");
  assert.deepEqual(Object.keys(training.properties ?? {}), ["epochs", "early_stopping", "schedule"]);
});

test('"or null" is taken apart', () => {
  const { properties = {} } = schema.resolve(schema.properties.training);
  const stopping = schema.resolve(properties.early_stopping);
  assert.equal(stopping.isNullable, true);
  assert.deepEqual(stopping.required, ["patience"]);

  const mixed = schema.resolve({ anyOf: [{ type: "integer" }, { type: "string" }] });
  assert.equal(mixed.isNullable, false);
  assert.equal(mixed.hasNumbers, true);
});

test("a choice of variants that may be absent keeps its type", () => {
  const { properties = {} } = schema.resolve(schema.properties.training);
  const part = schema.resolve(properties.schedule);
  assert.equal(part.isNullable, true);
  assert.deepEqual([...schema.variants(part).keys()], ["plateau"]);
  const document = { training: { schedule: { type: "plateau", factor: 0.5 } } };
  assert.deepEqual(schema.withoutDefaults(document), { training: { schedule: { type: "plateau" } } });
});

test("variants are found by their type, and a reference that leads nowhere is an error", () => {
  assert.deepEqual([...schema.variants(schema.properties.model).keys()], ["lstm", "mlp"]);
  assert.throws(() => schema.resolve({ $ref: "#/$defs/Nothing" }), /#\/\$defs\/Nothing/);
});

test("what is the default anyway is left out", () => {
  const document = {
    name: "x",
    calendar: null,
    model: { type: "lstm", layers: 2 },
    labels: { type: "direction", horizon: 1 },
    training: { epochs: 20, early_stopping: null },
    indicators: [{ name: "sma", period: 20, as: null }],
  };
  assert.deepEqual(schema.withoutDefaults(document), {
    name: "x",
    model: { type: "lstm" },
    indicators: [{ name: "sma", period: 20 }],
  });
});

test("what differs from the default is kept, with the type that it belongs to", () => {
  const document = {
    model: { type: "mlp", width: 16 },
    labels: { type: "direction", horizon: 5 },
    training: { epochs: 20, early_stopping: { patience: 3 } },
  };
  assert.deepEqual(schema.withoutDefaults(document), {
    model: { type: "mlp", width: 16 },
    labels: { type: "direction", horizon: 5 },
    training: { early_stopping: { patience: 3 } },
  });
});

test("a value is set by its path, through groups and lists that were not there", () => {
  const document = { name: "x" };
  setValueAt(document, ["indicators", 0, "name"], "sma");
  setValueAt(document, ["training", "early_stopping", "patience"], 3);
  assert.deepEqual(document, {
    name: "x",
    indicators: [{ name: "sma" }],
    training: { early_stopping: { patience: 3 } },
  });
  assert.equal(valueAt(document, ["training", "early_stopping", "patience"]), 3);
  assert.equal(valueAt(document, ["name", "anything"]), undefined);
});

test("groups that are left empty go with their last value", () => {
  const document = { name: "x", training: { early_stopping: { patience: 3 } } };
  setValueAt(document, ["training", "early_stopping", "patience"], undefined);
  assert.deepEqual(document, { name: "x" });
});

test("what is typed becomes what the key takes", () => {
  assert.equal(parseField("12", { type: "integer" }), 12);
  assert.equal(parseField(" ", { type: "integer" }), undefined);
  assert.equal(parseField("", { type: "string" }), "");
  assert.equal(parseField("", { type: "string", isNullable: true }), undefined);
  assert.equal(parseField("12", { type: "string" }), "12");
  assert.equal(parseField("12", { type: "text", hasNumbers: true }), 12);
  assert.equal(parseField("auto", { type: "text", hasNumbers: true }), "auto");
  assert.deepEqual(parseField("0.33, 0.67,", { type: "array" }), [0.33, 0.67]);
  assert.deepEqual(parseField("1h, 1d", { type: "array" }), ["1h", "1d"]);
});
