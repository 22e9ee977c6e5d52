"""Trains models in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ktrdr.features.splits import fold_count
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.python_api.inputs import Day, new_folder, open_home, parse_day, read_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import METRICS, PREDICTIONS, SUMMARY

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.payloads.training import FoldsResults, TrainingResults
    from ktrdr.training.observer import TrainingObserver


@dataclass(frozen=True)
class Training:
    """A finished training.

    results: the same as in the API
    folder: holds the model and its artifacts
    """

    results: TrainingResults | FoldsResults
    folder: Path

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """One row for each epoch."""
        return self._table(METRICS)

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """One row for each validation sample; the test part is sealed, see `unseal`."""
        return self._table(PREDICTIONS)

    @property
    def summary(self) -> str:
        return (self.folder / SUMMARY).read_text(encoding="utf-8")

    def __str__(self) -> str:
        return self.summary

    def _table(self, name: str) -> pl.DataFrame:
        import polars as pl

        return pl.read_parquet(self.folder / name)


def train(
    strategy: Strategy | str | Path,
    symbols: str | Sequence[str],
    timeframes: Sequence[str] = (),
    *,
    start: Day = None,
    end: Day = None,
    output: Path | None = None,
    set: Mapping[str, Any] | None = None,
    home: Path | str | None = None,
    observer: TrainingObserver | None = None,
) -> Training:
    """Train in this process on stored bars, one fold after another.

    `strategy` is a Strategy, YAML text or a path; `set` replaces values in it by their paths, as
    `{"training.learning_rate": 0.01}`. `output` is the folder for model and artifacts; the default is a new
    folder in the working directory, named after the strategy and the time. Sets torch's threads, seed and determinism
    for the process. Every look at validation rows is recorded in the ledger of the home, as with a server.

    Raises StrategyError, InputError, SeriesNotFound, and the errors of `ktrdr.experiments.train.run_training`.
    """
    from ktrdr.experiments.folds import TrainedFold, TrainingInFolds, summarise
    from ktrdr.experiments.train import run_training
    from ktrdr.ledger.store import Ledger
    from ktrdr.payloads.looks import Door
    from ktrdr.training.observer import SilentObserver
    from ktrdr.training.request import TrainingRequest

    chosen, text = read_strategy(strategy, timeframes, set or {})
    named = [symbols] if isinstance(symbols, str) else list(symbols)
    folder = output or new_folder(chosen)
    place, first, last = open_home(home), parse_day(start), parse_day(end)
    store = BarStore(place.bars)
    folds: list[TrainedFold] = []
    for fold in range(count := fold_count(chosen)):
        own = folder if count == 1 else folder / f"fold-{fold + 1}"
        request = TrainingRequest(own.name, chosen, chosen.slug, text, tuple(named), first, last, own.resolve(), fold)
        with closing(Ledger(place.ledger, Door.PYTHON)) as ledger:
            results = run_training(
                request,
                store.read_ahead(named, chosen.timeframes, first, last),
                observer or SilentObserver(),
                looks=ledger,
                read_table=TableStore(place.tables).read,
            )
        if count == 1:
            return Training(results.under(folder), folder)
        folds.append(TrainedFold(own.name, results.under(PurePath(own.name)), own))
    whole = TrainingInFolds(chosen, chosen.slug, text, tuple(named), first, last)
    joined = summarise(whole, folds, store.read_stored, folder, PurePath(), looks=ledger)
    return Training(joined.under(folder), folder)
