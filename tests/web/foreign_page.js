// Everything that a page can send to another origin. `attack` resolves to what the page learned from the answers.

/**
 * @typedef {{ method: string, path: string, body: string | null }} Asked
 * @typedef {(what: string) => void} Learn
 */

const SIMPLE = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
const EVENTS_WITHIN_MS = 5000;
// A browser lets a page wait longer and longer for sockets that fail.
const SOCKETS = 2;

Object.assign(globalThis, { attack });

/**
 * @param {string} server
 * @param {Asked[]} requests
 */
async function attack(server, requests) {
  /** @type {string[]} */
  const learned = [];
  const means = [fetches, beacons, elements, forms];
  const sockets = requests.slice(0, SOCKETS).map(({ path }) => socket(server + path, (what) => learned.push(what)));
  for (const request of requests) {
    const url = server + request.path;
    const learn = (/** @type {string} */ what) => learned.push(`${request.method} ${url}: ${what}`);
    await Promise.all(means.map((mean) => mean(url, request, learn)));
  }
  await Promise.all(sockets);
  return learned;
}

/**
 * @param {string} url
 * @param {Asked} request
 * @param {Learn} learn
 */
async function fetches(url, { method, body }, learn) {
  const isRead = method === "GET";
  const content = isRead ? {} : { body };
  const simple = isRead ? [{}] : SIMPLE.map((type) => ({ headers: { "content-type": type }, ...content }));
  /** @type {RequestInit[]} */
  const ways = [
    ...simple.map((way) => ({ ...way, mode: /** @type {RequestMode} */ ("no-cors") })),
    { ...simple[0], mode: "cors" },
    { ...content, mode: "cors", headers: { "content-type": "application/json" } },
  ];
  await Promise.all(
    ways.map(async (way) => {
      try {
        const answer = await fetch(url, { ...way, method, credentials: "include" });
        if (answer.type !== "opaque" || (await answer.text())) learn(`${way.mode} ${answer.status}`);
      } catch {
        // What must happen.
      }
    }),
  );
}

/**
 * @param {string} url
 * @param {Asked} request
 */
async function beacons(url, { body }) {
  for (const type of ["text/plain", "application/json"]) navigator.sendBeacon(url, new Blob([body ?? ""], { type }));
}

/**
 * @param {string} url
 * @param {Learn} learn
 */
async function socket(url, learn) {
  const opened = new WebSocket(url.replace("http", "ws"));
  await settled(opened, "open", ["error", "close"], () => learn(`${url}: a socket`));
}

/**
 * @param {string} url
 * @param {Asked} request
 * @param {Learn} learn
 */
async function elements(url, { method }, learn) {
  if (method !== "GET") return;
  const made = [
    Object.assign(document.createElement("img"), { src: url }),
    Object.assign(document.createElement("script"), { src: url }),
    Object.assign(document.createElement("script"), { src: url, type: "module" }),
    Object.assign(document.createElement("link"), { href: url, rel: "stylesheet" }),
    Object.assign(document.createElement("object"), { data: url }),
  ];
  await Promise.all(
    made.map(async (element) => {
      const loaded = settled(element, "load", ["error"], () => learn(`<${element.localName}>`));
      document.body.append(element);
      await loaded;
      element.remove();
    }),
  );
}

/**
 * @param {string} url
 * @param {Asked} request
 * @param {Learn} learn
 */
async function forms(url, { method, body }, learn) {
  if (method !== "GET" && method !== "POST") return;
  const types = method === "GET" ? SIMPLE.slice(0, 1) : SIMPLE;
  await Promise.all(types.map((type) => submit(url, method, type, body ?? "", learn)));
}

/**
 * @param {string} action
 * @param {string} method
 * @param {string} enctype
 * @param {string} body
 * @param {Learn} learn
 */
async function submit(action, method, enctype, body, learn) {
  const frame = Object.assign(document.createElement("iframe"), { name: `frame-${Math.random()}` });
  document.body.append(frame);
  const form = Object.assign(document.createElement("form"), { action, method, enctype, target: frame.name });
  form.append(Object.assign(document.createElement("input"), { name: body.slice(0, 60), value: body.slice(60) }));
  document.body.append(form);
  const loaded = settled(frame, "load", ["error"], () => {});
  form.submit();
  await loaded;
  try {
    if (frame.contentDocument?.body?.textContent) learn("a frame");
  } catch {
    // What must happen.
  }
  form.remove();
  frame.remove();
}

/**
 * Resolves when one of the events has come, or none in time.
 * @param {EventTarget} target
 * @param {string} wanted
 * @param {string[]} others
 * @param {() => void} then called for the wanted one
 */
function settled(target, wanted, others, then) {
  return new Promise((resolve) => {
    target.addEventListener(wanted, () => resolve(then()), { once: true });
    for (const other of others) target.addEventListener(other, resolve, { once: true });
    setTimeout(resolve, EVENTS_WITHIN_MS);
  });
}
