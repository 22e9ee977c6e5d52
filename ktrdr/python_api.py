"""ktrdr in Python without a server, for notebooks and scripts; gives the same bits as the API."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, overload

from ktrdr.errors import InputError
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.inputs import with_other_series
from ktrdr.features.splits import fold_count
from ktrdr.features.timeframes import on_timeframes
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore
from ktrdr.settings import read_settings
from ktrdr.strategy.editing import with_settings
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.timeframe import Timeframe
from ktrdr.training.files import METRICS, PREDICTIONS, STRATEGY, SUMMARY
from ktrdr.training.fingerprint import CHECKPOINTS

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.follows.receivers import Receiver
    from ktrdr.market.loading import Loaded
    from ktrdr.payloads.ablations import AblationResults
    from ktrdr.payloads.backtests import BacktestResults
    from ktrdr.payloads.explanations import ExplanationResults
    from ktrdr.payloads.follows import FollowReport, FollowVerification, PredictionRow
    from ktrdr.payloads.looks import Look
    from ktrdr.payloads.search import SearchResults
    from ktrdr.payloads.tables import TableInfo
    from ktrdr.payloads.training import FoldsResults, TrainingResults
    from ktrdr.payloads.unsealing import UnsealingResults
    from ktrdr.training.observer import TrainingObserver

_log = logging.getLogger(__name__)
Day = date | str | None


def bars(
    symbol: str, timeframe: str, *, start: Day = None, end: Day = None, home: Path | str | None = None
) -> pl.DataFrame:
    """Read stored bars: timestamp (UTC, the opening instant), open, high, low, close, volume. Dates are inclusive.

    `home` is ktrdr's data folder; the default comes from the settings. Raises SeriesNotFound.
    """
    return BarStore(_open_home(home).bars).read(symbol, timeframe, _parse_day(start), _parse_day(end))


def load(
    symbol: str,
    timeframe: str,
    *,
    provider: str = "auto",
    start: Day = None,
    end: Day = None,
    calendar: str = "",
    home: Path | str | None = None,
) -> Loaded:
    """Bring a stored series up to date, as `ktrdr data load` does: request only missing bars.

    `calendar`, such as XNYS, is named for the symbol; "guess" forgets the one that was. Raises InputError and
    ProviderError.
    """
    from ktrdr.market import loading
    from ktrdr.market.calendars import check_naming
    from ktrdr.market.providers import provider_for

    store = BarStore(_open_home(home).bars)
    source = provider_for(provider, store.find(symbol, timeframe))
    first, last = _parse_day(start), _parse_day(end)
    wanted = loading.Wanted(symbol, Timeframe.parse(timeframe), first, last, calendar=check_naming(calendar))
    return loading.load(store, source, wanted, loading.Unwatched())


def import_table(
    file: Path | str,
    *,
    known_at: str,
    name: str = "",
    period_column: str = "",
    symbol_column: str = "",
    timezone: str = "",
    replace: bool = False,
    home: Path | str | None = None,
) -> TableInfo:
    """Import a CSV or Parquet file whose column `known_at` says since when each row is known, as `{table: name, …}`.

    `name` is by default the file's. Rows of one period with different `known_at` are its revisions; `period_column` and
    `symbol_column` are found by their names where they are not given. A date counts as known at the end of its day in
    `timezone`, or else wherever that is last on earth; times without a zone need one. Rows are added to a stored table,
    or take its place with `replace`.

    Raises InputError, ConflictError where stored rows have other numbers, and StorageError.
    """
    from ktrdr.payloads.tables import TableReading

    path = Path(file)
    options = {"period_column": period_column, "symbol_column": symbol_column, "timezone": timezone}
    reading = TableReading.model_validate({"known_at": known_at} | {key: each for key, each in options.items() if each})
    store = TableStore(_open_home(home).tables)
    return store.import_file(name or path.stem, _read_bytes(path), path.name, reading, replace=replace)


def tables(*, home: Path | str | None = None) -> tuple[TableInfo, ...]:
    """What is known of each stored table, by name. Raises StorageError."""
    return TableStore(_open_home(home).tables).list()


def build_features(
    strategy: Strategy | str | Path,
    symbol: str | Sequence[str],
    timeframes: Sequence[str] = (),
    *,
    start: Day = None,
    end: Day = None,
    home: Path | str | None = None,
) -> pl.DataFrame:
    """Compute features: one row a bar of the shortest timeframe, with its opening instant and the unscaled features.

    Of several symbols the rows stand one symbol after another, and a first column names the symbol. Features are null
    in warm-up rows, of which there are more after a hole in the bars. `strategy` is a Strategy, YAML text or a path.
    Raises StrategyError, InputError, SeriesNotFound and TrainingDataError.
    """
    from ktrdr.features.feature_table import feature_table, feature_tables

    chosen, _ = _load_strategy(strategy, timeframes)
    if isinstance(symbol, str):
        return feature_table(chosen, symbol, _read_bars(chosen, [symbol], start, end, home)[symbol])
    if not symbol:
        raise InputError("no symbol is named", hint="name at least one, as AAPL")
    return feature_tables(chosen, _read_bars(chosen, symbol, start, end, home))


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

    chosen, text = _load_strategy(strategy, timeframes, set or {})
    named = [symbols] if isinstance(symbols, str) else list(symbols)
    folder = output or _new_folder(chosen)
    place, first, last = _open_home(home), _parse_day(start), _parse_day(end)
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


def unseal(training: Training | Path | str, *, by: str = "", home: Path | str | None = None) -> UnsealingResults:
    """Open the sealed test part of a training, or of a model's folder, and evaluate the model on it.

    Of a training in folds the last fold's model is evaluated. The opening is recorded in the home's ledger before a
    figure is computed: the first of these bars tests at a significance level of 2.5 %, the second at 1.25 %, and so on.
    The same model again gives the same results and spends nothing. `by` says who opens it; the default is user and
    machine. Writes the folder `unsealed` in the model's. Sets torch's threads, seed and determinism for the process.

    Raises InputError, and the errors of `ktrdr.experiments.unseal.run_unsealing`.
    """
    from ktrdr.experiments.unseal import run_unsealing
    from ktrdr.ledger.store import Ledger
    from ktrdr.payloads.looks import Door
    from ktrdr.payloads.unsealing import this_user
    from ktrdr.saved_models.reproduce import model_folders
    from ktrdr.saved_models.unsealed import unsealed_folder

    opened = _open_home(home)
    folder = model_folders(training.folder if isinstance(training, Training) else Path(training))[-1]
    with closing(Ledger(opened.ledger, Door.PYTHON)) as ledger:
        read_bars, read_table = BarStore(opened.bars).read_stored, TableStore(opened.tables).read
        results = run_unsealing(folder, by or this_user(), read_bars, ledger, read_table=read_table)
    assert results is not None  # nobody stops it
    return results.under(unsealed_folder(folder))


def backtest(
    training: Training | Path | str,
    symbols: str | Sequence[str] = (),
    *,
    start: Day = None,
    end: Day = None,
    allow_overlap: bool = False,
    set: Mapping[str, Any] | None = None,
    output: Path | None = None,
    home: Path | str | None = None,
) -> BacktestResults:
    """Predict and trade stored bars with a training, or a model's folder; write its files and an HTML report.

    `symbols` are those of the training by default, `start` is the first day after it, and `end` the last one stored.
    Bars that it was trained on are refused, or taken and named with `allow_overlap`; those of a sealed test part are
    left out. Of a training in folds the last model that has not seen a bar predicts it. `set` gives other values for
    keys of the strategy's positions and costs, as {"positions.direction": "long"}. The look is recorded in the home's
    ledger. `output` is by default a new folder in the working directory. Sets torch's threads, seed and determinism for
    the process.

    Raises InputError, and the errors of `ktrdr.experiments.backtest_model.run_backtest`.
    """
    from ktrdr.experiments.backtest_model import BacktestRequest, run_backtest
    from ktrdr.ledger.store import Ledger
    from ktrdr.payloads.looks import Door
    from ktrdr.saved_models.reproduce import model_folders

    opened = _open_home(home)
    folder = training.folder if isinstance(training, Training) else Path(training)
    target = output or Path(f"{folder.name}-backtest-{time.strftime('%Y%m%d-%H%M%S')}")
    request = BacktestRequest(
        operation_id=target.name,
        model=folder.name,
        folders=tuple(model_folders(folder)),
        symbols=(symbols,) if isinstance(symbols, str) else tuple(symbols),
        start=_parse_day(start),
        end=_parse_day(end),
        output=target.resolve(),
        allows_overlap=allow_overlap,
        settings=set or {},
    )
    with closing(Ledger(opened.ledger, Door.PYTHON)) as ledger:
        read_bars, read_table = BarStore(opened.bars).read_stored, TableStore(opened.tables).read
        results = run_backtest(request, read_bars, ledger, read_table=read_table)
    assert results is not None  # nobody stops it
    return results.under(target)


@overload
def explain(
    training: Training | Path | str,
    *,
    repeats: int = ...,
    drop_one: Literal[False] = ...,
    output: Path | None = ...,
    home: Path | str | None = ...,
) -> ExplanationResults: ...


@overload
def explain(
    training: Training | Path | str,
    *,
    drop_one: Literal[True],
    output: Path | None = ...,
    home: Path | str | None = ...,
) -> AblationResults: ...


def explain(
    training: Training | Path | str,
    *,
    repeats: int = 10,
    drop_one: bool = False,
    output: Path | None = None,
    home: Path | str | None = None,
) -> ExplanationResults | AblationResults:
    """Measure what a training, or a model's folder, loses where the features of each indicator are shuffled in time.

    With `drop_one` what it loses when it is trained again without each indicator. Each of these trainings is a try,
    which the home's ledger records.

    On its validation rows; of a training in folds the last fold's. `output` is where the plot goes, by default a new
    folder in the working directory. Sets torch's threads and seed for the process.

    Raises InputError, and the errors of `ktrdr.experiments.explain_model.run_explanation`; ConflictError where no
    indicator can be left out, or the bars have changed.
    """
    from ktrdr.experiments.explain_model import run_explanation
    from ktrdr.saved_models.reproduce import model_folders

    folder = training.folder if isinstance(training, Training) else Path(training)
    target = output or Path(f"{folder.name}-explanation-{time.strftime('%Y%m%d-%H%M%S')}")
    opened = _open_home(home)
    if drop_one:
        return _ablate(model_folders(folder)[-1], target, opened)
    read_bars, read_table = BarStore(opened.bars).read_stored, TableStore(opened.tables).read
    results = run_explanation(model_folders(folder)[-1], target.resolve(), repeats, read_bars, read_table=read_table)
    assert results is not None  # nobody stops it
    return results.under(target)


def _ablate(model: Path, target: Path, source: Home) -> AblationResults:
    """Train the model without each indicator; the models lie in `target`, beside a copy of the model itself."""
    from ktrdr.jobs.ablation_plan import ablation_job
    from ktrdr.jobs.in_process import run_in_process
    from ktrdr.payloads.ablations import AblationResults
    from ktrdr.saved_models.reproduce import read_card
    from ktrdr.saved_models.trained_on import TrainedOn, bars_as_trained

    bars_as_trained(TrainedOn.of(read_card(model)).series, BarStore(source.bars).read_stored)
    place = Home(target.resolve(), source.root)
    job = ablation_job(model.name, model)
    shutil.copytree(model, place.models / model.name, ignore=shutil.ignore_patterns(CHECKPOINTS))
    outcome = run_in_process(job, target.name, place)
    return AblationResults.model_validate(outcome.results).under(target)


def follow(
    training: Training | Path | str,
    symbols: str | Sequence[str] = (),
    *,
    every: timedelta = timedelta(minutes=15),
    load: bool = True,
    receivers: Sequence[Receiver] = (),
    replay: Path | str | None = None,
    home: Path | str | None = None,
) -> Iterator[PredictionRow]:
    """Record what a training, or a model's folder, predicts at each close, before the outcome exists.

    Yields each row once it is durable and `receivers` (see `ktrdr.follows.receivers`) were sent it, without an end;
    close the iterator to end the follow. Of a training in folds the last model is followed. `symbols` are those of the
    training by default; `load` asks their providers for bars at each close, and after `every` at the latest. With
    `replay`, a folder, the stored bars after the training are taken one at a time as if each arrived, and the iterator
    ends with them. Sets torch's threads and seed for the process.

    Raises InputError, and the errors of `ktrdr.follows.request.open_follow`.
    """
    from ktrdr.follows.request import FollowRequest, open_follow
    from ktrdr.market.providers import Sources
    from ktrdr.payloads.follows import PredictionRow

    request = FollowRequest(
        model=training.folder if isinstance(training, Training) else Path(training),
        symbols=(symbols,) if isinstance(symbols, str) else tuple(symbols),
        every=every,
        loads=load and replay is None,
        receivers=tuple(receivers),
        replay=Path(replay) if replay else None,
    )
    with open_follow(request, _open_home(home), Sources.of(read_settings()), _log.warning) as following:
        for stored in following.live() if replay is None else following.replay():
            assert isinstance(stored.row, PredictionRow)
            yield stored.row


def verify_follow(
    training: Training | Path | str, *, replay: Path | str | None = None, home: Path | str | None = None
) -> FollowVerification:
    """Check the rows of a follow, and compute each prediction again from the stored bars, bit for bit.

    `replay` is the folder of a replay. Raises StorageError where the chain is broken, and the errors of
    `ktrdr.follows.followed_model.FollowedModel.load`.
    """
    from ktrdr.follows.request import folder_of, open_model, source_of
    from ktrdr.follows.verification import verify

    opened = _open_home(home)
    model = open_model(training.folder if isinstance(training, Training) else Path(training))
    return verify(folder_of(model, opened, Path(replay) if replay else None), model, source_of(model, opened))


def follow_report(
    training: Training | Path | str, *, replay: Path | str | None = None, home: Path | str | None = None
) -> FollowReport:
    """The predictions of a follow with their outcomes, and the sequential test, which may be looked at at any time.

    The look is recorded in the home's ledger. Raises as `verify_follow`, and SeriesNotFound.
    """
    from ktrdr.follows.outcomes import report
    from ktrdr.follows.request import folder_of, open_model, source_of
    from ktrdr.ledger.store import Ledger
    from ktrdr.payloads.looks import Door

    opened = _open_home(home)
    model = open_model(training.folder if isinstance(training, Training) else Path(training))
    folder = folder_of(model, opened, Path(replay) if replay else None)
    with closing(Ledger(opened.ledger, Door.PYTHON)) as ledger:
        return report(folder, model, source_of(model, opened), ledger)


def looks(*, home: Path | str | None = None) -> pl.DataFrame:
    """The ledger: one row for each look at held-out rows, in the order in which they were opened.

    `account` is the id of the first look at the same bars, whatever these were called. Columns are those of
    `ktrdr.payloads.looks.Look` and `LookFigures`, but for its tests; figures of looks that never came to an end are
    null. Raises StorageError.
    """
    import polars as pl

    from ktrdr.ledger.store import Ledger
    from ktrdr.payloads.looks import Look, LookFigures

    tests = {"tests", "against_zero", "against_holding"}
    about = [name for name in Look.model_fields if name != "figures"]
    figures = [name for name in LookFigures.model_fields if name not in tests]
    with closing(Ledger(_open_home(home).ledger)) as ledger:
        accounts = ledger.accounts()
    rows = [
        (account.account_id, *(getattr(look, name) for name in about), *_figures(look, figures))
        for account in accounts
        for look in account.entries
    ]
    table = pl.DataFrame(rows, schema=["account", *about, *figures], orient="row", infer_schema_length=None)
    return table.sort("opened_at", maintain_order=True)


def _figures(look: Look, names: Sequence[str]) -> list[object]:
    return [getattr(look.figures, name, None) for name in names]


def runs(
    query: str = "",
    *,
    where: str | Sequence[str] = (),
    sort: str | Sequence[str] = (),
    columns: Sequence[str] = (),
    limit: int | None = None,
    home: Path | str | None = None,
) -> pl.DataFrame:
    """All trainings, folds and trials of a home as `ktrdr runs` lists them: one row each, one column a setting.

    `where` are conditions such as "training.learning_rate<0.01", `sort` columns such as "-lead"; newest first by
    default, and all columns that have values. Reads the registry itself, so no server need run; one may.
    Raises InputError and StorageError.
    """
    from ktrdr.run_table.frame import frame_of
    from ktrdr.run_table.home import read_home
    from ktrdr.run_table.query import EVERY, Condition, Order, RunQuery

    settings, opened = read_settings(), _open_home(home)
    asked = RunQuery(
        text=query,
        where=[Condition.parse(each) for each in ([where] if isinstance(where, str) else where)],
        order=Order.parse([sort] if isinstance(sort, str) else sort),
        columns=tuple(columns) or EVERY,
        limit=sys.maxsize if limit is None else limit,
    )
    database_url = "" if home else settings.ktrdr_database_url
    return frame_of(read_home(opened.registry, database_url).select(asked))


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

    text = with_settings(_strategy_text(strategy), set or {})
    catalogue = IndicatorCatalogue()
    space = load_search(text, catalogue)
    chosen = on_timeframes(space.strategy, timeframes)
    on_bars = StrategyOnBars(
        strategy=text,
        strategy_name=chosen.slug,
        model_type=chosen.model.type,
        symbols=(symbols,) if isinstance(symbols, str) else tuple(symbols),
        timeframes=chosen.timeframes,
        start=_parse_day(start),
        end=_parse_day(end),
        plugins=catalogue.plugins().recorded(),
    )
    source = _open_home(home)
    for symbol in on_bars.symbols:
        BarStore(source.bars).info(symbol, chosen.timeframes[0])
    folder = (output or _new_folder(chosen)).resolve()
    outcome = run_in_process(search_job(space, on_bars), folder.name, Home(folder, source.root))
    return Search(SearchResults.model_validate(outcome.results).under(folder), folder)


def _new_folder(strategy: Strategy) -> Path:
    """In the working directory, named after the strategy and the time."""
    return Path(f"{strategy.slug}-{datetime.now(UTC):%Y%m%d-%H%M%S}")


def _load_strategy(
    strategy: Strategy | str | Path, timeframes: Sequence[str], settings: Mapping[str, Any] = MappingProxyType({})
) -> tuple[Strategy, str]:
    """The strategy on its timeframes, and its YAML text. Raises StrategyError and InputError."""
    text = with_settings(_strategy_text(strategy), settings)
    return on_timeframes(load_strategy(text, IndicatorCatalogue()), timeframes), text


def _strategy_text(strategy: Strategy | str | Path) -> str:
    """Raises InputError for a file that cannot be read."""
    if isinstance(strategy, Strategy):
        return strategy.model_dump_json(exclude_none=True)  # JSON is YAML
    return _read_text(Path(strategy)) if isinstance(strategy, Path) or "\n" not in strategy else strategy


def _read_bars(
    strategy: Strategy, symbols: Sequence[str], start: Day, end: Day, home: Path | str | None
) -> dict[str, SymbolBars]:
    """Read each symbol's bars of every timeframe, and what its features read beside them.

    Raises SeriesNotFound and TableNotFound.
    """
    opened, names = _open_home(home), strategy.timeframes
    read = BarStore(opened.bars).read_ahead(symbols, names, _parse_day(start), _parse_day(end))
    bars = {symbol: SymbolBars.of({each: read(symbol, each) for each in names}) for symbol in symbols}
    return with_other_series(strategy, bars, read, TableStore(opened.tables).read)


def _open_home(home: Path | str | None) -> Home:
    return Home(Path(home) if home else read_settings().ktrdr_home)


def _parse_day(day: Day) -> date | None:
    """Raises InputError."""
    if not isinstance(day, str):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise InputError(f"{day!r} is not a date", hint="write YYYY-MM-DD") from None


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="check the folder and the name") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", hint="pass a path, YAML text or a Strategy") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
