// Pulling: at a pace, slower after failures, and not at all while nobody looks.

import { Problem } from "./http.js";

const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Calls `task` until the signal aborts. Raises the server's refusals; whatever may pass is tried again.
 * @param {AbortSignal} signal
 * @param {() => number | null} pause in milliseconds, or null when there is nothing left to ask for
 * @param {() => Promise<unknown>} task
 * @param {(problem: unknown) => void} [onFailure] told of what is tried again
 */
export async function poll(signal, pause, task, onFailure = () => {}) {
  let failures = 0;
  while (!signal.aborted) {
    const problem = await attempt(signal, task);
    failures = problem ? failures + 1 : 0;
    if (problem) onFailure(problem);
    const wait = pause();
    if (wait === null && !failures) return;
    await sleep(signal, Math.min(LONGEST_PAUSE_MS, (wait ?? FIRST_PAUSE_MS) * 2 ** failures));
  }
}

/**
 * Calls the task once somebody looks; resolves to what went wrong and may pass, or to null.
 * @param {AbortSignal} signal
 * @param {() => Promise<unknown>} task
 */
async function attempt(signal, task) {
  await untilVisible(signal);
  try {
    if (!signal.aborted) await task();
    return null;
  } catch (problem) {
    if (isRefusal(problem)) throw problem;
    return signal.aborted ? null : problem;
  }
}

/** @param {unknown} error */
export const isRefusal = (error) => error instanceof Problem && error.status >= 400 && error.status < 500;

/** @param {AbortSignal} signal */
async function untilVisible(signal) {
  while (document.hidden && !signal.aborted) await nextEvent(signal, document, "visibilitychange");
}

/**
 * The event, or the signal's abort.
 * @param {AbortSignal} signal
 * @param {EventTarget} target
 * @param {string} type
 */
function nextEvent(signal, target, type) {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers();
  const listening = new AbortController();
  target.addEventListener(type, resolve, { signal: listening.signal });
  signal.addEventListener("abort", resolve, { signal: listening.signal });
  return promise.finally(() => listening.abort());
}

/**
 * @param {AbortSignal} signal
 * @param {number} milliseconds
 */
const sleep = (signal, milliseconds) => nextEvent(signal, AbortSignal.timeout(milliseconds), "abort");
