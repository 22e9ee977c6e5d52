// Two or more trainings side by side: curves over each other, what differs in what went in and in what came out.

import { get } from "./api.js";
import { Chart } from "./charts.js";
import { emptyState, h, panel, replace } from "./dom.js";
import {
  ago,
  bytes,
  day,
  duration,
  elapsed,
  fixed,
  instant,
  integer,
  percent,
  points,
  signed,
  TERMINAL,
  what,
} from "./format.js";
import { COLORS, Overlay } from "./overlay.js";
import { dots } from "./pictures.js";
import { poll } from "./poll.js";

const MOST_RUNS = COLORS.length;
const LIVE_MS = 2000;
const OFFERED = 100;

export async function show({ root, query, life }) {
  const ids = [...new Set((query.get("ids") ?? "").split(",").filter(Boolean))].slice(0, MOST_RUNS);
  const body = h("div", {});
  replace(root, h("div", { class: "view-head" }, h("h1", {}, "Compare")), await chooser(ids, life), body);
  if (ids.length < 2) {
    replace(
      body,
      emptyState(
        "Choose two or more trainings",
        "Their curves are laid over each other, and the table shows what differs between them.",
      ),
    );
    return;
  }
  await compare(body, ids, life);
}

// -- what to compare -----------------------------------------------------------------------------------------------

async function chooser(ids, life) {
  const { operations, total } = await get("/operations", { type: "TRAINING", limit: OFFERED }, life);
  const isListed = new Set(operations.map((each) => each.operation_id));
  const others = await Promise.all(
    ids.filter((id) => !isListed.has(id)).map((id) => get(`/operations/${id}`, {}, life)),
  );
  const chosen = new Set(ids);
  const items = [...others, ...operations].map((operation) => choice(operation, chosen, ids));
  const note =
    total > OFFERED
      ? `the newest ${OFFERED} of ${integer(total)}; choose others in the list of operations`
      : `${integer(total)}`;
  if (!items.length)
    return emptyState(
      "No trainings yet",
      "Train two models, and compare them here.",
      h("a", { class: "button primary", href: "#/start" }, "Start a training"),
    );
  return h(
    "details",
    { class: "panel chooser", open: ids.length < 2 },
    h("summary", {}, "Trainings ", h("span", { class: "muted" }, note)),
    h("ul", { class: "choices" }, items),
  );
}

