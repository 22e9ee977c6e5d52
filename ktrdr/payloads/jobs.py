"""What an operation is to do: one model for each kind of work, as it is stored and as a worker gets it.

A job names things relative to the home: models and operations by their ids, bars by symbol and timeframe. So a home
that was moved or copied works where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import accumulate
from pathlib import PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from ktrdr.errors import StorageError
from ktrdr.payloads.files import FileReading
from ktrdr.payloads.plugins import Plugins
from ktrdr.payloads.search import Objective, Parameters, Rung
from ktrdr.payloads.unsealing import MOST_OF_WHO
from ktrdr.timeframe import Timeframe

VERSION = 1

Metadata = dict[str, Any]
"""What an operation's record shows of its job."""


class Job(BaseModel):
    """The base of all jobs; `part` is the job's index within the plan that it is a part of, if it is one."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    version: int = VERSION
    kind: str
    part: int | None = None

    def describe(self) -> Metadata:
        """What the operation's record shows."""
        raise NotImplementedError

    def uses(self, symbol: str, timeframe: str) -> bool:
        """Whether it reads or writes this series of bars."""
        raise NotImplementedError

    @property
    def shares_worker(self) -> bool:
        """Whether its worker may go on with another such job."""
        return False


class StrategyOnBars(BaseModel):
    """A strategy and the stored bars that it is to meet.

    strategy: the YAML text as it was sent
    strategy_name: the name under which people know it
    model_type: the strategy's `model.type`
    symbols, timeframes: of the bars; the first timeframe is that of the samples
    start, end: the days that bars are taken from, both inclusive; None for no bound
    plugins: what the files of plugins declared when the work was asked for
    other_series: bars of other symbols that features read, such as `SPY 1d`
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    strategy: str
    strategy_name: str
    model_type: str = ""
    symbols: tuple[str, ...]
    timeframes: tuple[str, ...]
    start: date | None = None
    end: date | None = None
    plugins: Plugins = Plugins()
    other_series: tuple[str, ...] = ()

    def describe(self) -> Metadata:
        return {
            "symbols": list(self.symbols),
            "timeframes": list(self.timeframes),
            "strategy": self.strategy_name,
            "model_type": self.model_type,
            "start_date": self.start.isoformat() if self.start else None,
            "end_date": self.end.isoformat() if self.end else None,
        }

    def uses(self, symbol: str, timeframe: str) -> bool:
        is_own = symbol in self.symbols and timeframe in self.timeframes
        return is_own or f"{symbol} {timeframe}" in self.other_series


class EpochsJob(StrategyOnBars, Job):
    """What trains by epochs: one model, or one for each fold.

    epochs: of each model, as many as the strategy asks for
    until: the epoch after which a training stops and keeps its checkpoint, so that another continues it
    trial: its number in a search, counted from 0; None for what is no trial
    parameters: of the trial, by their paths in the strategy, an indicator by the name that it declares
    parsed: what reading the strategy's YAML gives, for a trial, which need not read it again; else None
    """

    epochs: int | None = None
    until: int | None = None
    trial: int | None = None
    parameters: Parameters = Field(default_factory=dict)
    parsed: dict[str, Any] | None = None

    @property
    def last_epoch(self) -> int:
        """The epoch after which it stops at the latest."""
        epochs = self.epochs or 1
        return epochs if self.until is None else min(self.until, epochs)

    def describe(self) -> Metadata:
        of_trial = {"trial": self.trial, "parameters": dict(self.parameters)}
        return super().describe() | ({} if self.trial is None else of_trial)


class TrainingJob(EpochsJob):
    """One training, or one fold of a training in folds.

    fold: which of the folds that the strategy's validation makes, counted from 0
    folds: how many those are
    resume_from: the operation whose last checkpoint this one goes on from
    reproduces: the operation whose model this one is to make again
    bars_of: the operation whose bars this one trains on, without those that were stored later
    """

    kind: Literal["training"] = "training"
    fold: int = 0
    folds: int = 1
    resume_from: str | None = None
    reproduces: str | None = None
    bars_of: str | None = None

    def describe(self) -> Metadata:
        return super().describe() | ({"fold": self.fold + 1} if self.folds > 1 else {})

    @property
    def shares_worker(self) -> bool:
        return self.trial is not None


class FoldsJob(EpochsJob):
    """A training in folds: a plan, whose parts are the trainings of its folds.

    folds: how many there are
    completed: operations of an earlier attempt that are taken over as they are, by fold
    checkpoints: operations of an earlier attempt that folds go on from, by fold
    reproduces: the operations whose models the folds are to make again, by fold
    """

    kind: Literal["folds"] = "folds"
    folds: int
    completed: dict[int, str] = Field(default_factory=dict)
    checkpoints: dict[int, str] = Field(default_factory=dict)
    reproduces: dict[int, str] = Field(default_factory=dict)

    def describe(self) -> Metadata:
        return super().describe() | {"folds": self.folds}

    def training_of(self, fold: int) -> TrainingJob:
        own = {"epochs", "until", "trial", "parameters", "parsed", "folds"}
        shared = self.model_dump(include=set(StrategyOnBars.model_fields) | own)
        earlier, original = self.checkpoints.get(fold), self.reproduces.get(fold)
        return TrainingJob(**shared, fold=fold, part=fold, resume_from=earlier, reproduces=original)


class SearchJob(StrategyOnBars, Job):
    """A search: a plan, whose parts are trials, each a training or one in folds, and the winner's full training.

    strategy: the YAML text as it was sent, with its ranges and its `search` section
    sampler: where proposals come from
    objective: what is compared
    rungs: how many trials are trained up to which epoch; one rung where all are trained to their end
    taken_over: operations of an earlier attempt that count as they are, by the index of the part
    begun: what goes on from checkpoints of an earlier attempt, by the index of the part
    """

    kind: Literal["search"] = "search"
    sampler: str
    objective: Objective
    rungs: tuple[Rung, ...] = Field(min_length=1)
    taken_over: dict[int, str] = Field(default_factory=dict)
    begun: dict[int, TrainingJob | FoldsJob] = Field(default_factory=dict)

    @property
    def trials(self) -> int:
        """How many proposals are tried."""
        return self.rungs[0].trials

    @property
    def trial_parts(self) -> int:
        """The number of parts that are trials; the winner's full training comes after them."""
        return sum(rung.trials for rung in self.rungs)

    def rung(self, index: int) -> int:
        """The rung, counted from 0, that the part of this index belongs to."""
        ends = accumulate(rung.trials for rung in self.rungs)
        return next(number for number, end in enumerate(ends) if index < end)

    def describe(self) -> Metadata:
        return super().describe() | {"trials": self.trials, "objective": self.objective.value}


