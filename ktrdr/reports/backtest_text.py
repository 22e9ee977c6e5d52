"""summary.txt of a backtest: verdicts and figures, at most 100 columns wide."""

from __future__ import annotations

from ktrdr.formatting import counted
from ktrdr.payloads.backtests import BacktestResults
from ktrdr.reports.evaluation_text import backtest_lines, evaluation_lines
from ktrdr.reports.report_data import symbols_in_short
from ktrdr.reports.stress_text import stress_lines
from ktrdr.reports.text import pairs, sections, sentence, wrap


def backtest_summary(results: BacktestResults, strategy: str) -> str:
    """`strategy` is its name."""
    verdicts = {"Predictions": results.evaluation.verdict, "Backtest": results.backtest.verdict}
    return sections(
        {
            "": [*wrap(f"{strategy}: {heading(results)}"), ""],
            "What stands against the figures": [line for each in results.warnings for line in wrap(sentence(each))],
            "Verdict": pairs(verdicts),
            "Predicted bars": evaluation_lines(results.evaluation),
            "Trading on them": backtest_lines(results.backtest),
            "What the return depends on": stress_lines(results.stress) if results.stress else (),
        }
    )


def heading(results: BacktestResults) -> str:
    """The model, the bars and their range in one line."""
    bars = f"{symbols_in_short(results.symbols)} {results.timeframe}, {counted(results.samples, 'bar')}"
    return f"{results.model} on {bars} from {results.first:%Y-%m-%d} to {results.last:%Y-%m-%d}"
