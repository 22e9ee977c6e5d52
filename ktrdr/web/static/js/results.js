// What came of an operation, as panels: for a training all that it was judged by, for the others what they found.

import { attempt } from "./actions.js";
import { getBlob } from "./api.js";
import { Chart } from "./charts.js";
import { definition, h, panel } from "./dom.js";
import { bytes, day, duration, fixed, instant, integer, percent, points, signed, words } from "./format.js";
import { calibration, confusion, dots, stacked } from "./pictures.js";

const OWN_PANELS = new Set(["status", "artifacts", "progress", "metrics_recorded", "error"]);

/** `top` goes above all, `panels` among the others. */
export function resultPanels(operation, results, life) {
  const make = { TRAINING: training, PREFLIGHT: preflight, PREDICTION: predictions }[operation.operation_type] ?? other;
  const found = make(results, life, operation);
  const artifacts = artifactPanel(operation, results);
  return { top: found.top ?? [], panels: [...found.panels, artifacts].filter(Boolean) };
}

// -- a training --------------------------------------------------------------------------------------------------------

function training(results, life) {
  const { evaluation, folds, lead, money } = results;
  const top = [verdict(results), lead ? tilesOfFolds(results) : results.final_metrics && tiles(results)];
  const panels = [
    evaluation && baselinePanel(evaluation, "Against the baselines"),
    results.test_evaluation && baselinePanel(results.test_evaluation, "On the untouched test part"),
    results.preflight && balancePanel(results.preflight),
    evaluation?.confusion &&
      panel("Confusion", { note: partOf(evaluation) }, confusion(evaluation.confusion, evaluation.class_names)),
    evaluation?.calibration?.bins?.length && calibrationPanel(evaluation.calibration),
    money?.equity && equityPanel(money, life),
    results.test_money?.equity && equityPanel(results.test_money, life, "Money on the untouched test part"),
    folds?.length > 0 && foldsPanel(folds),
    results.phases_seconds && phasesPanel(results.phases_seconds),
    checksPanel(results),
  ];
  return { top: top.filter(Boolean), panels };
}

function verdict({ evaluation, money, verdict: ofFolds, lead, ending, status }) {
  const told = [ofFolds, evaluation?.verdict, money?.verdict].filter(Boolean);
  if (!told.length) return null;
  const beats = (lead ?? evaluation?.significance)?.beats_baselines;
  const title = beats ? "Beats the baselines beyond chance" : "Does not beat the baselines beyond chance";
  const end =
    status === "cancelled"
      ? "The training was cancelled; this is what its finished epochs gave."
      : ending && `Ended by: ${ending}.`;
  return h(
    "section",
    { class: `verdict ${beats ? "good" : "warn"}`, "aria-label": "Verdict" },
    h(
      "div",
      {},
      h("p", { class: "verdict-title" }, title),
      told.map((text) => h("p", {}, text)),
      end && h("p", { class: "muted" }, end),
    ),
  );
}

function tiles({ final_metrics: final, evaluation, money }) {
  const interval = evaluation?.accuracy_interval;
  return tileRow([
    [
      "Best validation loss",
      fixed(final.best_val_loss),
      `epoch ${integer(final.best_epoch)} of ${integer(final.total_epochs)}`,
    ],
    [
      evaluation?.class_names?.length === 0 ? "Right signs" : "Accuracy",
      percent(evaluation?.accuracy),
      interval && `95 %: ${percent(interval[0])} to ${percent(interval[1])}`,
    ],
    evaluation?.class_names?.length
      ? [
          "Balanced accuracy",
          percent(evaluation.balanced_accuracy),
          Number.isFinite(evaluation.mcc) && `MCC ${fixed(evaluation.mcc, 3)}`,
        ]
      : ["R²", fixed(evaluation?.r2, 3), `IC ${fixed(evaluation?.ic, 3)}`],
    money && [
      "Return after costs",
      signed(money.model.total_return),
      `holding ${signed(money.buy_and_hold.total_return)}`,
    ],
    money && [
      "Sharpe ratio",
      fixed(money.model.sharpe, 2),
      Number.isFinite(money.model.sharpe_standard_error) && `± ${fixed(money.model.sharpe_standard_error, 2)}`,
    ],
    ["Training took", duration(final.training_duration_seconds), `${integer(final.total_epochs)} epochs`],
  ]);
}

