// The page: which view is shown, the colours, and whether the server answers.

import * as api from "./api.js";
import * as compare from "./compare/view.js";
import { byId, h, problemCard, replace } from "./dom.js";
import { connection } from "./http.js";
import * as ledger from "./ledger/view.js";
import * as market from "./market/view.js";
import { adopt, isLoaded } from "./meta.js";
import * as operation from "./operation/view.js";
import * as operations from "./operations/view.js";
import { poll } from "./poll.js";
import * as runs from "./runs/view.js";
import * as start from "./start/view.js";
import * as system from "./system/view.js";

const VIEWS = [
  { path: "operations", name: "Operations", view: operations },
  { path: "runs", name: "Runs", view: runs },
  { path: "compare", name: "Compare", view: compare },
  { path: "ledger", name: "Ledger", view: ledger },
  { path: "market", name: "Market", view: market },
  { path: "start", name: "Start", view: start },
  { path: "system", name: "System", view: system },
];

/** Aborts when the view that is shown gives way to another one. */
let shown = new AbortController();

/** What the address asks for: `#/compare?ids=…`, `#/operations/op_…`. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  const entry = VIEWS.find((candidate) => candidate.path === name) ?? VIEWS[0];
  const isOne = entry.path === "operations" && Boolean(id);
  return {
    ...entry,
    view: isOne ? operation : entry.view,
    id: id && decodeURIComponent(id),
    query: new URLSearchParams(query),
  };
}

async function navigate() {
  shown.abort();
  shown = new AbortController();
  const { signal } = shown;
  const { path, name, view, id, query } = route();
  const main = byId("main");
  document.title = `${id ? `${id} · ` : ""}${name} · ktrdr`;
  markCurrent(path);
  replace(main);
  main.className = "view";
  try {
    if (!isLoaded()) await meetServer(main, name, signal);
    await view.show({ root: main, id, query, signal });
  } catch (error) {
    if (!signal.aborted) main.prepend(problemCard(error));
  }
}

/**
 * Waits for the server where nothing is known of it yet, under the name of the view to come.
 * @param {HTMLElement} main
 * @param {string} name
 * @param {AbortSignal} signal
 */
async function meetServer(main, name, signal) {
  const problem = h("div");
  replace(main, h("div", { class: "view-head" }, h("h1", {}, name)), problem);
  await poll(
    signal,
    () => null,
    async () => adopt(await api.meta(signal)),
    (error) => replace(problem, problemCard(error)),
  );
}

/** @param {string} path */
function markCurrent(path) {
  for (const link of byId("nav").children) {
    if (link.getAttribute("href") === `#/${path}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// -- what surrounds the views ----------------------------------------------------------------------------------------

const isDark = () => document.documentElement.dataset.theme === "dark";

function showTheme() {
  const button = byId("theme");
  const label = isDark() ? "Use light colours" : "Use dark colours";
  button.textContent = isDark() ? "☀" : "☾";
  button.setAttribute("aria-label", label);
  button.title = label;
}

function toggleTheme() {
  document.dispatchEvent(new CustomEvent("choose-theme", { detail: isDark() ? "light" : "dark" }));
}

/** @param {boolean} isOnline */
function showConnection(isOnline) {
  const status = byId("connection");
  status.textContent = isOnline ? "" : "No answer from the server; trying again";
  status.classList.toggle("offline", !isOnline);
}

replace(
  byId("nav"),
  VIEWS.map(({ path, name }) => h("a", { href: `#/${path}` }, name)),
);
showTheme();
document.addEventListener("theme", showTheme);
byId("theme").addEventListener("click", toggleTheme);
connection.addEventListener("online", () => showConnection(true));
connection.addEventListener("offline", () => showConnection(false));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
addEventListener("hashchange", navigate);
await navigate();