function choice(operation, chosen, ids) {
  const id = operation.operation_id;
  const { title, series } = what(operation);
  const box = h("input", {
    type: "checkbox",
    checked: chosen.has(id),
    disabled: !chosen.has(id) && chosen.size >= MOST_RUNS,
  });
  box.addEventListener("change", () => {
    if (box.checked) chosen.add(id);
    else chosen.delete(id);
    location.hash = `#/compare?ids=${[...chosen].join(",")}`;
  });
  const swatch = chosen.has(id) && h("i", { class: `swatch ${COLORS[ids.indexOf(id)]}` });
  const loss = operation.metadata.best_val_loss;
  return h(
    "li",
    {},
    h(
      "label",
      {},
      box,
      swatch,
      h("b", {}, title),
      h(
        "span",
        { class: "muted" },
        [
          series,
          operation.metadata.model_type,
          Number.isFinite(loss) && `best loss ${fixed(loss)}`,
          ago(operation.created_at),
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
  );
}

// -- comparing -----------------------------------------------------------------------------------------------------

async function compare(body, ids, life) {
  const runs = await Promise.all(ids.map((id, index) => read(id, COLORS[index], life)));
  nameApart(runs);
  const curves = new Overlay(life, "each training");
  for (const run of runs) curves.add(run);
  let areWhole = false;
  const tables = h("div", {});
  const verdictBox = h("div", {});
  replace(
    body,
    verdictBox,
    h("div", { class: "panels" }, curves.panels, equityPanel(runs, life), accuracyPanel(runs)),
    tables,
  );
  const draw = () => {
    replace(verdictBox, winner(runs));
    replace(tables, differences(runs));
  };
  draw();
  await poll(
    life,
    () => (runs.every((run) => TERMINAL.has(run.operation.status)) && areWhole ? null : LIVE_MS),
    async () => {
      const open = runs.filter((run) => !TERMINAL.has(run.operation.status));
      await curves.refresh();
      areWhole = open.length === 0;
      for (const run of open) Object.assign(run, await read(run.id, run.colorName, life), { name: run.name });
      if (open.length) draw();
    },
  );
}

async function read(id, colorName, life) {
  const operation = await get(`/operations/${id}`, {}, life);
  const results = TERMINAL.has(operation.status) ? await get(`/operations/${id}/results`, {}, life) : {};
  const card = results.artifacts?.model_card
    ? await get(`/operations/${id}/artifacts/model_card`, {}, life).catch(() => null)
    : null;
  return { id, colorName, operation, results, card, name: what(operation).title };
}

/** Runs of one strategy differ by their ids' ends. */
function nameApart(runs) {
  const names = runs.map((run) => run.name);
  for (const run of runs) {
    if (names.filter((name) => name === run.name).length > 1) run.name = `${run.name} ${run.id.split("_").at(-1)}`;
  }
}

function equityPanel(runs, life) {
  const withMoney = runs.filter((run) => run.results.money?.equity);
  if (!withMoney.length) return null;
  const chart = new Chart(life, { label: "Equity of each training's model after costs", height: 260 });
  for (const { id, colorName, name, results } of withMoney) {
    const { timestamps, model } = results.money.equity;
    chart.addLine(id, { colorName, format: (value) => signed(value - 1), label: name });
    chart.set(
      id,
      timestamps.map((text, index) => ({ time: Date.parse(text) / 1000, value: model[index] })),
    );
  }
  return panel("Equity after costs", { note: "on the validation part" }, chart.box);
}

function accuracyPanel(runs) {
  const judged = runs.filter((run) => Number.isFinite(run.results.evaluation?.accuracy));
  if (!judged.length) return null;
  const rows = judged.map(({ name, results }) => {
    const [low, high] = results.evaluation.accuracy_interval ?? [];
    return { name, value: results.evaluation.accuracy, low, high, isMain: true };
  });
  return panel(
    "Accuracy",
    { note: "with what 95 % of chance reaches over" },
    dots(rows, { label: "Accuracy of each training, with its interval" }),
  );
}

// -- who is ahead --------------------------------------------------------------------------------------------------

const standardError = ({ accuracy_interval: interval }) =>
  interval ? (interval[1] - interval[0]) / (2 * 1.96) : Number.NaN;

const rowsOf = ({ validation_samples: samples, from, to, class_names: classes }) =>
  [samples, from, to, classes?.join()].join("|");

/**
 * Says no more than the intervals allow: they are of each run by itself, and whatever two runs have in common, the
 * standard error of their difference is at most the sum of theirs.
 */
export function judge(runs) {
  const judged = runs.filter((run) => Number.isFinite(run.results.evaluation?.accuracy));
  if (judged.length < 2)
    return {
      isSure: false,
      title: "Nobody is ahead yet",
      text: "At least two of these trainings must have ended with an evaluation.",
    };
  const [best, next] = judged.sort((one, other) => other.results.evaluation.accuracy - one.results.evaluation.accuracy);
  const lead = best.results.evaluation.accuracy - next.results.evaluation.accuracy;
  const symbols = (run) => run.operation.metadata.symbols.join();
  const isSameGround = judged.every(
    (run) => rowsOf(run.results.evaluation) === rowsOf(best.results.evaluation) && symbols(run) === symbols(best),
  );
  if (!isSameGround) {
    return {
      isSure: false,
      title: "Not judged on the same rows",
      text: `Accuracies of other bars, other dates or other labels cannot be set against each other. By itself, ${best.name} has ${percent(best.results.evaluation.accuracy)}, ${next.name} ${percent(next.results.evaluation.accuracy)}.`,
    };
  }
  const error = standardError(best.results.evaluation) + standardError(next.results.evaluation);
  const told = `${percent(best.results.evaluation.accuracy)} against ${percent(next.results.evaluation.accuracy)} on the same ${integer(best.results.evaluation.validation_samples)} samples: ${points(lead)}, with a standard error of at most ${(100 * error).toFixed(1)} pp.`;
  const isSure = lead > bound(judged.length) * error;
  if (isSure) return { isSure, title: `${best.name} is ahead beyond chance`, text: told };
  return {
    isSure,
    title: lead === 0 ? "They are level" : "No winner: the difference can be chance",
    text: `${best.name} has ${told}`,
  };
}

/** Normal quantile at 5 %, two-sided, shared among all pairs that were looked at (Bonferroni). */
function bound(runs) {
  const pairs = (runs * (runs - 1)) / 2;
  return { 1: 1.96, 3: 2.39, 6: 2.64, 10: 2.81, 15: 2.94 }[pairs] ?? 3;
}

function winner(runs) {
  const { isSure, title, text } = judge(runs);
  const beaten = runs.filter(
    (run) => run.results.evaluation?.significance && !run.results.evaluation.significance.beats_baselines,
  );
  const caution =
    beaten.length > 0 &&
    `${beaten.map((run) => run.name).join(", ")} ${beaten.length > 1 ? "do" : "does"} not beat the baselines beyond chance.`;
  return h(
    "section",
    { class: `verdict ${isSure ? "good" : "warn"}`, "aria-label": "Winner" },
    h(
      "div",
      {},
      h("p", { class: "verdict-title" }, title),
      h("p", {}, text),
      caution && h("p", { class: "muted" }, caution),
    ),
  );
}

// -- what differs --------------------------------------------------------------------------------------------------

function differences(runs) {
  const all = h("input", { type: "checkbox", id: "show-all" });
  const box = h("div", { class: "scroll" });
  const draw = () => replace(box, table(runs, all.checked));
  all.addEventListener("change", draw);
  draw();
  return h(
    "div",
    { class: "panels after-panels" },
    panel("Differences", { wide: true }, h("p", {}, h("label", { class: "row" }, all, "Also what is the same")), box),
  );
}

function table(runs, isAll) {
  const head = h(
    "tr",
    {},
    h("td", {}),
    runs.map((run) =>
      h(
        "th",
        { scope: "col" },
        h("i", { class: `swatch ${run.colorName}` }),
        h("a", { href: `#/operations/${run.id}` }, run.name),
      ),
    ),
  );
  const groups = [
    ["Settings", settings(runs)],
    ["Data", data(runs)],
    ["Results", results(runs)],
  ];
  const rows = groups.flatMap(([title, found]) => {
    const shown = found.filter(([, values]) => isAll || new Set(values).size > 1);
    const title_ = h(
      "tr",
      { class: "group" },
      h(
        "th",
        { scope: "colgroup", colspan: runs.length + 1 },
        title,
        !shown.length && h("span", { class: "muted" }, " are the same"),
      ),
    );
    return [
      title_,
      ...shown.map(([name, values]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, name),
          values.map((value) => h("td", {}, value)),
        ),
      ),
    ];
  });
  return h("table", { class: "plain differences" }, h("thead", {}, head), h("tbody", {}, rows));
}

const IGNORED = new Set(["name", "description"]);

function settings(runs) {
  const flat = runs.map((run) => flatten(run.card?.strategy ?? {}));
  const names = [...new Set(flat.flatMap((each) => Object.keys(each)))].filter((name) => !IGNORED.has(name));
  const known = names.map((name) => [name, flat.map((each) => each[name] ?? "–")]);
  return [
    ["strategy", runs.map((run) => run.operation.metadata.strategy ?? "–")],
    ["model", runs.map((run) => run.operation.metadata.model_type ?? "–")],
    ...known,
  ];
}

/** Nested settings as paths, as people write them: `training.epochs`. */
function flatten(value, path = "", into = {}) {
  if (value === null) return into;
  if (Array.isArray(value)) into[path] = value.map(inShort).join(", ");
  else if (typeof value !== "object") into[path] = String(value);
  else for (const [key, each] of Object.entries(value)) flatten(each, path ? `${path}.${key}` : key, into);
  return into;
}

/** `macd 12 26 9` rather than a row for each of its parameters. */
function inShort(value) {
  if (value === null || typeof value !== "object") return String(value);
  return Object.values(value)
    .filter((each) => each !== null)
    .join(" ");
}

function data(runs) {
  const series = (run) =>
    Object.entries(run.card?.data_ranges ?? {}).flatMap(([symbol, own]) =>
      Object.entries(own).map(([timeframe, range]) => ({ symbol, timeframe, range })),
    );
  const ranges = (run) =>
    series(run)
      .map(
        ({ symbol, timeframe, range }) =>
          `${symbol} ${timeframe}: ${integer(range.rows)} bars, ${day(range.first)} to ${day(range.last)}`,
      )
      .join("; ") || "–";
  const content = (run) =>
    Object.values(run.card?.data_sha256 ?? {})
      .flatMap((own) => (typeof own === "string" ? [own] : Object.values(own)))
      .map((hash) => hash.slice(0, 10))
      .join(", ") || "–";
  return [
    ["symbols", runs.map((run) => run.operation.metadata.symbols.join(", "))],
    ["timeframes", runs.map((run) => run.operation.metadata.timeframes.join(", "))],
    ["bars", runs.map(ranges)],
    ["content", runs.map(content)],
    [
      "providers",
      runs.map(
        (run) =>
          [
            ...new Set(
              Object.values(run.card?.data_providers ?? {}).flatMap((own) =>
                typeof own === "string" ? [own] : Object.values(own),
              ),
            ),
          ].join(", ") || "–",
      ),
    ],
    ["code", runs.map((run) => run.card?.code?.sha256?.slice(0, 10) ?? "–")],
  ];
}

function results(runs) {
  const row = (name, tell) => [name, runs.map((run) => tell(run.results, run) ?? "–")];
  return [
    row("state", (_, run) => run.operation.status.toLowerCase()),
    row("ended by", (each) => each.ending),
    row("best validation loss", (each) => fixed(each.final_metrics?.best_val_loss)),
    row("best epoch", (each) => integer(each.final_metrics?.best_epoch)),
    row("epochs", (each) => integer(each.final_metrics?.total_epochs)),
    row("accuracy", (each) => percent(each.evaluation?.accuracy)),
    row("95 % interval", (each) =>
      each.evaluation?.accuracy_interval
        ? each.evaluation.accuracy_interval.map((end) => percent(end)).join(" to ")
        : "–",
    ),
    row("balanced accuracy", (each) => percent(each.evaluation?.balanced_accuracy)),
    row("MCC", (each) => fixed(each.evaluation?.mcc, 3)),
    row("log loss", (each) => fixed(each.evaluation?.log_loss)),
    row("beats the baselines", (each) =>
      each.evaluation?.significance ? (each.evaluation.significance.beats_baselines ? "yes" : "no") : "–",
    ),
    row("test accuracy", (each) => percent(each.test_evaluation?.accuracy)),
    row("return after costs", (each) => signed(each.money?.model?.total_return)),
    row("Sharpe ratio", (each) => fixed(each.money?.model?.sharpe, 2)),
    row("deepest fall", (each) => signed(each.money?.model?.max_drawdown)),
    row("parameters", (each) => integer(each.preflight?.parameters)),
    row("memory", (each) => bytes(each.preflight?.peak_memory_bytes)),
    row("training took", (each) => duration(each.final_metrics?.training_duration_seconds)),
    row("took in all", (_, run) => duration(elapsed(run.operation))),
    row("started", (_, run) => instant(run.operation.started_at)),
  ];
}
