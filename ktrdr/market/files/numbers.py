"""Prices and volumes out of texts: decimal marks, groups of thousands, currency signs, K and M."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from ktrdr.errors import InputError
from ktrdr.market.bars import PRICES

_EMPTY = ("", "-", "--", "---", "null", "none", "n/a", "na", "#n/a", "nil", ".")
_CURRENCY = r"^[ \u00a0\u202f]*([+-]?)(?:[A-Z]{0,3}[$€£¥₹₽₩₿]|[A-Z]{3} )|[$€£¥₹₽₩₿]$"
_SPACES = r"[\s\u00a0\u2007\u2009\u202f]"
_FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_NAMES = {".": "point", ",": "comma"}
_HINT = "say which it is: --decimal {0} or --thousands {0}"


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks in numbers; empty where there is none, or where nothing tells."""

    decimal: str = ""
    thousands: str = ""


@dataclass(frozen=True, slots=True)
class Numbers:
    """values: float64 by column, null where a text is no number; layout: how they were read, for people"""

    values: Mapping[str, pl.Series]
    layout: str = ""


def read_numbers(columns: Mapping[str, pl.Series], marks: Marks, *, is_loose: bool = False) -> Numbers:
    """Read all columns of numbers with the same marks.

    marks: what the user has said; the rest is detected
    is_loose: whether the file's layout leaves open which marks it uses, as semicolons between the columns do

    Raises InputError where a mark may be either.
    """
    columns = {name: _as_text(values) for name, values in columns.items()}
    plain = {name: as_floats(values) for name, values in columns.items()}
    texts = {name: values for name, values in columns.items() if values.dtype == pl.String}
    if not any((marks.decimal, marks.thousands)) and not any(_is_lost(plain[name], texts[name]) for name in texts):
        _check_points(texts, is_loose=is_loose)
        return Numbers(plain)
    cleaned = {name: _Cleaned.of(values) for name, values in texts.items()}
    decided = _decide(cleaned, marks, is_loose=is_loose)
    read = {name: clean.numbers(_for_column(decided, clean, marks)) for name, clean in cleaned.items()}
    return Numbers({**plain, **read}, _words(decided, cleaned))


def is_empty(values: pl.Series) -> pl.Series:
    """Which cells hold nothing, or a word for nothing."""
    if values.dtype != pl.String:
        return values.is_null()
    return values.is_null() | values.str.strip_chars().str.to_lowercase().is_in(_EMPTY).fill_null(False)


def _as_text(values: pl.Series) -> pl.Series:
    return values.cast(pl.String) if isinstance(values.dtype, pl.Categorical | pl.Enum) else values


def as_floats(values: pl.Series) -> pl.Series:
    is_readable = values.dtype.is_numeric() or values.dtype in (pl.String, pl.Null)
    return values.cast(pl.Float64, strict=False) if is_readable else pl.Series([None] * len(values), dtype=pl.Float64)


def _is_lost(plain: pl.Series, text: pl.Series) -> bool:
    return plain.null_count() > text.null_count()


