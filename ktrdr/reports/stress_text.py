"""What a backtest depends on, as plain text."""

from __future__ import annotations

from collections.abc import Iterator

from ktrdr.formatting import count, gain, percentage
from ktrdr.payloads.backtests import GroupReturn, ReturnBands, Stress
from ktrdr.reports.text import table, wrap


def stress_lines(stress: Stress) -> Iterator[str]:
    yield from wrap(_break_even(stress))
    yield from table(
        ["costs, bps", *(f"{point.cost_bps:g}" for point in stress.costs)],
        [["total return", *(gain(point.total_return) for point in stress.costs)]],
    )
    yield ""
    yield from table(
        ["later by bars", *(str(point.bars) for point in stress.delays)],
        [["total return", *(gain(point.total_return) for point in stress.delays)]],
    )
    if stress.bands:
        yield ""
        yield from _bands(stress.bands)
    for title, groups in (
        ("year", stress.by_year),
        ("volatility before", stress.by_volatility),
        ("weekday", stress.by_weekday),
        ("hour (UTC)", stress.by_hour),
        ("symbol", stress.by_symbol),
    ):
        if len(groups) > 1:
            yield ""
            yield from _groups(title, groups)


def _break_even(stress: Stress) -> str:
    without_costs = stress.costs[0].total_return
    if stress.break_even_bps is None:
        return "Without costs it loses too." if without_costs < 0 else "It made nothing, even without costs."
    return f"At costs of {stress.break_even_bps:,.1f} bps of the traded value nothing is left of the return."


def _bands(bands: ReturnBands) -> Iterator[str]:
    yield from wrap(
        f"Other orders of the same bars ({count(bands.draws)} resamples in blocks of {bands.block} bars): "
        f"{percentage(bands.loss_probability)} of them lose."
    )
    yield from table(
        ["quantile", *(f"{100 * level:g}%" for level in bands.levels)],
        [
            ["total return", *map(gain, bands.total_return)],
            ["deepest drawdown", *map(percentage, bands.max_drawdown)],
        ],
    )


def _groups(title: str, groups: tuple[GroupReturn, ...]) -> Iterator[str]:
    yield from table(
        [title, "bars", "model", "buy and hold"],
        [[each.group, count(each.bars), gain(each.total_return), gain(each.held_return)] for each in groups],
    )
