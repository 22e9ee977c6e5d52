"""Checks samples, class balance, memory and time of every fold before a training begins.

Imports neither torch nor scikit-learn, so that a worker can call it before it imports them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import psutil

from ktrdr.errors import TrainingDataError
from ktrdr.evaluation.resolution import Dependence, Resolution, resolution
from ktrdr.evaluation.significance import VALIDATION_LEVEL, opening_level
from ktrdr.experiments.missing_bars import late_series, missing_bars, missing_series
from ktrdr.features.assemble import assemble
from ktrdr.features.checks import adjective
from ktrdr.features.panel import build_panel
from ktrdr.features.splits import fold_count
from ktrdr.formatting import percentage
from ktrdr.payloads.preflight import (
    FoldReport,
    FoldWarning,
    LeftOutSymbol,
    PartName,
    PartReport,
    PreflightReport,
    SymbolSamples,
)
from ktrdr.strategy.unused_keys import unused_keys

if TYPE_CHECKING:
    from ktrdr.features.dataset import Dataset, LeftOut, Part
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.throughput import Throughput

MIN_TRAINING_SAMPLES = 20
MIN_VALIDATION_SAMPLES = 5
# Independent ones, of the validation or test part.
ENOUGH_SAMPLES = 200
RARE_CLASS_SHARE = 0.02
MAX_PARAMETERS_PER_SAMPLE = 10

_FLOAT_BYTES = 4
# Weights, gradients and two moments; the best weights; a checkpoint's copies of weights, moments and best weights.
_COPIES_OF_WEIGHTS = 9
# Activations that a unit of a layer stores for one bar until the backward pass: an LSTM's gates, cell and output.
_NUMBERS_PER_UNIT = 8
_ROWS_VALIDATED_AT_ONCE = 1024

Measure = Callable[["Dataset"], "Throughput"]


def preflight(strategy: Strategy, dataset: Dataset, *, model_parameters: int, fold: int = 0) -> PreflightReport:
    """Check one fold with its dataset. `fold` counts from 0."""
    return _whole(strategy, [_inspect_fold(dataset, fold)], dataset, dataset, model_parameters)


def preflight_folds(
    strategy: Strategy, bars: Mapping[str, SymbolBars], measure: Measure | None = None
) -> PreflightReport:
    """Check every fold of a training from its bars. Features are computed once.

    `measure` trains briefly on the fold with the most training samples, and the times of all folds are estimated from
    it. Without it the report has no times and no count of parameters.

    Raises TrainingDataError when no fold can be trained, or when a feature is not finite.
    """
    panel = build_panel(strategy, bars)
    folds: list[FoldReport] = []
    failures: list[TrainingDataError] = []
    first = largest = None
    for fold in range(fold_count(strategy)):
        try:
            dataset = assemble(panel, fold)
        except TrainingDataError as error:
            failures.append(error)
            folds.append(_failed_fold(fold, error))
            continue
        folds.append(_inspect_fold(dataset, fold))
        first = first or dataset
        largest = max(largest or dataset, dataset, key=lambda candidate: len(candidate.train.labels))
    if first is None or largest is None:
        raise failures[0]
    throughput = measure(largest) if measure else None
    return _whole(strategy, folds, first, largest, throughput.parameters if throughput else 0, throughput)


def check_before_start(strategy: Strategy, bars: Mapping[str, SymbolBars]) -> PreflightReport:
    """Check every fold without measuring times. Raises TrainingDataError when any fold is hopeless."""
    report = preflight_folds(strategy, bars)
    report.check()
    return report


def _whole(
    strategy: Strategy,
    folds: Sequence[FoldReport],
    first: Dataset,
    largest: Dataset,
    parameters: int,
    throughput: Throughput | None = None,
) -> PreflightReport:
    epochs = strategy.training.epochs
    memory = throughput.peak_memory_bytes if throughput else _peak_memory(strategy, largest, parameters)
    available = psutil.virtual_memory().available + psutil.Process().memory_info().rss
    by_fold = tuple(_timed(fold, throughput, epochs) if throughput else fold for fold in folds)
    shown = next(each for each in by_fold if each.parts)
    fewest = min(each.parts[0].samples for each in by_fold if each.parts)
    return PreflightReport(
        symbols=tuple(SymbolSamples.model_validate(each, from_attributes=True) for each in first.coverage),
        left_out=shown.left_out,
        parts=shown.parts,
        features=len(first.feature_names),
        window=first.sequence_length,
        parameters=parameters,
        parameters_per_sample=parameters / fewest,
        peak_memory_bytes=memory,
        available_memory_bytes=available,
        epoch_seconds=shown.epoch_seconds,
        total_seconds=sum(each.total_seconds or 0.0 for each in by_fold) if throughput else None,
        folds=len(by_fold),
        by_fold=by_fold,
        errors=tuple(_errors(by_fold)),
        warnings=(
            *_warnings_of_the_model(parameters, fewest, memory, available),
            *missing_bars(first),
            *missing_series({each.symbol: each.shortfalls for each in first.coverage}),
            *late_series(first),
            *map(str, unused_keys(strategy)),
            *_warnings(by_fold),
        ),
    )


def _errors(folds: Sequence[FoldReport]) -> Iterator[str]:
    for fold in folds:
        yield from (f"fold {fold.fold}: {text}" if len(folds) > 1 else text for text in fold.errors)


def _warnings(folds: Sequence[FoldReport]) -> Iterator[str]:
    """One sentence for all folds with the same warning, with the numbers of the first."""
    by_subject: dict[str, list[tuple[int, str]]] = {}
    for fold in folds:
        for warning in fold.warnings:
            by_subject.setdefault(warning.about, []).append((fold.fold, warning.text))
    for (first, text), *others in by_subject.values():
        if len(folds) == 1:
            yield text
        elif len(others) == len(folds) - 1:
            yield f"all folds, as fold {first}: {text}"
        elif others:
            yield f"fold {first}, and likewise {', '.join(str(fold) for fold, _ in others)}: {text}"
        else:
            yield f"fold {first}: {text}"


def _warnings_of_the_model(parameters: int, samples: int, memory: int, available: int) -> Iterator[str]:
    """`samples` is the smallest number of training samples of any fold."""
    if parameters > MAX_PARAMETERS_PER_SAMPLE * samples:
        yield (
            f"the model has {parameters:,} parameters for {samples:,} training samples, "
            f"{parameters / samples:,.0f} for each: it can memorise them"
        )
    if memory > available:
        yield f"about {memory / 1e9:.1f} GB of memory are needed, and {available / 1e9:.1f} GB are free"


def _inspect_fold(dataset: Dataset, fold: int) -> FoldReport:
    named, dependence = dict(_named_parts(dataset)), Dependence.of(dataset)
    resolutions = {
        name: resolution(dataset, part, opening_level(1) if name == "test" else VALIDATION_LEVEL, dependence)
        for name, part in named.items()
    }
    parts = tuple(_part(dataset, name, part, resolutions[name]) for name, part in named.items())
    return FoldReport(
        fold=fold + 1,
        parts=parts,
        left_out=tuple(LeftOutSymbol.model_validate(each, from_attributes=True) for each in dataset.left_out),
        epoch_seconds=None,
        total_seconds=None,
        errors=tuple(_hopeless_parts(parts, dataset.is_regression)),
        warnings=(
            *_left_out(dataset.left_out),
            *_thin_parts(resolutions),
            *(() if dataset.is_regression else _rare_classes(parts)),
        ),
    )


def _failed_fold(fold: int, error: TrainingDataError) -> FoldReport:
    return FoldReport(
        fold=fold + 1,
        parts=(),
        left_out=(),
        epoch_seconds=None,
        total_seconds=None,
        errors=(error.detail,),
        warnings=(),
    )


def _timed(fold: FoldReport, throughput: Throughput, epochs: int) -> FoldReport:
    if not fold.parts:
        return fold
    train, validation, *_ = fold.parts
    epoch_seconds = throughput.epoch_seconds(train.samples, validation.samples)
    total_seconds = throughput.setup_seconds + epochs * epoch_seconds
    return fold.model_copy(update={"epoch_seconds": epoch_seconds, "total_seconds": total_seconds})


def _named_parts(dataset: Dataset) -> Iterator[tuple[PartName, Part]]:
    yield "train", dataset.train
    yield "validation", dataset.validation
    if dataset.test is not None:
        yield "test", dataset.test


def _part(dataset: Dataset, name: PartName, part: Part, resolution: Resolution) -> PartReport:
    samples = len(part.labels)
    names: Sequence[str] = dataset.class_names
    labels = part.labels.astype(np.int64)
    if dataset.is_regression:
        names, labels = ("not above 0", "above 0"), (part.measures > 0).astype(np.int64)
    counts = np.bincount(labels, minlength=len(names))
    return PartReport(
        part=name,
        samples=samples,
        first=part.timestamps.min().astype("datetime64[s]").item(),
        last=part.timestamps.max().astype("datetime64[s]").item(),
        shares={each: float(count / samples) for each, count in zip(names, counts, strict=True)},
        resolution=resolution.least,
        resolution_in="correlation" if dataset.is_regression else "accuracy",
        effective_samples=round(resolution.effective),
    )


def _peak_memory(strategy: Strategy, dataset: Dataset, parameters: int) -> int:
    """A rough estimate in bytes: present use, bars and samples included, plus weights and the largest batch."""
    model = strategy.model
    units = getattr(model, "hidden_size", 0) * getattr(model, "layers", 0) * dataset.sequence_length
    inputs = len(dataset.feature_names) * dataset.sequence_length
    trained = min(strategy.training.batch_size, len(dataset.train.labels)) * (units * _NUMBERS_PER_UNIT + inputs)
    validated = min(_ROWS_VALIDATED_AT_ONCE, len(dataset.validation.labels)) * (units + inputs)
    numbers = parameters * _COPIES_OF_WEIGHTS + max(trained, validated)
    return int(psutil.Process().memory_info().rss + numbers * _FLOAT_BYTES)


def _hopeless_parts(parts: Sequence[PartReport], is_regression: bool) -> Iterator[str]:
    for part, fewest in zip(parts, (MIN_TRAINING_SAMPLES, *[MIN_VALIDATION_SAMPLES] * 2), strict=False):
        if part.samples < fewest:
            few = f"there are {part.samples} {adjective(part.part)} samples"
            yield f"{few}; at least {fewest} are needed"
        elif not is_regression and (only := _only_class(part)):
            yield f"all {part.samples} {adjective(part.part)} samples are of the class {only!r}"


def _only_class(part: PartReport) -> str | None:
    present = [name for name, share in part.shares.items() if share]
    return present[0] if len(present) == 1 else None


def _left_out(symbols: Iterable[LeftOut]) -> Iterator[FoldWarning]:
    """One warning for all symbols that lack the same parts."""
    by_parts: dict[tuple[PartName, ...], list[LeftOut]] = {}
    for each in symbols:
        by_parts.setdefault(each.parts, []).append(each)
    for parts, group in by_parts.items():
        named = ", ".join(f"{each.symbol} (bars from {each.first.date()} to {each.last.date()})" for each in group)
        lack = f"no {' and no '.join(parts)} samples"
        text = f"left out without training samples: {named}" if "train" in parts else f"{lack}: {named}"
        yield FoldWarning(about=text, text=text)


def _thin_parts(resolutions: Mapping[PartName, Resolution]) -> Iterator[FoldWarning]:
    for name, own in resolutions.items():
        if name != "train" and (own.effective < ENOUGH_SAMPLES or own.is_hopeless):
            yield FoldWarning(about=f"{name} samples", text=own.sentence(name))


def _rare_classes(parts: Sequence[PartReport]) -> Iterator[FoldWarning]:
    for part in parts:
        for name, share in part.shares.items():
            if share < RARE_CLASS_SHARE:
                yield FoldWarning(
                    about=f"{part.part} class {name}",
                    text=f"the class {name!r} has {percentage(share)} of the {adjective(part.part)} samples",
                )
