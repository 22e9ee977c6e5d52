"""Searches a strategy's ranges in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.timeframes import on_timeframes
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.python_api.inputs import Day, new_folder, open_home, parse_day, strategy_text
from ktrdr.strategy.editing import with_settings
from ktrdr.training.files import STRATEGY, SUMMARY

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.payloads.search import SearchResults


@dataclass(frozen=True)
class Search:
    """A finished search.

    results: the same as in the API
    folder: holds the models of all trials below `models`, under the names that the results give them
    """

    results: SearchResults
    folder: Path

    @cached_property
    def trials(self) -> pl.DataFrame:
        """One row for each trial, the best first: its number, score, epochs, status and values."""
        import polars as pl

        from ktrdr.payloads.search import ranked

        trials = self.results.trials
        failed = [trial for trial in trials if trial.score is None]
        columns = ("trial", "score", "rung", "epochs", "status")
        rows = [
            {name: getattr(trial, name) for name in columns} | dict(trial.parameters)
            for trial in [*ranked(self.results.objective, trials), *failed]
        ]
        return pl.DataFrame(rows, infer_schema_length=None)

    @property
    def best(self) -> Path:
        """The folder of the winner's model."""
        return self.folder / "models" / self.results.winner.operation_id

    @property
    def strategy(self) -> str:
        """The winner's strategy, without ranges."""
        return (self.best / STRATEGY).read_text(encoding="utf-8")

    def __str__(self) -> str:
        return (self.folder / "models" / self.folder.name / SUMMARY).read_text(encoding="utf-8")


def search(
    strategy: str | Path,
    symbols: str | Sequence[str],
    timeframes: Sequence[str] = (),
    *,
    start: Day = None,
    end: Day = None,
    output: Path | None = None,
    set: Mapping[str, Any] | None = None,
    home: Path | str | None = None,
) -> Search:
    """Search a strategy's ranges in this process on stored bars, one trial after another.

    `strategy` is YAML text or a path, with ranges and a section `search`; `set` and `output` are as in `train`. The
    trials, the winner and its weights are those that a server comes to, to the bit.

    Raises StrategyError, InputError, SeriesNotFound, and KtrdrError where no trial has a score.
    """
    from ktrdr.jobs.in_process import run_in_process
    from ktrdr.jobs.search_plan import search_job
    from ktrdr.payloads.jobs import StrategyOnBars
    from ktrdr.payloads.search import SearchResults
    from ktrdr.strategy.search_loading import load_search

    text = with_settings(strategy_text(strategy), set or {})
    catalogue = IndicatorCatalogue()
    space = load_search(text, catalogue)
    chosen = on_timeframes(space.strategy, timeframes)
    on_bars = StrategyOnBars(
        strategy=text,
        strategy_name=chosen.slug,
        model_type=chosen.model.type,
        symbols=(symbols,) if isinstance(symbols, str) else tuple(symbols),
        timeframes=chosen.timeframes,
        start=parse_day(start),
        end=parse_day(end),
        plugins=catalogue.plugins().recorded(),
    )
    source = open_home(home)
    for symbol in on_bars.symbols:
        BarStore(source.bars).info(symbol, chosen.timeframes[0])
    folder = (output or new_folder(chosen)).resolve()
    outcome = run_in_process(search_job(space, on_bars), folder.name, Home(folder, source.root))
    return Search(SearchResults.model_validate(outcome.results).under(folder), folder)
