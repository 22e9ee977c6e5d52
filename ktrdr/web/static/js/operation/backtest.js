// What a model's positions would have returned after costs.

/** @import { BacktestResult, Performance } from "../types.d.ts" */

import { Chart } from "../charts.js";
import { pointsFrom } from "../curves.js";
import { h, panel, table } from "../dom.js";
import { fixed, integer, isNumber, percent, signedPercent } from "../format.js";

/** @type {[title: string, text: (performance: Performance) => string][]} */
const FIGURES = [
  ["Return", ({ total_return: value }) => signedPercent(value)],
  ["Sharpe ratio", ({ sharpe: value }) => fixed(value, 2)],
  ["Maximum drawdown", ({ max_drawdown: value }) => signedPercent(value)],
  ["Trades", ({ trades: value }) => integer(value)],
];

/**
 * @param {BacktestResult} backtest
 * @param {string} title
 * @param {AbortSignal} signal
 */
export function backtestPanel(backtest, title, signal) {
  const { equity, model, buy_and_hold: held, random_entries: random } = backtest;
  if (!equity) return null;
  const chart = new Chart(signal, { label: `Equity of the model and of holding, ${title}`, height: 240 });
  addEquity(chart, { name: "Model", colorName: "c1" }, equity.timestamps, equity.model);
  addEquity(chart, { name: "Buy and hold", colorName: "c3" }, equity.timestamps, equity.buy_and_hold);
  const columns = [{ title: "" }, { title: "Model", isNumber: true }, { title: "Buy and hold", isNumber: true }];
  const rows = FIGURES.map(([name, text]) => [name, text(model), text(held)]);
  const chance =
    isNumber(random?.percentile) &&
    `${percent(random.percentile / 100, 0)} of ${integer(random.draws)} random entries of the same turnover did worse.`;
  const note = `${integer(backtest.bars)} bars, ${backtest.fee_bps} + ${backtest.slippage_bps} bps a trade`;
  const rules = backtest.rules && `Positions: ${backtest.rules}.`;
  const sentences = [rules, chance].filter(Boolean).map((sentence) => h("p", { class: "muted after" }, sentence));
  return panel(title, { note }, chart.box, table(columns, rows), ...sentences);
}

/**
 * A curve of equity, which is 1 at the beginning, as growth since then.
 * @param {Chart} chart
 * @param {{ name: string, colorName: string, dash?: number }} line
 * @param {string[]} timestamps
 * @param {number[]} values
 */
export function addEquity(chart, { name, colorName, dash }, timestamps, values) {
  chart.addLine(name, { colorName, dash, format: (value) => signedPercent(value - 1) });
  const times = timestamps.map((text) => Date.parse(text) / 1000);
  chart.set(name, pointsFrom(times, values));
}