function tilesOfFolds({ final_metrics: final, folds, spread, lead }) {
  return tileRow([
    ["Folds ahead", `${integer(lead.folds_ahead)} of ${integer(folds.length)}`, "of their strongest naive baseline"],
    ["Lead", points(lead.mean), `± ${points(lead.standard_error).replace("+", "")}, p ${fixed(lead.p_value, 2)}`],
    [
      spread.ic ? "Right signs" : "Accuracy",
      percent(spread.accuracy.mean),
      `${percent(spread.accuracy.min)} to ${percent(spread.accuracy.max)}`,
    ],
    ["Validation loss", fixed(spread.best_val_loss.mean), `± ${fixed(spread.best_val_loss.std)}`],
    ["Training took", duration(final.training_duration_seconds), `${integer(final.total_epochs)} epochs`],
  ]);
}

function tileRow(all) {
  return h(
    "div",
    { class: "tiles" },
    all
      .filter(Boolean)
      .map(([name, value, more]) =>
        h(
          "div",
          { class: "tile" },
          h("div", { class: "name" }, name),
          h("div", { class: "value" }, value),
          h("div", { class: "tile-more" }, more || "\u00a0"),
        ),
      ),
  );
}

const partOf = (evaluation) =>
  `${integer(evaluation.validation_samples)} ${evaluation.part ?? "validation"} samples, ${day(evaluation.from)} to ${day(evaluation.to)}`;

export const BASELINES = {
  majority: "Majority class",
  mean: "Mean",
  persistence: "Persistence",
  logistic_regression: "Logistic regression",
  ridge_regression: "Ridge regression",
  shuffled_control: "Shuffled labels",
};

function baselinePanel(evaluation, title) {
  const [low, high] = evaluation.accuracy_interval ?? [];
  const rows = [
    { name: "This model", value: evaluation.accuracy, low, high, isMain: true },
    ...Object.entries(evaluation.baselines ?? {}).map(([name, scores]) => ({
      name: BASELINES[name] ?? words(name),
      value: scores.accuracy,
    })),
  ].filter((row) => Number.isFinite(row.value));
  const against = Object.entries(evaluation.significance?.against ?? {});
  return panel(
    title,
    { note: evaluation.from && partOf(evaluation) },
    dots(rows, { label: "Accuracy of the model and of its baselines" }),
    against.length > 0 && leadTable(against, evaluation.class_names?.length > 0),
  );
}

function leadTable(against, isShare) {
  const head = ["Lead over", "", "standard error", "p"].map((name, index) =>
    h("th", { scope: "col", class: index ? "number" : "" }, name),
  );
  const tell = isShare ? points : (value) => fixed(value, 4);
  const error = isShare ? (value) => `${(100 * value).toFixed(1)} pp` : (value) => fixed(value, 4);
  const rows = against.map(([name, { lead, standard_error: deviation, p_value: chance }]) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, BASELINES[name] ?? words(name)),
      h("td", { class: "number" }, tell(lead)),
      h("td", { class: "number" }, error(deviation)),
      h("td", { class: "number" }, chance < 0.0005 ? "< 0.001" : fixed(chance, 3)),
    ),
  );
  return h("table", { class: "plain leads" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
}

function balancePanel({ parts, features, window, parameters }) {
  const shown = parts.map((part) => [
    h("h3", {}, `${words(part.part)}: ${integer(part.samples)} samples, ${day(part.first)} to ${day(part.last)}`),
    stacked(Object.entries(part.shares).map(([name, value]) => ({ name, value }))),
  ]);
  return panel(
    "Class balance",
    { note: `${integer(features)} features × ${integer(window)} bars, ${integer(parameters)} parameters` },
    shown,
  );
}

function calibrationPanel(found) {
  const chance = Number.isFinite(found.error_by_chance) ? `, ${percent(found.error_by_chance)} by chance alone` : "";
  return panel("Calibration", { note: `expected error ${percent(found.expected_error)}${chance}` }, calibration(found));
}

function equityPanel(money, life, title = "Money") {
  const { equity, model, buy_and_hold: held, random_entries: random } = money;
  const chart = new Chart(life, { label: `Equity of the model and of holding, ${title}`, height: 240 });
  const growth = (value) => signed(value - 1);
  chart.addLine("model", { colorName: "c1", format: growth, label: "Model" });
  chart.addLine("held", { colorName: "c3", format: growth, label: "Buy and hold" });
  for (const [name, values] of [
    ["model", equity.model],
    ["held", equity.buy_and_hold],
  ]) {
    chart.set(
      name,
      equity.timestamps.map((text, index) => ({ time: Date.parse(text) / 1000, value: values[index] })),
    );
  }
  const row = (name, tell) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", { class: "number" }, tell(model)),
      h("td", { class: "number" }, tell(held)),
    );
  const table = h(
    "table",
    { class: "plain" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td", {}),
        h("th", { scope: "col", class: "number" }, "Model"),
        h("th", { scope: "col", class: "number" }, "Buy and hold"),
      ),
    ),
    h(
      "tbody",
      {},
      row("Return", (each) => signed(each.total_return)),
      row("Sharpe ratio", (each) => fixed(each.sharpe, 2)),
      row("Deepest fall", (each) => signed(each.max_drawdown)),
      row("Trades", (each) => integer(each.trades)),
    ),
  );
  const note = `${integer(money.bars)} bars, ${money.fee_bps} + ${money.slippage_bps} bps a trade`;
  return panel(
    title,
    { note },
    chart.box,
    table,
    random &&
      h(
        "p",
        { class: "muted after" },
        `${integer(random.percentile)} % of ${integer(random.draws)} random entries of the same turnover did worse.`,
      ),
  );
}

