// The ledger: how often which held-out rows were evaluated; one account with all of its looks.

/** @import { LedgerAccount, Look, LookFigures, Opening, ViewContext } from "../types.d.ts" */
/** @import { Child } from "../dom.js" */

import * as api from "../api.js";
import { emptyState, h, panel, replace, table, tileRow } from "../dom.js";
import {
  ago,
  days,
  fixed,
  instant,
  integer,
  isNumber,
  joined,
  percent,
  pValue,
  shortList,
  signedPercent,
  signedPoints,
  significant,
} from "../format.js";
import { shortId } from "../record.js";

const MAX_ACCOUNTS = 1000;

/** @param {ViewContext} context */
export async function show({ root, id, signal }) {
  if (id) await showAccount(root, id, signal);
  else await showAccounts(root, signal);
}

/**
 * @param {HTMLElement} root
 * @param {AbortSignal} signal
 */
async function showAccounts(root, signal) {
  const { accounts, total } = await api.ledger(MAX_ACCOUNTS, signal);
  const count =
    accounts.length < total ? `the newest ${integer(accounts.length)} of ${integer(total)}` : integer(total);
  const head = h("div", { class: "row" }, h("h1", {}, "Ledger"), h("span", { class: "muted" }, count));
  const text =
    "Every evaluation on held-out rows is a look. Looks at the same bars, whatever these are called, are one account, whose tries a verdict counts.";
  replace(
    root,
    h("div", { class: "view-head" }, head, h("p", { class: "muted facts-line" }, text)),
    accounts.length ? panel("Accounts", {}, scroll("Accounts", accountTable(accounts))) : noLooks(),
  );
}

const noLooks = () =>
  emptyState(
    "No looks yet",
    "A training is recorded here before its first figure on held-out rows is shown.",
    h("a", { class: "button primary", href: "#/start" }, "Start a training"),
  );

/**
 * @param {string} label
 * @param {HTMLElement} content
 */
const scroll = (label, content) =>
  h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label }, content);

/** @param {LedgerAccount[]} accounts */
function accountTable(accounts) {
  const columns = [
    { title: "Account" },
    { title: "Bars" },
    { title: "Evaluated" },
    ...["Tries", "Looks", "Without result", "Openings"].map((title) => ({ title, isNumber: true })),
    { title: "Strategies" },
    { title: "Newest look" },
  ];
  const rows = accounts.map((account) => [
    h(
      "a",
      { class: "mono", href: `#/ledger/${account.account_id}`, title: account.account_id },
      shortId(account.account_id),
    ),
    barsText(account),
    days(account.from, account.to),
    ...[account.tries, account.looks, account.without_series, account.openings?.length ?? 0].map(integer),
    shortList(account.strategies),
    ago(account.last_opened_at),
  ]);
  return table(columns, rows, "ledger");
}

/** @param {LedgerAccount} account */
const barsText = ({ symbols, timeframes }) => joined([shortList(symbols), timeframes.join(", ")]);

// -- one account -----------------------------------------------------------------------------------------------------

/**
 * @param {HTMLElement} root
 * @param {string} id of one of its looks, or of a look's operation
 * @param {AbortSignal} signal
 */
async function showAccount(root, id, signal) {
  const account = await api.ledgerAccount(id, signal);
  const { account_id: name, from, to, openings = [], entries } = account;
  const facts = [joined([barsText(account), days(from, to)]), " · ", h("span", { class: "mono" }, name)];
  replace(
    root,
    h("div", { class: "view-head" }, h("h1", {}, "Account"), h("p", { class: "muted facts-line" }, facts)),
    tileRow([
      ["Tries", integer(account.tries), "different inputs"],
      ["Looks", integer(account.looks), "with repetitions"],
      ["Without result", integer(account.without_series), "cancelled, failed or under way"],
      ["Openings", integer(openings.length), "of sealed rows"],
      ["Bars", integer(account.bars), "closing instants"],
    ]),
    openings.length > 0 && panel("Openings", { wide: true }, scroll("Openings", openingTable(openings))),
    h("div", { class: "after-panels" }, panel("Looks", { note: "newest first" }, scroll("Looks", lookTable(entries)))),
  );
}

/** @param {Opening[]} openings */
function openingTable(openings) {
  const columns = [{ title: "Opening" }, { title: "Level", isNumber: true }, { title: "By" }, { title: "At" }];
  const rows = openings.map(({ number, level, by, opened_at: at }) => [
    integer(number),
    `${significant(100 * level, 3)}%`,
    by,
    instant(at),
  ]);
  return table(columns, rows);
}

/** @param {Look[]} looks the oldest first */
function lookTable(looks) {
  const numbers = ["Samples", "Accuracy", "Lead", "p alone", "Sharpe", "Return"];
  const columns = [
    ...["Look", "What", "Strategy", "Opened"].map((title) => ({ title })),
    ...numbers.map((title) => ({ title, isNumber: true })),
  ];
  return table(columns, [...looks].reverse().map(lookRow), "ledger");
}

/**
 * @param {Look} look
 * @returns {Child[]}
 */
function lookRow(look) {
  const { look_id: id, operation_id: operation, door, kind, part, strategy_name: strategy, samples, figures } = look;
  const link = door === "server" && h("a", { href: `#/operations/${operation}`, title: operation }, strategy);
  return [
    h("span", { class: "mono", title: id }, shortId(id)),
    joined([kind, part, door === "python" && "Python"]),
    link || strategy,
    instant(look.opened_at),
    integer(samples),
    ...(figures ? figureCells(figures) : ["", "", "no result", "", ""]),
  ];
}

/**
 * @param {LookFigures} figures
 * @returns {string[]}
 */
const figureCells = ({ accuracy, ic, lead, over, p_value: p, sharpe, total_return: gain }) => [
  isNumber(ic) ? `IC ${fixed(ic, 3)}` : percent(accuracy),
  isNumber(ic) || over === "mean" ? fixed(lead) : signedPoints(lead),
  pValue(p),
  fixed(sharpe, 2),
  signedPercent(gain),
];
