"""report.html of a backtest: one file without scripts that needs nothing else, to be sent to somebody."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from ktrdr.formatting import count, counted, gain, p_value, percentage, signed_score, with_error
from ktrdr.payloads.backtests import BacktestResults
from ktrdr.payloads.evaluation import Regression
from ktrdr.reports.backtest_text import heading
from ktrdr.reports.evaluation_text import backtest_lines, evaluation_lines
from ktrdr.reports.stress_text import stress_lines
from ktrdr.reports.text import sentence
from ktrdr.terminal import escaped

if TYPE_CHECKING:
    import polars as pl

SHOWN_TRADES = 200
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: 0 } h2 { font-size: 1.1rem; margin-top: 2rem }
p.about, caption, .unit { color: #6b6b6b }
.warning { border-left: 4px solid #d55e00; padding-left: .8rem }
dl { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem } dt { color: #6b6b6b } dd { margin: 0; font-size: 1.25rem }
img { width: 100%; height: auto } pre { overflow-x: auto; font-size: 12.5px; line-height: 1.45 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px } caption { text-align: left }
th, td { text-align: right; padding: .15rem .7rem; border-bottom: 1px solid #e6e6e6 }
th:first-child, td:first-child { text-align: left } .scroll { overflow-x: auto }
"""


def backtest_report(
    results: BacktestResults, strategy: str, equity_plot: bytes, stress_plot: bytes, trades: pl.DataFrame
) -> str:
    """The page; both plots are PNG, and `trades` are those of `list_trades`."""
    title = f"{strategy}: {heading(results)}"
    return "\n".join(
        [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{_text(title)}</title>',
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>',
            f'<h1>{_text(strategy)}</h1><p class="about">{_text(heading(results))}</p>',
            *(f'<p class="warning">{_text(sentence(each))}</p>' for each in results.warnings),
            f"<p>{_text(results.evaluation.verdict)}</p><p>{_text(results.backtest.verdict)}</p>",
            f"<dl>{''.join(_headline(results))}</dl>",
            _image("Equity and drawdown, of the model and of holding", equity_plot),
            f"<h2>Predictions</h2><pre>{_lines(evaluation_lines(results.evaluation))}</pre>",
            f"<h2>Trading on them</h2><pre>{_lines(backtest_lines(results.backtest))}</pre>",
            *_stress(results, stress_plot),
            f"<h2>Trades</h2>{_trades(trades)}",
            "</body></html>\n",
        ]
    )


def _stress(results: BacktestResults, plot: bytes) -> Iterator[str]:
    if results.stress:
        yield "<h2>What the return depends on</h2>"
        yield _image("Return by costs, by delay and by year, and what other orders of the bars come to", plot)
        yield f"<pre>{_lines(stress_lines(results.stress))}</pre>"


def _image(text: str, plot: bytes) -> str:
    return f'<img alt="{text}" src="data:image/png;base64,{b64encode(plot).decode()}">'


def _headline(results: BacktestResults) -> Iterator[str]:
    evaluation, model = results.evaluation, results.backtest.model
    hardest, lead = evaluation.significance.hardest_baseline
    measure = ("IC", signed_score(evaluation.ic)) if isinstance(evaluation, Regression) else _accuracy(results)
    figures = [
        measure,
        (f"lead over {hardest.replace('_', ' ')}", f"{signed_score(lead.lead)} (p {p_value(lead.p_value)})"),
        ("total return", gain(model.total_return)),
        ("buy and hold", gain(results.backtest.buy_and_hold.total_return)),
        ("Sharpe ratio", with_error(model.sharpe, model.sharpe_standard_error)),
        ("deepest drawdown", percentage(model.max_drawdown)),
        ("trades", count(results.trades)),
    ]
    for name, value in figures:
        yield f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"


def _accuracy(results: BacktestResults) -> tuple[str, str]:
    return "accuracy", percentage(results.evaluation.accuracy)


def _trades(trades: pl.DataFrame) -> str:
    if trades.is_empty():
        return "<p>There were none.</p>"
    won, profit, cost = len(trades.filter(trades["net"] > 0)), trades["profit"].sum(), trades["cost"].sum()
    sentences = (
        f"{counted(len(trades), 'trade')}, {percentage(won / len(trades))} of them with a profit after costs, held for "
        f"{trades['bars'].to_numpy().mean():.1f} bars on average. Together they made {gain(float(profit))} and cost "
        f"{percentage(float(cost))} of the capital at the start."
    )
    shown = trades.tail(SHOWN_TRADES)
    caption = f"The last {len(shown)}" if len(shown) < len(trades) else "All"
    head = ("symbol", "side", "entered", "at", "left", "at", "bars", "size", "profit", "cost", "net", "why left")
    rows = "".join(_row(row) for row in shown.iter_rows())
    return (
        f"<p>{_text(sentences)}</p><div class='scroll'><table><caption>{caption}; size, profit, cost and net in "
        f"percent of the capital at the start</caption><tr>{_cells(head, 'th')}</tr>{rows}</table></div>"
    )


def _row(row: Sequence[object]) -> str:
    symbol, side, entered, entry, left, exit_price, bars, *shares, reason = row
    return (
        "<tr>"
        + _cells(
            [
                symbol,
                side,
                f"{entered:%Y-%m-%d %H:%M}",
                f"{entry:,.6g}",
                f"{left:%Y-%m-%d %H:%M}",
                f"{exit_price:,.6g}",
                bars,
                *(f"{100 * float(str(share)):.2f}" for share in shares),
                reason,
            ],
            "td",
        )
        + "</tr>"
    )


def _cells(values: Iterable[object], tag: str) -> str:
    return "".join(f"<{tag}>{_text(str(value))}</{tag}>" for value in values)


def _lines(lines: Iterable[str]) -> str:
    return _text("\n".join(line.rstrip() for line in lines), keeps_lines=True)


def _text(text: str, *, keeps_lines: bool = False) -> str:
    """Text from outside: no markup, and no control characters."""
    return "\n".join(escape(escaped(line)) for line in text.split("\n")) if keeps_lines else escape(escaped(text))