function foldsPanel(folds) {
  const shown = folds.flatMap(
    ({ fold, best_val_accuracy: known, accuracy = known, strongest_baseline: name, baseline_accuracy: naive }) => [
      { name: `Fold ${fold}`, value: accuracy, isMain: true },
      ...(name ? [{ name: BASELINES[name] ?? words(name), value: naive }] : []),
    ],
  );
  const columns = ["Fold", "Judged on", "Samples", "Best epoch", "Loss", "Lead"];
  const rows = folds.map((fold) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, h("a", { href: `#/operations/${fold.operation_id}` }, `Fold ${fold.fold}`)),
      h("td", {}, fold.from ? `${day(fold.from)} to ${day(fold.to)}` : ""),
      h("td", { class: "number" }, integer(fold.validation_samples)),
      h("td", { class: "number" }, integer(fold.best_epoch)),
      h("td", { class: "number" }, fixed(fold.best_val_loss)),
      h("td", { class: "number" }, points(fold.lead)),
    ),
  );
  const head = columns.map((name, index) => h("th", { scope: "col", class: index > 1 ? "number" : "" }, name));
  const table = h("table", { class: "plain" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows));
  const note = folds[0].strongest_baseline && "each beside its strongest naive baseline";
  return panel(
    "Folds",
    { note },
    dots(shown, { label: "Accuracy of each fold" }),
    h("div", { class: "scroll" }, table),
  );
}

function phasesPanel(phases) {
  const parts = Object.entries(phases).map(([name, value]) => ({ name: words(name), value }));
  return panel("Where the time went", {}, stacked(parts, duration));
}

function checksPanel({ leak_gate: gate, preflight: ahead, reproduction }) {
  const rows = [
    gate && ["No leak of the future", gate.passed, gate.verdict],
    ahead && ["Preflight", !ahead.warnings.length, ahead.warnings.join("; ") || "nothing to warn of"],
    reproduction && ["Reproduction", reproduction.identical, toldOf(reproduction)],
  ].filter(Boolean);
  if (!rows.length) return null;
  return panel("Checks", {}, checklist(rows));
}

function toldOf({ of, identical, differences, inputs }) {
  const other = inputs.length ? ` The inputs were not the same: ${inputs.join("; ")}.` : "";
  return identical ? `Identical to ${of}.${other}` : `Not the same as ${of}: ${differences.join("; ")}.${other}`;
}