def _check_points(texts: Mapping[str, pl.Series], *, is_loose: bool) -> None:
    """Raises InputError where each point may group thousands, in a file that may come from where points do."""
    if not is_loose:
        return
    groups = {name: Evidence.of(values, ".") for name, values in texts.items()}
    prices = [groups[name] for name in PRICES if name in groups]
    if "volume" in groups and groups["volume"].is_open:
        raise _ambiguous("volume", texts["volume"], ".")
    if prices and all(each.is_open for each in prices):
        raise _ambiguous("open", texts["open"], ".")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the values of a column say about a mark.

    is_decimal: some value has it where only a decimal mark can stand
    is_grouping: some value has it where only a mark of thousands can stand
    is_open: every value with a fraction or a group has exactly three digits behind the mark, so that it may be either
    """

    is_decimal: bool
    is_grouping: bool
    is_open: bool

    @classmethod
    def of(cls, text: pl.Series, mark: str) -> Evidence:
        other, mark = (r"\." if mark == "," else ","), (r"\." if mark == "." else mark)
        has = text.str.contains(mark)
        grouped = text.str.contains(rf"^[+-]?[1-9]\d{{0,2}}({mark}\d{{3}})+$")
        is_grouping = text.str.contains(rf"^[+-]?\d{{1,3}}({mark}\d{{3}})+({mark}\d{{3}}|{other}\d+)$")
        is_decimal = (
            text.str.contains(rf"^[+-]?\d*({other}\d{{3}})*{mark}\d+([eE][+-]?\d+)?$") & ~grouped & ~is_grouping
        )
        none = not is_decimal.any() and not is_grouping.any()
        return cls(bool(is_decimal.any()), bool(is_grouping.any()), none and bool((has & grouped).any()))


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """texts without signs of currency and spaces; factors: what K or M behind them stand for; original: as they were"""

    texts: pl.Series
    factors: pl.Series
    original: pl.Series

    @classmethod
    def of(cls, values: pl.Series) -> _Cleaned:
        text = values.str.strip_chars().str.replace_all(_CURRENCY, "$1").str.replace_all(_SPACES, "")
        text = pl.select(pl.when(~text.str.to_lowercase().is_in(_EMPTY)).then(text)).to_series()
        unit = text.str.extract(r"\d([KkMmBbTt])n?$").str.to_lowercase()
        return cls(
            text.str.replace(r"([KkMmBbTt])n?$", ""),
            unit.replace_strict(_FACTORS, default=1.0, return_dtype=pl.Float64),
            values,
        )

    def numbers(self, marks: Marks) -> pl.Series:
        text = self.texts
        if marks.thousands:
            mark, end = _escaped(marks.thousands), _escaped(marks.decimal or ".")
            # 12,34,567.8 is how India groups.
            is_grouped = text.str.contains(rf"^[+-]?\d{{1,3}}({mark}\d{{2,3}})*{mark}\d{{3}}({end}\d*)?$")
            ungrouped = text.str.replace_all(marks.thousands, "", literal=True)
            text = pl.select(pl.when(is_grouped).then(ungrouped).otherwise(text)).to_series()
        if marks.decimal == ",":
            # Such a file writes no point, and where it does, nobody knows what it means.
            dotless = pl.select(pl.when(~text.str.contains(".", literal=True)).then(text)).to_series()
            text = dotless.str.replace(",", ".", literal=True)
        return text.cast(pl.Float64, strict=False) * self.factors


def _decide(cleaned: Mapping[str, _Cleaned], stated: Marks, *, is_loose: bool) -> Marks:
    """Raises InputError where a mark may be either."""
    decimal, thousands = stated.decimal, stated.thousands
    commas = {name: Evidence.of(clean.texts, ",") for name, clean in cleaned.items()}
    points = {name: Evidence.of(clean.texts, ".") for name, clean in cleaned.items()}
    if not decimal and thousands in (",", "."):
        decimal = "." if thousands == "," else ("," if _any(commas, "is_decimal") else ".")
    if not decimal:
        is_comma = _any(commas, "is_decimal") or _any(points, "is_grouping")
        is_point = _any(points, "is_decimal") or _any(commas, "is_grouping")
        if is_comma and is_point:
            raise _contradiction(cleaned)
        decimal = "," if is_comma else "." if is_point or not _any(commas, "is_open") else ""
    if not decimal:
        name = next(name for name, each in commas.items() if each.is_open)
        raise _ambiguous(name, cleaned[name].original, ",")
    if not thousands and decimal == "." and is_loose and not stated.decimal:
        _check_points({name: clean.texts for name, clean in cleaned.items()}, is_loose=is_loose)
    return Marks(decimal, thousands or _grouping(cleaned, decimal))


def _any(evidence: Mapping[str, Evidence], field: str) -> bool:
    return any(getattr(each, field) for each in evidence.values())


def _grouping(cleaned: Mapping[str, _Cleaned], decimal: str) -> str:
    """The mark that groups thousands, where the decimal one is known; an apostrophe only with a fraction behind it."""
    other = "." if decimal == "," else ","
    if any(clean.texts.str.contains(other, literal=True).any() for clean in cleaned.values()):
        return other
    mark = _escaped(decimal)
    grouped = [clean.texts.str.contains(rf"'\d{{3}}{mark}\d+$").any() for clean in cleaned.values()]
    return "'" if any(grouped) else ""


def _for_column(decided: Marks, clean: _Cleaned, stated: Marks) -> Marks:
    """Points may be told to group the thousands of volumes in a file whose prices have decimal points."""
    if stated.thousands != "." or decided.decimal != ".":
        return decided
    is_grouped = clean.texts.drop_nulls().str.contains(r"^\d{1,3}(\.\d{3})*$").all()
    return Marks("", ".") if is_grouped else Marks(".", "")


def _words(marks: Marks, cleaned: Mapping[str, _Cleaned]) -> str:
    words = [f"decimal {_NAMES[marks.decimal]}"] if marks.decimal else []
    if marks.thousands:
        words.append(f"thousands by {marks.thousands!r}")
    suffixed = [name for name, clean in cleaned.items() if (clean.factors != 1.0).any()]
    return ", ".join([*words, *([f"K and M in {', '.join(suffixed)}"] if suffixed else [])])


def _contradiction(cleaned: Mapping[str, _Cleaned]) -> InputError:
    texts = [(name, clean) for name, clean in cleaned.items() if clean.texts.str.contains(r"[.,]").any()]
    shown = ", ".join(f"{name} {_example(clean.original, r'[.,]')!r}" for name, clean in texts[:5])
    return InputError(
        f"points and commas contradict each other: {shown}",
        hint="say which one is the decimal mark: --decimal . or --decimal ,",
    )


def _ambiguous(name: str, texts: pl.Series, mark: str) -> InputError:
    text = _example(texts, _escaped(mark))
    without, decimal = text.replace(mark, ""), text.replace(mark, ".")
    return InputError(
        f"{name} {text!r} may be {without} or {decimal}: every one has three digits behind the {_NAMES[mark]}",
        hint=_HINT.format(mark),
    )


def _example(texts: pl.Series, pattern: str) -> str:
    return str(texts.filter(texts.str.contains(pattern).fill_null(False))[0])


def _escaped(mark: str) -> str:
    return r"\." if mark == "." else mark
