// The page: which view is shown, the colours, and whether the server answers.

import { connection } from "./api.js";
import * as compare from "./compare.js";
import { h, problemCard, replace } from "./dom.js";
import * as market from "./market.js";
import * as operation from "./operation.js";
import * as operations from "./operations.js";
import * as start from "./start.js";
import * as system from "./system.js";

const VIEWS = [
  { path: "operations", name: "Operations", view: operations },
  { path: "compare", name: "Compare", view: compare },
  { path: "market", name: "Market", view: market },
  { path: "start", name: "Start", view: start },
  { path: "system", name: "System", view: system },
];

let life = new AbortController();

function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, id] = path.split("/");
  const found = VIEWS.find((each) => each.path === name) ?? VIEWS[0];
  const isOne = found.path === "operations" && id;
  return {
    found,
    view: isOne ? operation : found.view,
    id: id && decodeURIComponent(id),
    query: new URLSearchParams(query),
  };
}

async function navigate() {
  life.abort();
  life = new AbortController();
  const { signal } = life;
  const { found, view, id, query } = route();
  const main = document.getElementById("main");
  document.title = `${id ? `${id} · ` : ""}${found.name} · ktrdr`;
  markCurrent(found.path);
  replace(main);
  main.className = `view view-${found.path}`;
  try {
    await view.show({ root: main, id, query, life: signal });
  } catch (error) {
    if (!signal.aborted) main.prepend(problemCard(error));
  }
}

function markCurrent(path) {
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.path === path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function drawNavigation() {
  const links = VIEWS.map(({ path, name }) => h("a", { href: `#/${path}`, data: { path } }, name));
  replace(document.getElementById("nav"), links);
}

// -- colours ---------------------------------------------------------------------------------------------------------

const isDark = () => document.documentElement.dataset.theme === "dark";

function showTheme() {
  const button = document.getElementById("theme");
  button.textContent = isDark() ? "☀" : "☾";
  button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  button.title = button.getAttribute("aria-label");
}

function toggleTheme() {
  document.dispatchEvent(new CustomEvent("choose-theme", { detail: isDark() ? "light" : "dark" }));
}

// -- beginning -------------------------------------------------------------------------------------------------------

function showConnection(isOnline) {
  const place = document.getElementById("connection");
  place.textContent = isOnline ? "" : "No answer from the server; trying again";
  place.classList.toggle("offline", !isOnline);
}

drawNavigation();
showTheme();
document.addEventListener("theme", showTheme);
document.getElementById("theme").addEventListener("click", toggleTheme);
connection.addEventListener("online", () => showConnection(true));
connection.addEventListener("offline", () => showConnection(false));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
addEventListener("hashchange", async () => {
  await navigate();
});
await navigate();
