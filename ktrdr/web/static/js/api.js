// The public API, and nothing else: get, post, and problems as they come.

import { askForToken } from "./dialogs.js";

const BASE = "/api/v1";
const TOKEN = "ktrdr.token";

/** "online" or "offline" is dispatched here whenever that changes. */
export const connection = new EventTarget();
let isOnline = true;

export class Problem extends Error {
  constructor(status, { code = "", detail = "", hint = "", ...context } = {}) {
    super(detail || `the server answered ${status}`);
    Object.assign(this, { status, code, detail: this.message, hint, context });
  }
}

export const get = (path, query, signal) => request("GET", path, { query, signal });

export const getText = (path, signal) => request("GET", path, { signal, as: "text" });

export const getBlob = (path, signal) => request("GET", path, { signal, as: "blob" });

/** What starts an operation is sent with a key of its own, so that a repetition starts nothing twice. */
export const start = (path, body, query) => request("POST", path, { body, query, key: newKey() });

export const post = (path, body, signal) => request("POST", path, { body, signal });

async function request(method, path, { query, body, signal, as = "json", key }) {
  const answer = await send(method, path + queryOf(query), body, signal, key);
  if (answer.ok) return answer[as]();
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401 && (await askForToken(keepToken)))
    return request(method, path, { query, body, signal, as, key });
  throw new Problem(answer.status, told);
}

async function send(method, path, body, signal, key) {
  const headers = {};
  const token = keptToken();
  if (token) headers.authorization = `Bearer ${token}`;
  if (key) headers["idempotency-key"] = key;
  const isFile = body instanceof Blob;
  if (body !== undefined && !isFile) headers["content-type"] = "application/json";
  const content = body === undefined || isFile ? body : JSON.stringify(body);
  try {
    const answer = await fetch(BASE + path, { method, headers, body: content, signal, cache: "no-store" });
    told(true);
    return answer;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    told(false);
    throw new Problem(0, {
      detail: "the server cannot be reached",
      hint: "start it with: ktrdr serve",
      code: "server_unreachable",
    });
  }
}

function told(reached) {
  if (reached === isOnline) return;
  isOnline = reached;
  connection.dispatchEvent(new Event(reached ? "online" : "offline"));
}

function queryOf(query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) {
      if (each !== undefined && each !== null && each !== "") parameters.append(name, each);
    }
  }
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

/** Not `randomUUID`: browsers keep that one for secure contexts, and a server in the next room is none. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function keptToken() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}
