"""ktrdr from Python, without a server: what a notebook or a script needs, with the same bits as through the API."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr.features.frame import Day, day_of, home_of, strategy_of
from ktrdr.features.splits import fold_count
from ktrdr.market.store import BarStore
from ktrdr.training.files import METRICS, PREDICTIONS, SUMMARY

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.market.loading import Loaded
    from ktrdr.market.provider import Page
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.observer import TrainingObserver


def bars(symbol: str, timeframe: str, *, start: Day = None, end: Day = None, home: Path | None = None) -> pl.DataFrame:
    """Stored bars: timestamp (UTC, the opening instant), open, high, low, close, volume. Both dates are inclusive.

    `home` is the folder that holds everything; by default that of the settings. Raises SeriesNotFound.
    """
    return BarStore(home_of(home).bars).read(symbol, timeframe, day_of(start), day_of(end))


def load(
    symbol: str,
    timeframe: str,
    *,
    provider: str = "auto",
    start: Day = None,
    end: Day = None,
    home: Path | None = None,
) -> Loaded:
    """Bring a stored series up to date, as `ktrdr data load` does: only what is missing is asked for.

    Raises InputError and ProviderError.
    """
    from ktrdr.market import loading
    from ktrdr.market.providers import provider_for

    store = BarStore(home_of(home).bars)
    source = provider_for(provider, store.find(symbol, timeframe))
    return loading.load(store, source, loading.Wanted(symbol, timeframe, day_of(start), day_of(end)), _Unwatched())


class _Unwatched:
    def on_page(self, page: Page, rows: int, share: float) -> None:
        pass

    def on_storing(self, rows: int) -> None:
        pass

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def stop_requested(self) -> bool:
        return False


@dataclass(frozen=True)
class Training:
    """A training that ended: `results` are those of the API, `folder` holds the model and its artifacts."""

    results: dict[str, Any]
    folder: Path

    @cached_property
    def metrics(self) -> pl.DataFrame:
        """One row for each epoch."""
        return self._table(METRICS)

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """One row for each sample that the model was judged on."""
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
    home: Path | None = None,
    observer: TrainingObserver | None = None,
) -> Training:
    """Train in this process, all folds one after the other, from the bars in the store.

    `strategy` is a Strategy, YAML text or a path; `output` the folder for model and artifacts, by default one named
    after strategy and instant in the present folder. Sets torch's threads, seed and determinism for the process.

    Raises what `ktrdr.training.run.run_training` raises, and StrategyError, InputError, SeriesNotFound.
    """
    from ktrdr.training.folds import summarise
    from ktrdr.training.observer import SilentObserver
    from ktrdr.training.run import TrainingRequest, run_training

    chosen, text = strategy_of(strategy, timeframes)
    named = [symbols] if isinstance(symbols, str) else list(symbols)
    folder = output or Path(f"{chosen.slug}-{datetime.now(UTC):%Y%m%d-%H%M%S}")
    store, first, last = BarStore(home_of(home).bars), day_of(start), day_of(end)
    folds: list[tuple[str, dict[str, Any]]] = []
    for fold in range(count := fold_count(chosen)):
        own = folder if count == 1 else folder / f"fold-{fold + 1}"
        request = TrainingRequest(own.name, chosen, chosen.slug, text, tuple(named), first, last, own.resolve(), fold)
        outcome = run_training(
            request,
            lambda symbol, timeframe: store.read_stored(symbol, timeframe, first, last),
            observer or SilentObserver(),
        )
        folds.append((str(own), json.loads(json.dumps(asdict(outcome)))))
    if count == 1:
        return Training(folds[0][1], folder)
    about = {"strategy_name": chosen.slug, "symbols": named, "timeframes": list(chosen.timeframes)}
    return Training({"status": "success", **summarise(folds, folder, about)}, folder)
