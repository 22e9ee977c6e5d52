// Requests, and what comes of those that fail.

import assert from "node:assert/strict";
import { test } from "node:test";
import { connection, get, Problem, queryString, start } from "../../../ktrdr/web/static/js/http.js";
import { serve } from "./samples.mjs";

test("a query leaves out what is empty and repeats what is a list", () => {
  assert.equal(
    queryString({ status: "", type: undefined, limit: 0, operation: ["a", "b"] }),
    "?limit=0&operation=a&operation=b",
  );
  assert.equal(queryString({}), "");
});

test("a refusal is a problem with the server's words", async () => {
  serve(() => undefined);
  await assert.rejects(get("/operations/x"), (error) => {
    assert(error instanceof Problem);
    assert.deepEqual([error.status, error.code, error.detail], [404, "not_found", "there is no /api/v1/operations/x"]);
    return true;
  });
});

test("each start has a key of its own", async () => {
  serve(() => ({}));
  /** @type {string[]} */
  const keys = [];
  const answer = globalThis.fetch;
  globalThis.fetch = (input, options) => {
    keys.push(String(new Headers(options?.headers).get("idempotency-key")));
    return answer(input, options);
  };
  await start("/training/start", {});
  await start("/training/start", {});
  assert.match(keys[0], /^[0-9a-f]{32}$/);
  assert.notEqual(keys[0], keys[1]);
});

test("a server that cannot be reached is told once, and so is its return", async () => {
  /** @type {string[]} */
  const events = [];
  for (const type of ["online", "offline"]) connection.addEventListener(type, () => events.push(type));
  serve(() => ({}));
  const answer = globalThis.fetch;
  globalThis.fetch = () => Promise.reject(new TypeError("no route"));
  for (const _ of [1, 2]) await assert.rejects(get("/system"), { status: 0, code: "server_unreachable" });
  globalThis.fetch = answer;
  await get("/system");
  assert.deepEqual(events, ["offline", "online"]);
});
