"""Checks bars before a training: enough of them, finite features, samples in every part, two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import TrainingDataError
from ktrdr.features.needed_bars import MIN_SAMPLES, has_enough_bars, needed_bars
from ktrdr.features.splits import fold_count
from ktrdr.instants import format_instant
from ktrdr.market.sessions import instant

if TYPE_CHECKING:
    from ktrdr.features.columns import Columns
    from ktrdr.features.dataset import Dataset, LeftOut, PartName
    from ktrdr.features.splits import Split
    from ktrdr.market.other_series import Shortfall
    from ktrdr.strategy.spec import Strategy

Instants = NDArray[np.datetime64]

_MAX_NAMED = 5


def check_length(strategy: Strategy, symbol: str, bars: int, warmup: int) -> None:
    if has_enough_bars(strategy, warmup, bars) or bars >= (needed := needed_bars(strategy, warmup)):
        return
    window, horizon = strategy.model.sequence_length, strategy.labels.horizon
    samples = needed - (warmup + window + horizon)
    raise TrainingDataError(
        f"{symbol} has too few bars: there are {bars}; at least {needed} are needed: "
        f"warm-up {warmup} + window {window} + horizon {horizon} + {samples} to split into training and validation.",
        hint="Load a longer range, or use shorter indicators, a shorter window or a shorter horizon.",
        symbol=symbol,
        bars=bars,
        needed=needed,
    )


def check_finite(symbol: str, columns: Columns, opens: Instants) -> None:
    rows = np.flatnonzero(np.arange(len(columns.values)) >= columns.first_rows())
    if np.isfinite(columns.values[rows[0] if len(rows) else 0 :]).all():
        return
    for name, values in zip(columns.names, columns.values.T, strict=True):
        column = values[rows]
        finite = np.isfinite(column)
        if finite.all():
            continue
        row, count = int(np.argmin(finite)), int(np.sum(~finite))
        raise TrainingDataError(
            f"{symbol}: feature {name} is {column[row]} at {_bar(opens[rows[row]])}; "
            f"after its warm-up it is not finite in {count} of {len(column)} rows.",
            hint="It is undefined for such bars, as a logarithm is below 0, a division by 0 and an average by volume "
            "without volume: use another source, name in an expression what shall stand there, as "
            "where(volume > 0, …, 0), or leave it out.",
            symbol=symbol,
            feature=name,
            rows=count,
        )


def check_other_series(symbol: str, shortfalls: Sequence[Shortfall], bars: int) -> None:
    """Raises TrainingDataError where another series has nothing for any bar of the symbol."""
    for each in shortfalls:
        if each.rows == bars:
            raise TrainingDataError(
                f"{each.series} has nothing that was known at a bar of {symbol} and new enough: its bars run from "
                f"{format_instant(each.first, 'seconds')} to {format_instant(each.last, 'seconds')}.",
                hint=f"Load what is missing with: {each.mend}",
                symbol=symbol,
            )


def check_candidates(samples: Mapping[str, int]) -> None:
    """`samples` counts the candidates of each symbol, before any split."""
    if any(samples.values()):
        return
    raise TrainingDataError(
        f"No bar of {_listed(list(samples))} can be the end of a sample after warm-up, window and label.",
        hint="Load a longer range, or use shorter indicators, a shorter window or other labels.",
    )


def check_symbol_split(strategy: Strategy, symbol: str, opens: Instants, split: Split) -> None:
    """Require samples in every part, for a symbol that must not be left out."""
    for name, samples in split_parts(strategy, split).items():
        if len(samples) < MIN_SAMPLES:
            raise TrainingDataError(
                f"{symbol} has {len(samples)} {adjective(name)} samples; at least {MIN_SAMPLES} are needed. The "
                f"parts begin and end at the same instants for all symbols, and the bars of {symbol} run from "
                f"{_bar(opens[0])} to {_bar(opens[-1])}.",
                hint="Leave the symbol out, or choose dates that all symbols cover.",
                symbol=symbol,
                samples=len(samples),
            )


def check_fold(strategy: Strategy, fold: int, splits: Sequence[Split], left_out: Sequence[LeftOut]) -> None:
    """Require samples in every part, over all symbols that stay in a fold."""
    parts_by_symbol = [split_parts(strategy, split) for split in splits]
    for name in ("train", "validation", *(("test",) if strategy.validation.test else ())):
        samples = sum(len(parts[name]) for parts in parts_by_symbol)
        if samples < MIN_SAMPLES:
            symbols = "; ".join(f"{each.symbol} {each.reason}" for each in left_out[:_MAX_NAMED])
            more = f"; and {len(left_out) - _MAX_NAMED} more symbols" if len(left_out) > _MAX_NAMED else ""
            raise TrainingDataError(
                f"Fold {fold + 1} of {fold_count(strategy)} has {samples} {adjective(name)} samples; at least "
                f"{MIN_SAMPLES} are needed. No symbol can serve it: {symbols}{more}.",
                hint="Choose dates that at least one symbol covers, fewer folds, or a larger validation.initial.",
                fold=fold + 1,
                samples=samples,
            )


def check_labels(dataset: Dataset) -> None:
    count = len(dataset.train.labels)
    if dataset.is_regression:
        if len(np.unique(dataset.train.labels)) > 1:
            return
        raise TrainingDataError(
            f"All {count} training samples have the same target, {dataset.train.measures[0]:g}: nothing to learn.",
            hint="Use a longer range, or another horizon under labels.",
            samples=count,
        )
    present = np.unique(dataset.train.labels)
    if len(present) > 1:
        return
    name = dataset.class_names[int(present[0])]
    raise TrainingDataError(
        f"All {count} training samples are of the class {name!r}: there is nothing to distinguish.",
        hint="Use a longer range, or another horizon or threshold under labels.",
        class_name=name,
        samples=count,
    )


def split_parts(strategy: Strategy, split: Split) -> dict[PartName, NDArray[np.int64]]:
    """Rows of the parts that the strategy has."""
    parts: dict[PartName, NDArray[np.int64]] = {"train": split.train, "validation": split.validation}
    return {**parts, "test": split.test} if strategy.validation.test else parts


def adjective(part: PartName) -> str:
    return "training" if part == "train" else part


def _listed(symbols: Sequence[str]) -> str:
    more = len(symbols) - _MAX_NAMED
    return ", ".join(symbols[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _bar(opening: np.datetime64) -> str:
    return format_instant(instant(opening), "seconds")
