"""summary.txt of an opened test part: the opening, the verdict and the figures, at most 100 columns wide."""

from __future__ import annotations

from ktrdr.payloads.unsealing import UnsealingResults
from ktrdr.reports.evaluation_text import backtest_lines, evaluation_lines
from ktrdr.reports.text import pairs, sections, wrap


def unsealing_summary(results: UnsealingResults, strategy: str) -> str:
    """`strategy` is its name."""
    verdicts = {
        "Opening": results.opening.sentence(),
        "Test": results.evaluation.verdict,
        "Backtest": results.backtest.verdict,
    }
    return sections(
        {
            "": [*wrap(f"{strategy}: the test part of {results.model}"), ""],
            "Verdict": pairs(verdicts),
            "Test rows": evaluation_lines(results.evaluation),
            "Backtest on the test rows": backtest_lines(results.backtest),
        }
    )