class AblationJob(StrategyOnBars, Job):
    """What a model loses without each of its indicators: a plan, whose parts are trainings that lack one.

    strategy: of the model, with all indicators
    model: the operation that trained it
    folder: the name of the model's folder below `models`; that of the last fold where the training was one in folds
    epochs: of each training
    fold, folds: as in `TrainingJob`; of the model in the folder
    trainings: how many there are
    taken_over: operations of an earlier attempt that count as they are, by the index of the part
    checkpoints: operations of an earlier attempt that trainings go on from, by the index of the part
    """

    kind: Literal["ablation"] = "ablation"
    model: str
    folder: str
    epochs: int
    fold: int = 0
    folds: int = 1
    trainings: int
    taken_over: dict[int, str] = Field(default_factory=dict)
    checkpoints: dict[int, str] = Field(default_factory=dict)

    def describe(self) -> Metadata:
        return super().describe() | {"model": self.model, "trials": self.trainings}


class PreflightJob(StrategyOnBars, Job):
    kind: Literal["preflight"] = "preflight"


class AuditJob(StrategyOnBars, Job):
    kind: Literal["audit"] = "audit"


class ModelJob(Job):
    """Work with a trained model.

    model: the operation that trained it
    folder: the name of the model's folder below `models`; that of the last fold where the training was one in folds
    about: what the record shows: symbols, timeframes and strategy
    """

    model: str
    folder: str
    symbols: tuple[str, ...] = ()
    timeframes: tuple[str, ...] = ()
    strategy: str = ""

    def describe(self) -> Metadata:
        return {
            "symbols": list(self.symbols),
            "timeframes": list(self.timeframes),
            "strategy": self.strategy,
            "model": self.model,
        }

    def uses(self, symbol: str, timeframe: str) -> bool:
        return symbol in self.symbols and timeframe in self.timeframes


class PredictionJob(ModelJob):
    """The model's predictions at the newest `last` closed bars of `symbol`."""

    kind: Literal["prediction"] = "prediction"
    symbol: str
    last: int

    def uses(self, symbol: str, timeframe: str) -> bool:
        return symbol == self.symbol and timeframe in self.timeframes


class ExportJob(ModelJob):
    kind: Literal["export"] = "export"
    format: Literal["onnx"] = "onnx"


class BacktestJob(ModelJob):
    """The model on bars of somebody's choice.

    folders: of a training in folds, the names of the folders of all folds, in order; else empty
    start, end: first and last day of the predicted bars, both inclusive; None for after the training, and to the end
    allows_overlap: whether bars may be predicted that the model was trained on
    settings: values of positions and costs by their places, in place of the strategy's own
    """

    kind: Literal["backtest"] = "backtest"
    folders: tuple[str, ...] = ()
    start: date | None = None
    end: date | None = None
    allows_overlap: bool = False
    settings: dict[str, Any] = Field(default_factory=dict)

    def describe(self) -> Metadata:
        return super().describe() | {
            "start_date": self.start.isoformat() if self.start else None,
            "end_date": self.end.isoformat() if self.end else None,
        }


