// What came of a training: the verdict, the key figures, and a panel for each thing that it was evaluated by.

/**
 * @import {
 *   BacktestResult, BacktestResults, Calibration, Evaluation, FinalMetrics, Opening, SealedPart, SelectionVerdict,
 *   TrainingResults, UnsealingResults
 * } from "../types.d.ts"
 * @import { Tile } from "../dom.js"
 * @import { Check } from "../preflight-panels.js"
 * @import { Panels } from "./results.js"
 */

import { unseal } from "../actions.js";
import { h, panel, tileRow } from "../dom.js";
import { days, duration, fixed, instant, integer, isNumber, percent, signedPercent, words } from "../format.js";
import { calibrationPlot, confusion, stacked } from "../pictures.js";
import { balancePanel, checklist } from "../preflight-panels.js";
import { luckPanel } from "../search/luck.js";
import { backtestPanel } from "./backtest.js";
import { baselinePanel, beatsBaselines, rowsText } from "./baselines.js";
import { foldsPanel, foldTiles } from "./fold-results.js";
import { stressPanel } from "./stress.js";

const TITLES = { baselines: "Against the baselines", backtest: "Backtest" };
const TITLES_OF_TEST = { baselines: "On the opened test part", backtest: "Backtest on the opened test part" };
const TITLES_OF_BACKTEST = { baselines: "Against the baselines, on the predicted bars", backtest: "Trading on them" };
const TITLES_OF_FOLDS = {
  baselines: "All folds against the baselines",
  backtest: "Backtest of all folds in order of time",
};

/**
 * @param {string} id of the training
 * @param {TrainingResults} results
 * @param {AbortSignal} signal
 * @returns {Panels}
 */
export function trainingPanels(id, results, signal) {
  const { evaluation, preflight, money: backtest, folds, phases_seconds: phases } = results;
  const titles = folds ? TITLES_OF_FOLDS : TITLES;
  const panels = [
    folds && foldsPanel(folds),
    evaluation && baselinePanel(evaluation, titles.baselines),
    luckPanel(evaluation),
    preflight && balancePanel(preflight),
    evaluation && confusionPanel(evaluation),
    evaluation?.calibration?.bins.length && calibrationPanel(evaluation.calibration),
    backtest && backtestPanel(backtest, titles.backtest, signal),
    ...testPanels(id, results, signal),
    phases && phasesPanel(phases),
    checksPanel(results),
  ];
  return { top: [verdict(results), tiles(results)], panels: panels.filter((box) => box instanceof HTMLElement) };
}

/**
 * Whether the test part is sealed, and what it came to once it was opened.
 * @param {string} id of the training
 * @param {TrainingResults} results
 * @param {AbortSignal} signal
 */
function testPanels(id, { status, sealed, test_evaluation: test, test_money: backtest }, signal) {
  return [
    sealed && sealedPanel(id, sealed, status !== "cancelled"),
    test && baselinePanel(test, TITLES_OF_TEST.baselines),
    luckPanel(test, "How much luck reaches on the test part"),
    backtest && backtestPanel(backtest, TITLES_OF_TEST.backtest, signal),
  ];
}

/**
 * The model on its test part.
 * @param {UnsealingResults} results
 * @param {AbortSignal} signal
 * @returns {Panels}
 */
export function unsealingPanels({ opening, evaluation, money: backtest, model }, signal) {
  const link = h("a", { href: `#/operations/${model}` }, "The training");
  const opened = panel("Opened", {}, h("p", {}, openingText(opening)), h("p", {}, link));
  const panels = [
    opened,
    baselinePanel(evaluation, TITLES_OF_TEST.baselines),
    luckPanel(evaluation),
    evaluation.confusion && confusionPanel(evaluation),
    backtestPanel(backtest, TITLES_OF_TEST.backtest, signal),
  ];
  return {
    top: verdict({ evaluation, money: backtest }),
    panels: panels.filter((box) => box instanceof HTMLElement),
  };
}

/**
 * A model on bars of somebody's choice.
 * @param {BacktestResults} results
 * @param {AbortSignal} signal
 * @returns {Panels}
 */
