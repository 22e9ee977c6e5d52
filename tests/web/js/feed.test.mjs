// The list of operations as it is pulled.

import assert from "node:assert/strict";
import { test } from "node:test";
import { matches, OperationFeed } from "../../../ktrdr/web/static/js/operations/feed.js";
import { operation, serve } from "./samples.mjs";

/** @import { Operation } from "../../../ktrdr/web/static/js/types.d.ts" */

const { signal } = new AbortController();

/**
 * @param {number} number its place from the oldest, 1 to 9
 * @param {Partial<Operation>} differences
 */
const numbered = (number, differences = {}) =>
  operation({
    operation_id: `op_training_2026010${number}_aaaaaa`,
    created_at: `2026-01-0${number}T00:00:00Z`,
    status: "COMPLETED",
    ...differences,
  });

/**
 * Serves these, newest first, in pages of `size`; and each by its id.
 * @param {() => Operation[]} all
 */
function serveOperations(all, size = 50) {
  return serve(({ pathname, searchParams }) => {
    const id = pathname.split("/operations/")[1];
    if (id) return all().find((candidate) => candidate.operation_id === id);
    const offset = Number(searchParams.get("page_token") ?? 0);
    const next = offset + size < all().length ? String(offset + size) : null;
    return { operations: all().slice(offset, offset + size), total: all().length, next_page_token: next };
  });
}

const ids = (/** @type {OperationFeed} */ feed) => feed.operations.map(({ operation_id: id }) => id[19]);

test("older pages are added to the newest", async () => {
  serveOperations(() => [5, 4, 3, 2, 1].map((number) => numbered(number)), 2);
  const feed = new OperationFeed({ status: "", type: "" }, signal);

  await feed.refresh();
  assert.deepEqual([ids(feed), feed.total, feed.hasMore], [["5", "4"], 5, true]);
  await feed.loadMore();
  assert.deepEqual(ids(feed), ["5", "4", "3", "2"]);
  await feed.loadAll(() => true);
  assert.deepEqual([ids(feed), feed.hasMore], [["5", "4", "3", "2", "1"], false]);
});

test("a refresh takes in what is new, and lets go what was removed", async () => {
  let all = [numbered(3), numbered(2), numbered(1)];
  serveOperations(() => all);
  const feed = new OperationFeed({ status: "", type: "" }, signal);
  await feed.refresh();

  all = [numbered(4), numbered(3), numbered(1)];
  await feed.refresh();
  assert.deepEqual(ids(feed), ["4", "3", "1"]);
});

test("while something runs, two of three pulls ask for that alone", async () => {
  const running = numbered(2, { status: "RUNNING" });
  const requests = serveOperations(() => [running, numbered(1)]);
  const feed = new OperationFeed({ status: "", type: "" }, signal);

  const areOfList = [];
  for (const _ of [1, 2, 3, 4]) areOfList.push(await feed.refresh());

  assert.deepEqual(areOfList, [true, false, false, true]);
  const list = "/api/v1/operations?limit=50";
  const one = `/api/v1/operations/${running.operation_id}`;
  assert.deepEqual(requests, [list, one, one, list]);
});

test("what no longer fits the filter is let go", async () => {
  let all = [numbered(1, { status: "RUNNING" })];
  serveOperations(() => all);
  const feed = new OperationFeed({ status: "RUNNING", type: "" }, signal);
  await feed.refresh();

  all = [numbered(1)];
  await feed.refresh();
  assert.deepEqual(ids(feed), []);
});

test("a search finds all its words, in any of a record's names", () => {
  const training = operation({
    metadata: { strategy: "Momentum", symbols: ["AAPL"], timeframes: ["1d"], model_type: "gru" },
  });
  for (const text of ["momentum", "aapl GRU", "training 1d", "op_training"])
    assert.equal(matches(training, text), true);
  for (const text of ["msft", "aapl lstm"]) assert.equal(matches(training, text), false);
});