class ExplanationJob(ModelJob):
    """What the model loses where the features of each indicator are shuffled, `repeats` times."""

    kind: Literal["explanation"] = "explanation"
    repeats: int = 10


class UnsealingJob(ModelJob):
    """The opening of the model's sealed test part, and the model's evaluation on it; `by` says who asked for it."""

    kind: Literal["unsealing"] = "unsealing"
    by: str = Field(min_length=1, max_length=MOST_OF_WHO)

    def describe(self) -> Metadata:
        return super().describe() | {"by": self.by}


class DataLoadJob(Job):
    """Bars into the store, from a provider or from a file that was sent.

    Where providers are reached is no part of it: such addresses may hold passwords, and the worker has the settings.

    start, end: the days asked for, both inclusive; None for no bound
    replace: drop what is stored of the series first
    clip: ask for as much as the provider has where it has less than was asked for
    filename: the sent file's own name; the file itself lies in the operation's folder
    content_sha256: of that file
    reading: what the user says about how the file is written
    calendar: name to be stored for the symbol; GUESS forgets the one that is, and empty leaves it
    """

    kind: Literal["data_load"] = "data_load"
    symbol: str
    timeframe: Timeframe
    provider: str
    start: date | None = None
    end: date | None = None
    replace: bool = False
    clip: bool = False
    filename: str | None = None
    content_sha256: str | None = None
    reading: FileReading = FileReading()
    calendar: str = ""

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_versions(cls, job: Any) -> Any:
        """They had the providers' addresses, and those of 0.1.0 columns and time zone by themselves."""
        if not isinstance(job, Mapping):
            return job
        rest = {name: value for name, value in job.items() if name not in ("columns", "timezone", "endpoints")}
        if not {"columns", "timezone"} & job.keys():
            return rest
        return {**rest, "reading": {"columns": job.get("columns", {}), "timezone": job.get("timezone", "")}}

    def describe(self) -> Metadata:
        return {
            "symbols": [self.symbol],
            "timeframes": [self.timeframe],
            "provider": self.provider,
            "start_date": self.start.isoformat() if self.start else None,
            "end_date": self.end.isoformat() if self.end else None,
        }

    def uses(self, symbol: str, timeframe: str) -> bool:
        return (symbol, timeframe) == (self.symbol, self.timeframe)


AnyJob = (
    TrainingJob
    | FoldsJob
    | SearchJob
    | AblationJob
    | PreflightJob
    | AuditJob
    | PredictionJob
    | ExportJob
    | BacktestJob
    | ExplanationJob
    | UnsealingJob
    | DataLoadJob
)

_adapter: TypeAdapter[AnyJob] = TypeAdapter(Annotated[AnyJob, Field(discriminator="kind")])


def parse_job(payload: Mapping[str, Any]) -> AnyJob:
    """The job in a stored payload, those of version 0.1.0 included. Raises StorageError."""
    version = payload.get("version", 0)
    if isinstance(version, int) and version > VERSION:
        raise StorageError(
            f"the job was written by a newer ktrdr (version {version}; this one reads {VERSION})",
            hint="run the newer ktrdr on this home",
        )
    try:
        return _adapter.validate_python(dict(payload) if version else _from_0_1_0(payload))
    except (ValidationError, KeyError, TypeError) as error:
        raise StorageError(f"the job cannot be read: {error}", hint="start the operation anew") from error


# What payloads of 0.1.0 hold besides: absolute folders, and what follows from the kind.
_DROPPED_FROM_0_1_0 = {"lane", "bars", "models", "part_of", "sources"}


def _from_0_1_0(payload: Mapping[str, Any]) -> Metadata:
    """Payloads of 0.1.0 have no version, name lanes instead of kinds, and operations by the paths of their folders."""
    job = {name: value for name, value in payload.items() if name not in _DROPPED_FROM_0_1_0 and value is not None}
    kinds = {"data": "data_load", "analysis": str(payload.get("kind", "")).lower()}
    lane: str = payload["lane"]
    job["kind"] = kinds.get(lane, lane)
    if "part_of" in payload:
        job |= {"part": payload["fold"], "folds": payload["fold"] + 2}
    if lane in ("folds", "analysis"):
        job.pop("fold", None)
    for name in ("resume_from", "folder"):
        if name in job:
            job[name] = PureWindowsPath(job[name]).name  # which reads slashes of both kinds
    return job