export function backtestPanels(results, signal) {
  const { evaluation, money: backtest, stress, trained_samples: trained } = results;
  const panels = [
    predictedPanel(results),
    baselinePanel(evaluation, TITLES_OF_BACKTEST.baselines),
    luckPanel(evaluation),
    evaluation.confusion && confusionPanel(evaluation),
    backtestPanel(backtest, TITLES_OF_BACKTEST.backtest, signal),
    stress && stressPanel(stress),
  ];
  return {
    top: trained ? noEvidence(evaluation, backtest) : verdict({ evaluation, money: backtest }),
    panels: panels.filter((box) => box instanceof HTMLElement),
  };
}

/**
 * Words without a judgement, of bars that the model was trained on.
 * @param {Evaluation} evaluation
 * @param {BacktestResult} backtest
 */
function noEvidence(evaluation, backtest) {
  const body = [evaluation.verdict, backtest.verdict].map((text) => h("p", {}, text));
  return h("section", { class: "verdict warn", "aria-label": "Verdict" }, h("div", {}, body));
}

/** @param {BacktestResults} results */
function predictedPanel({ model, symbols, timeframe, samples, from, to, trades, folds, warnings }) {
  const link = h("a", { href: `#/operations/${model}` }, "The training");
  const bars = `${symbols.join(", ")} ${timeframe}: ${integer(samples)} bars, ${days(from, to)}, ${integer(trades)} round trips.`;
  const shares = folds.map(({ fold, samples: own }) => `fold ${integer(fold)} predicted ${integer(own)}`);
  return panel(
    "Predicted bars",
    {},
    h("p", {}, bars),
    folds.length > 1 && h("p", {}, `Of these ${shares.join(", ")}.`),
    warnings.map((warning) => h("p", { class: "warn" }, `${warning}.`)),
    h("p", {}, link),
  );
}

/** @param {Pick<TrainingResults, "evaluation" | "money" | "verdict" | "lead" | "ending"> & { status?: string }} results */
function verdict({ evaluation, money: backtest, verdict: ofFolds, lead, ending, status }) {
  const texts = [ofFolds ?? evaluation?.verdict, backtest?.verdict].filter(Boolean);
  if (!texts.length) return null;
  const beats = beatsBaselines(evaluation) ?? lead?.beats_baselines;
  const title = `${beats ? "Beats" : "Does not beat"} the baselines beyond chance${triesText(evaluation?.selection)}`;
  const end =
    status === "cancelled"
      ? "The training was cancelled; this is what its finished epochs gave."
      : ending && `Ended by: ${ending}.`;
  const paragraphs = texts.map((text) => h("p", {}, text));
  const body = [h("p", { class: "verdict-title" }, title), paragraphs, end && h("p", { class: "muted" }, end)];
  return h("section", { class: `verdict ${beats ? "good" : "warn"}`, "aria-label": "Verdict" }, h("div", {}, body));
}

/** @param {SelectionVerdict | null | undefined} selection */
const triesText = (selection) =>
  selection && selection.tries > 1 ? `, all ${integer(selection.tries)} tries counted` : "";

// -- key figures -----------------------------------------------------------------------------------------------------

/** @param {TrainingResults} results */
function tiles({ final_metrics: final, evaluation, money: backtest, folds, lead, spread }) {
  if (!final) return null;
  if (folds && spread) {
    return tileRow([...foldTiles(folds, lead, spread), ...modelTiles(evaluation, backtest), timeTile(final)]);
  }
  const epoch = `epoch ${integer(final.best_epoch)} of ${integer(final.total_epochs)}`;
  return tileRow([
    ["Best validation loss", fixed(final.best_val_loss), epoch],
    ...modelTiles(evaluation, backtest),
    timeTile(final),
  ]);
}

/**
 * @param {Evaluation | null | undefined} evaluation
 * @param {BacktestResult | null | undefined} backtest
 * @returns {Tile[]}
 */
const modelTiles = (evaluation, backtest) => [
  ...(evaluation ? evaluationTiles(evaluation) : []),
  ...(backtest ? backtestTiles(backtest) : []),
];

/**
 * @param {Evaluation} evaluation
 * @returns {Tile[]}
 */
