// Pulling: at a pace, slower after failures, and not at all while nobody looks.

const SLOWEST_MS = 30_000;

/** Calls `task` until `life` ends; `pace()` is the pause in milliseconds, or null when there is nothing left to ask. */
export async function poll(life, pace, task) {
  let failures = 0;
  while (!life.aborted) {
    await untilVisible(life);
    if (life.aborted) return;
    try {
      await task();
      failures = 0;
    } catch (error) {
      if (life.aborted) return;
      failures += 1;
      if (error.status >= 400 && error.status < 500) throw error;
    }
    const pause = pace();
    if (pause === null && !failures) return;
    await sleep(life, Math.min(SLOWEST_MS, (pause ?? 1000) * 2 ** failures));
  }
}

function untilVisible(life) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !life.aborted) return;
      document.removeEventListener("visibilitychange", look);
      life.removeEventListener("abort", look);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    life.addEventListener("abort", look);
  });
}

function sleep(life, milliseconds) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      life.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    life.addEventListener("abort", end);
  });
}
