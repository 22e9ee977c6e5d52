"""The picture of a report: coverage over time, the price with the faults in it, and the faults in words."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ktrdr.market.quality.bars import BarArrays, Numbers
from ktrdr.market.quality.coverage import coverage_of
from ktrdr.market.sessions import Instants, sessions_of
from ktrdr.payloads.data import QualityFault, QualityReport
from ktrdr.plot_style import BLUE, GREY, INK, ORANGE, VERMILION, literal, new_figure, png, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"error": VERMILION, "warning": ORANGE, "note": GREY}

_BINS, _POINTS = 150, 3000
# A stretch that lacks more than this of its bars is no blemish.
_POOR = 0.99
_FAULTS_SHOWN, _LINE = 8, 150
_LINE_INCHES, _TOP_INCHES = 0.23, 4.7
# A line over a longer pause would draw prices that nobody paid.
_PAUSE = np.timedelta64(5, "D")


@dataclass(frozen=True, slots=True)
class Bins:
    """Stretches of time of one length, and the share of the expected bars that each has; NaN where none is expected."""

    edges: Instants
    shares: Numbers
    word: str


def draw(report: QualityReport, frame: pl.DataFrame) -> bytes:
    """A PNG of what `check` found in `frame`."""
    told = list(report.faults[:_FAULTS_SHOWN])
    lines = [textwrap.wrap(fault.message, _LINE) for fault in told]
    words = _LINE_INCHES * max(1, sum(map(len, lines))) + 0.35
    figure = new_figure(_TOP_INCHES + words)
    height = figure.get_figheight()
    bottom = (words + 0.45) / height
    shares, prices = figure.subplots(
        2,
        1,
        sharex=True,
        gridspec_kw={
            "left": 0.055, "right": 0.985, "top": 1 - 1.1 / height, "bottom": bottom, "height_ratios": [1, 1.6],
            "hspace": 0.3,
        },
    )  # fmt: skip
    series = BarArrays.of(frame, report.timeframe)
    _headline(figure, report)
    _draw_shares(shares, bins_of(report, series))
    _draw_prices(prices, series, report)
    _write_faults(figure, told, lines, bottom - 0.52 / height)
    return png(figure)


def bins_of(report: QualityReport, series: BarArrays) -> Bins:
    coverage = coverage_of(series, sessions_of(report.calendar.name, series.at[0], series.at[-1]))
    wanted, missing = coverage.wanted, coverage.missing
    first, last = (wanted[0], wanted[-1]) if len(wanted) else (series.at[0], series.at[-1])
    edges, word = _edges(first, last)
    place = np.searchsorted(edges, wanted, "right") - 1
    expected = np.bincount(place, minlength=len(edges) - 1)[: len(edges) - 1]
    there = np.bincount(place[~missing], minlength=len(edges) - 1)[: len(edges) - 1]
    shares = np.where(expected > 0, there / np.maximum(expected, 1), np.nan)
    return Bins(edges, shares, word)


def _edges(first: np.datetime64, last: np.datetime64) -> tuple[Instants, str]:
    """Days, weeks, months, quarters or years, whichever make no more bins than the eye can tell."""
    units: list[tuple[str, Any, str]] = [
        ("day", np.timedelta64(1, "D"), "D"),
        ("week", np.timedelta64(1, "W"), "W"),
        ("month", np.timedelta64(1, "M"), "M"),
        ("quarter", np.timedelta64(3, "M"), "M"),
        ("year", np.timedelta64(1, "Y"), "Y"),
    ]
    found = [(_bounds(first, last, step, unit), word) for word, step, unit in units]
    return next((each for each in found if len(each[0]) <= _BINS), found[-1])


def _bounds(first: np.datetime64, last: np.datetime64, step: Any, unit: str) -> Instants:
    begin, end = (moment.astype(f"datetime64[{unit}]") for moment in (first, last))
    edges: Instants = np.arange(begin, end + 2 * step, step).astype("datetime64[us]")
    return edges


# The parts.


def _headline(figure: Figure, report: QualityReport) -> None:
    inch = 1 / figure.get_figheight()
    title = f"{report.symbol} {report.timeframe}: {report.verdict}, {report.score:g} of 100"
    line = (
        f"{report.present:,} of {report.expected:,} expected bars · calendar {report.calendar} · "
        f"{report.first:%Y-%m-%d} to {report.last:%Y-%m-%d}"
    )
    figure.text(0.055, 1 - 0.4 * inch, title, fontsize=15, fontweight="bold", color=INK)
    figure.text(0.055, 1 - 0.66 * inch, line, fontsize=10, color=GREY)


def _draw_shares(axes: Axes, bins: Bins) -> None:
    colours = [BLUE if share == 1 else ORANGE if share >= _POOR else VERMILION for share in bins.shares]
    known = np.isfinite(bins.shares)
    begins, widths = bins.edges[:-1], np.diff(bins.edges)
    axes.bar(
        begins[known].astype(object),
        100 * bins.shares[known],
        width=(widths[known] * 0.94).astype("timedelta64[us]").astype(object),
        align="edge",
        color=[colour for colour, is_known in zip(colours, known, strict=True) if is_known],
        linewidth=0,
    )
    # What is missing altogether would be a hole that nobody sees.
    for begin, width in zip(begins[known & (bins.shares == 0)], widths[known & (bins.shares == 0)], strict=True):
        axes.axvspan(begin.astype(object), (begin + width).astype(object), color=VERMILION, alpha=0.18, linewidth=0)
    axes.set_ylim(0, 104)
    axes.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"])
    style_axes(axes)
    axes.margins(x=0.005)
    axes.set_title(f"Bars present, by {bins.word}", loc="left", fontsize=10, color=INK)
    _legend(axes, [("all", BLUE), (f"at least {100 * _POOR:g} %", ORANGE), ("fewer", VERMILION)])


def _legend(axes: Axes, entries: list[tuple[str, str]]) -> None:
    from matplotlib.patches import Patch

    axes.legend(
        handles=[Patch(color=colour, label=label) for label, colour in entries],
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(entries),
        frameon=False,
        fontsize=9,
        labelcolor=GREY,
        borderaxespad=0.2,
        handlelength=0.9,
    )


def _draw_prices(axes: Axes, series: BarArrays, report: QualityReport) -> None:
    """Of many bars the lowest and highest of each stretch, so that no spike is lost."""
    step = max(1, -(-len(series) // _POINTS))
    starts = np.arange(0, len(series), step)
    lows, highs = np.fmin.reduceat(series.low, starts), np.fmax.reduceat(series.high, starts)
    closes, at = series.close[starts], series.at[starts]
    pauses = np.flatnonzero(np.diff(at) > max(_PAUSE, 2 * step * series.length)) + 1
    drawn = np.insert(at, pauses, at[pauses] - np.timedelta64(1, "us")).astype(object)
    low, high, close = (np.insert(values, pauses, np.nan) for values in (lows, highs, closes))
    axes.fill_between(drawn, low, high, color=BLUE, alpha=0.35, linewidth=0)
    axes.plot(drawn, close, color=BLUE, linewidth=0.8)
    positive = lows[np.isfinite(lows) & (lows > 0)]
    if len(positive) and np.nanmax(highs) > 8 * positive.min():
        axes.set_yscale("log")
    for fault in reversed(report.faults):
        if fault.severity != "note" and fault.kind not in ("missing", "missing_sessions"):
            for moment in fault.instants:
                axes.axvline(moment.replace(tzinfo=None), color=COLOURS[fault.severity], linewidth=1, alpha=0.9)  # type: ignore[arg-type]
    style_axes(axes)
    axes.margins(x=0.005)
    _plain_numbers(axes)
    _dates(axes)
    axes.set_title("Price, low to high; lines: the first places of each fault", loc="left", fontsize=10, color=INK)


def _plain_numbers(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    if axes.get_yscale() == "log":
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())


def _dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]


def _write_faults(figure: Figure, faults: list[QualityFault], lines: list[list[str]], top: float) -> None:
    step = _LINE_INCHES / figure.get_figheight()
    if not faults:
        figure.text(0.055, top, "Nothing is wrong with these bars.", fontsize=10, color=INK, va="top")
    y = top
    for fault, wrapped in zip(faults, lines, strict=True):
        figure.text(0.055, y, fault.severity, fontsize=9.5, color=COLOURS[fault.severity], fontweight="bold", va="top")
        for line in wrapped:
            figure.text(0.115, y, literal(line), fontsize=9.5, color=INK, va="top")
            y -= step
