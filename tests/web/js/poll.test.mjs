// Pulling at a pace.

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Problem } from "../../../ktrdr/web/static/js/http.js";
import { poll } from "../../../ktrdr/web/static/js/poll.js";

const page = Object.assign(new EventTarget(), { hidden: false });

before(() => {
  globalThis.document = /** @type {Document} */ (/** @type {unknown} */ (page));
});

/**
 * Lets every pause end at once; returns their lengths in milliseconds.
 * @param {import("node:test").TestContext} context
 */
function withoutWaiting(context) {
  /** @type {number[]} */
  const pauses = [];
  context.mock.method(AbortSignal, "timeout", (/** @type {number} */ milliseconds) => {
    pauses.push(milliseconds);
    const end = new AbortController();
    queueMicrotask(() => end.abort());
    return end.signal;
  });
  return pauses;
}

test("it ends when there is nothing left to ask for", async () => {
  let pulls = 0;
  await poll(
    new AbortController().signal,
    () => (pulls < 3 ? 0 : null),
    async () => {
      pulls += 1;
    },
  );
  assert.equal(pulls, 3);
});

test("failures that may pass are tried again, at pauses that double up to half a minute", async (context) => {
  const pauses = withoutWaiting(context);
  const problems = Array.from({ length: 6 }, () => new Problem(503));
  let shown = 0;
  await poll(
    new AbortController().signal,
    () => null,
    async () => {
      const problem = problems.pop();
      if (problem) throw problem;
    },
    () => {
      shown += 1;
    },
  );
  assert.equal(shown, 6);
  assert.deepEqual(pauses, [2000, 4000, 8000, 16_000, 30_000, 30_000]);
});

test("a refusal is not tried again", async () => {
  const refused = poll(
    new AbortController().signal,
    () => 0,
    async () => {
      throw new Problem(404);
    },
  );
  await assert.rejects(refused, { status: 404 });
});

test("it rests while nobody looks, and ends while it rests", async () => {
  page.hidden = true;
  const view = new AbortController();
  let pulls = 0;
  const ended = poll(
    view.signal,
    () => null,
    async () => {
      pulls += 1;
    },
  );
  page.dispatchEvent(new Event("visibilitychange"));
  await Promise.resolve();
  assert.equal(pulls, 0);

  view.abort();
  await ended;
  assert.equal(pulls, 0);
  page.hidden = false;
});

test("it goes on when somebody looks again", async () => {
  page.hidden = true;
  let pulls = 0;
  const ended = poll(
    new AbortController().signal,
    () => null,
    async () => {
      pulls += 1;
    },
  );
  page.hidden = false;
  page.dispatchEvent(new Event("visibilitychange"));
  await ended;
  assert.equal(pulls, 1);
});