export function checklist(rows) {
  return h(
    "ul",
    { class: "checks" },
    rows.map(([name, isGood, text]) =>
      h(
        "li",
        {},
        h("span", { class: isGood ? "good" : "warn", "aria-label": isGood ? "good" : "warning" }, isGood ? "✓" : "!"),
        h("div", {}, h("b", {}, name), h("p", {}, text)),
      ),
    ),
  );
}

// -- the others --------------------------------------------------------------------------------------------------------

function preflight(results) {
  return results.parts ? { panels: preflightPanels(results) } : other(results);
}

/** What a training would meet; shown beside the form too. */
export function preflightPanels(ahead) {
  const memory = `${bytes(ahead.peak_memory_bytes)} of ${bytes(ahead.available_memory_bytes)}`;
  const perEpoch = Number.isFinite(ahead.epoch_seconds)
    ? `${duration(ahead.total_seconds)} in all, ${duration(ahead.epoch_seconds)} an epoch`
    : null;
  const checks = [
    ...ahead.errors.map((text) => ["Hopeless", false, text]),
    ...ahead.warnings.map((text) => ["Weak", false, text]),
    ...(ahead.errors.length + ahead.warnings.length
      ? []
      : [["Nothing to warn of", true, "There are enough samples of every class, and memory for them."]]),
  ];
  const facts = definition([
    ["Time", perEpoch],
    ["Memory", memory],
    ["Parameters", `${integer(ahead.parameters)}, ${fixed(ahead.parameters_per_sample, 1)} a sample`],
    ["Can tell apart", ahead.parts.map((part) => `${percent(part.resolution)} (${part.part})`).join(", ")],
    ["Folds", ahead.folds > 1 ? integer(ahead.folds) : null],
  ]);
  return [panel("Preflight", {}, checklist(checks), facts), balancePanel(ahead)];
}

function predictions(results) {
  const rows = (results.predictions ?? []).slice(-50).reverse();
  if (!rows.length) return other(results);
  const columns = Object.keys(rows[0]);
  const cell = (value) =>
    typeof value === "number" ? h("td", { class: "number" }, fixed(value)) : h("td", {}, instant(String(value)));
  const head = columns.map((name) =>
    h("th", { scope: "col", class: typeof rows[0][name] === "number" ? "number" : "" }, words(name)),
  );
  const body = rows.map((row) =>
    h(
      "tr",
      {},
      columns.map((name) => cell(row[name])),
    ),
  );
  const table = h("table", { class: "plain" }, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body));
  return {
    panels: [
      panel(
        `${results.symbol} ${results.timeframe}`,
        { wide: true, note: "newest first" },
        h("div", { class: "scroll" }, table),
      ),
    ],
  };
}

function other(results) {
  const simple = Object.entries(results).filter(
    ([name, value]) => !OWN_PANELS.has(name) && value !== null && typeof value !== "object",
  );
  const nested = Object.entries(results).filter(
    ([name, value]) => !OWN_PANELS.has(name) && value !== null && typeof value === "object",
  );
  const facts = definition(
    simple.map(([name, value]) => [words(name), typeof value === "number" ? integer(value) : String(value)]),
  );
  const more = nested.map(([name, value]) =>
    h("details", {}, h("summary", {}, words(name)), h("pre", {}, JSON.stringify(value, null, 2))),
  );
  return { panels: simple.length + nested.length ? [panel("Results", {}, facts, more)] : [] };
}

// -- files -------------------------------------------------------------------------------------------------------------

function artifactPanel({ operation_id: id }, { artifacts = {} }) {
  const names = Object.entries(artifacts ?? {});
  if (!names.length) return null;
  const items = names.map(([name, path]) => {
    const file = String(path).split(/[\\/]/).at(-1);
    const button = h("button", { type: "button", class: "quiet", "aria-label": `Download ${file}` }, "Download");
    button.addEventListener("click", () => attempt(() => download(id, name, file)));
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, words(name)),
      h("td", { class: "mono" }, file),
      h("td", { class: "number" }, button),
    );
  });
  return panel("Files", {}, h("table", { class: "plain files" }, h("tbody", {}, items)));
}

/** By fetch and not by a link, since a link cannot carry the token. */
async function download(id, name, file) {
  const url = URL.createObjectURL(await getBlob(`/operations/${id}/artifacts/${name}`));
  const link = h("a", { href: url, download: file });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