function evaluationTiles({ accuracy, accuracy_interval: interval, class_names: classes = [], ...scores }) {
  const isRegression = classes.length === 0;
  const range = interval && `95%: ${percent(interval[0])} to ${percent(interval[1])}`;
  return [
    [isRegression ? "Right signs" : "Accuracy", percent(accuracy), range],
    isRegression
      ? ["R²", fixed(scores.r2, 3), `IC ${fixed(scores.ic, 3)}`]
      : ["Balanced accuracy", percent(scores.balanced_accuracy), isNumber(scores.mcc) && `MCC ${fixed(scores.mcc, 3)}`],
  ];
}

/**
 * @param {BacktestResult} backtest
 * @returns {Tile[]}
 */
function backtestTiles({ model, buy_and_hold: held }) {
  const error = model.sharpe_standard_error;
  return [
    ["Return after costs", signedPercent(model.total_return), `holding ${signedPercent(held.total_return)}`],
    ["Sharpe ratio", fixed(model.sharpe, 2), isNumber(error) && `± ${fixed(error, 2)}`],
  ];
}

/**
 * @param {FinalMetrics} final
 * @returns {Tile}
 */
const timeTile = (final) => [
  "Training took",
  duration(final.training_duration_seconds),
  `${integer(final.total_epochs)} epochs`,
];

// -- panels ----------------------------------------------------------------------------------------------------------

/**
 * @param {string} id of the training
 * @param {SealedPart} sealed
 * @param {boolean} canOpen
 */
function sealedPanel(id, sealed, canOpen) {
  const { samples, from, to, opening } = sealed;
  const note = `${integer(samples)} test samples, ${days(from, to)}`;
  if (opening) return panel("Test part", { note }, h("p", {}, openingText(opening)));
  const button = h("button", { type: "button", onclick: () => unseal(id, sealed) }, "Open it…");
  const text = "Sealed: nobody has evaluated the model on it. Every opening is recorded and counted.";
  return panel("Test part", { note }, h("p", {}, text), canOpen && h("div", { class: "row" }, button));
}

/** @param {Opening} opening */
const openingText = ({ by, opened_at: at, number, level }) =>
  `Opened by ${by}, ${instant(at)}. It is opening ${integer(number)} of these bars, and is tested at a significance level of ${Number((100 * level).toPrecision(3))}%.`;

/** @param {Evaluation} evaluation */
function confusionPanel(evaluation) {
  const { confusion: matrix, class_names: names = [] } = evaluation;
  return matrix && panel("Confusion", { note: rowsText(evaluation) }, confusion(matrix, names));
}

/** @param {Calibration} calibration */
function calibrationPanel(calibration) {
  const { expected_error: error, error_by_chance: chance } = calibration;
  const note = `expected error ${percent(error)}${isNumber(chance) ? `, ${percent(chance)} by chance alone` : ""}`;
  return panel("Calibration", { note }, calibrationPlot(calibration));
}

/** @param {Record<string, number>} phases in seconds */
function phasesPanel(phases) {
  const parts = Object.fromEntries(Object.entries(phases).map(([name, seconds]) => [words(name), seconds]));
  return panel("Where the time went", {}, stacked(parts, duration));
}

/** @param {TrainingResults} results */
function checksPanel({ leak_gate: gate, preflight, reproduction }) {
  /** @type {Check[]} */
  const checks = [];
  if (gate) checks.push({ title: "No leak of the future", isGood: gate.passed, text: gate.verdict });
  if (preflight) {
    const { warnings } = preflight;
    checks.push({ title: "Preflight", isGood: !warnings.length, text: warnings.join("; ") || "nothing to warn of" });
  }
  if (reproduction) {
    const { of: original, identical: isGood, differences, inputs } = reproduction;
    const result = isGood ? `Identical to ${original}.` : `Not the same as ${original}: ${differences.join("; ")}.`;
    const text = inputs.length ? `${result} The inputs were not the same: ${inputs.join("; ")}.` : result;
    checks.push({ title: "Reproduction", isGood, text });
  }
  return checks.length > 0 && panel("Checks", {}, checklist(checks));
}
