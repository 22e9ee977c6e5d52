"""How figures are written for people: one format for each kind of figure, and a dash for one that is not there."""

from __future__ import annotations

NOTHING = "-"

_VAST = 100.0
_SMALLEST_CHANCE = 0.001


def count(number: int) -> str:
    """`1,234`"""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """`1 bar`, `1,234 bars`"""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percentage(value: float | None) -> str:
    """`53.2%`"""
    return NOTHING if value is None else f"{value:.1%}"


def gain(value: float | None) -> str:
    """A gain or a loss as a share: `+12.3%`; one of more than a hundredfold as a multiple, `+1.23e+04×`."""
    if value is None:
        return NOTHING
    return f"{value:+,.1%}" if abs(value) < _VAST else f"{value:+.3g}×"


def points(value: float) -> str:
    """A difference of shares in percentage points: `6.4`"""
    return f"{100 * value:.1f}"


def signed_points(value: float) -> str:
    """`+6.4`"""
    return f"{100 * value:+.1f}"


def score(value: float | None) -> str:
    """A loss, an error, a probability: `0.6931`"""
    return NOTHING if value is None else f"{value:,.4f}"


def signed_score(value: float | None) -> str:
    """`+0.0123`"""
    return NOTHING if value is None else f"{value:+,.4f}"


def correlation(value: float | None) -> str:
    """`+0.123`"""
    return NOTHING if value is None else f"{value:+.3f}"


def with_error(value: float | None, error: float | None) -> str:
    """A ratio and its standard error: `0.53 ± 0.93`"""
    return NOTHING if value is None or error is None else f"{value:,.2f} ± {error:,.2f}"


def p_value(value: float) -> str:
    """`0.34`, `0.004`, `less than 0.001`"""
    if value < _SMALLEST_CHANCE:
        return f"less than {_SMALLEST_CHANCE:g}"
    return f"{value:.2f}" if value >= 10 * _SMALLEST_CHANCE else f"{value:.3f}"


def p_equals(value: float) -> str:
    """`p = 0.34`, `p < 0.001`"""
    return f"p < {_SMALLEST_CHANCE:g}" if value < _SMALLEST_CHANCE else f"p = {p_value(value)}"


def size_text(size_bytes: float) -> str:
    """`512 B`, `1.4 kB`, `83.1 GB`: in powers of 1000."""
    if size_bytes < 1000:
        return f"{size_bytes:.0f} B"
    for unit in ("kB", "MB"):
        size_bytes /= 1000
        if size_bytes < 1000:
            return f"{size_bytes:.1f} {unit}"
    return f"{size_bytes / 1000:.1f} GB"


def duration(seconds: float) -> str:
    """`4.2 s`, `3:07`, `2:03:07`"""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
