// Requests to the server that serves this page: JSON, text, files, the token, and what went wrong.

/** @import { OperationError } from "./types.d.ts" */

import { askForToken } from "./dialogs.js";

/** Relative to the page, so that it is found wherever a proxy serves it. */
const BASE = "api/v1";
const TOKEN_KEY = "ktrdr.token";

/**
 * @typedef {Record<string, string | number | string[] | null | undefined>} Query Empty values are left out.
 *
 * @typedef {object} Call
 * @property {Query} [query]
 * @property {Blob | object} [body] A file as it is, anything else as JSON.
 * @property {AbortSignal} [signal]
 * @property {string} [key] An idempotency key: a call that is repeated under it starts nothing twice.
 */

/** Dispatches "online" or "offline" whenever that changes. */
export const connection = new EventTarget();
let isOnline = true;

/** A request that failed; `status` is 0 where the server cannot be reached. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {Partial<OperationError>} [problem]
   */
  constructor(status, { code = "", detail = "", hint = "" } = {}) {
    super(detail || `the server answered ${status}`);
    this.status = status;
    this.code = code;
    this.detail = this.message;
    this.hint = hint;
  }
}

/**
 * @param {string} path
 * @param {Query} [query]
 * @param {AbortSignal} [signal]
 */
export const get = async (path, query, signal) => (await request("GET", path, { query, signal })).json();

/**
 * @param {string} path
 * @param {AbortSignal} [signal]
 */
export const getText = async (path, signal) => (await request("GET", path, { signal })).text();

/**
 * @param {string} path
 * @param {Query} [query]
 */
export const getBlob = async (path, query) => (await request("GET", path, { query })).blob();

/**
 * @param {string} path
 * @param {object} [body]
 * @param {AbortSignal} [signal]
 */
export const post = async (path, body, signal) => (await request("POST", path, { body, signal })).json();

/**
 * @param {string} path
 * @param {object} body
 */
export const patch = async (path, body) => (await request("PATCH", path, { body })).json();

/**
 * @param {string} path
 * @param {Query} [query]
 */
export const remove = async (path, query) => (await request("DELETE", path, { query })).json();

/**
 * A post that starts an operation.
 * @param {string} path
 * @param {Blob | object} [body]
 * @param {Query} [query]
 */
export const start = async (path, body, query) => (await request("POST", path, { body, query, key: newKey() })).json();

/**
 * @param {"GET" | "POST" | "PATCH" | "DELETE"} method
 * @param {string} path
 * @param {Call} call
 * @returns {Promise<Response>}
 */
async function request(method, path, call) {
  const response = await send(method, path, call);
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401 && (await askForToken(storeToken))) return request(method, path, call);
  throw new Problem(response.status, problem);
}

/**
 * @param {"GET" | "POST" | "PATCH" | "DELETE"} method
 * @param {string} path
 * @param {Call} call
 */
async function send(method, path, { query, body, signal, key }) {
  try {
    const response = await fetch(BASE + path + queryString(query), {
      method,
      headers: headers(body, key),
      body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
    setOnline(true);
    return response;
  } catch (error) {
    if (signal?.aborted) throw error;
    setOnline(false);
    const hint = "start it with: ktrdr serve";
    throw new Problem(0, { code: "server_unreachable", detail: "the server cannot be reached", hint });
  }
}

/**
 * @param {Blob | object | undefined} body
 * @param {string | undefined} key
 */
function headers(body, key) {
  const token = storedToken();
  return {
    ...(token && { authorization: `Bearer ${token}` }),
    ...(key && { "idempotency-key": key }),
    ...(body !== undefined && !(body instanceof Blob) && { "content-type": "application/json" }),
  };
}

/** @param {boolean} isReached */
function setOnline(isReached) {
  if (isReached === isOnline) return;
  isOnline = isReached;
  connection.dispatchEvent(new Event(isReached ? "online" : "offline"));
}

/** @param {Query} [query] */
export function queryString(query = {}) {
  const parameters = new URLSearchParams();
  for (const [name, values] of Object.entries(query)) {
    for (const value of [values].flat()) {
      if (value !== undefined && value !== null && value !== "") parameters.append(name, String(value));
    }
  }
  return parameters.size ? `?${parameters}` : "";
}

/** Not `randomUUID`: browsers offer that in secure contexts only, and plain HTTP within a network is none. */
function newKey() {
  const values = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(values, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function storedToken() {
  try {
    return sessionStorage.getItem(TOKEN_KEY);
  } catch {
    return null;
  }
}

/** @param {string} token */
function storeToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
}
