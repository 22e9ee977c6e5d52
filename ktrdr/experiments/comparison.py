"""Compares trained models by a paired test on the rows that all of them have predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from ktrdr.evaluation.evaluate import level_for
from ktrdr.evaluation.evaluated_rows import EvaluatedRows
from ktrdr.evaluation.shared_rows import shared_rows
from ktrdr.evaluation.significance import difference
from ktrdr.formatting import count, p_value, percentage, points, score
from ktrdr.payloads.comparison import Comparison, InputDifference, PairedTest, RowsComparison

Floats = NDArray[np.float64]
PartName = Literal["validation", "test"]
_PARTS: tuple[PartName, ...] = ("test", "validation")


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """One model, or the models of all folds of a training.

    name: what people call it
    inputs: what went into it, by its path
    timeframe: of its samples
    rows: what it predicted, by part; a part that was not evaluated, or not stored, is missing
    """

    operation_id: str
    name: str
    inputs: Mapping[str, JsonValue]
    timeframe: str
    rows: Mapping[PartName, EvaluatedRows]


def compare(models: Sequence[ComparedModel]) -> Comparison:
    rows, reason = _compare_rows(models)
    winner = _winner(rows) if rows else None
    return Comparison(
        models=tuple(model.operation_id for model in models),
        inputs=tuple(_differing_inputs(models)),
        rows=rows,
        winner=winner,
        verdict=_verdict(models, rows, winner) if rows else reason,
    )


def _differing_inputs(models: Sequence[ComparedModel]) -> Iterator[InputDifference]:
    for name in dict.fromkeys(name for model in models for name in model.inputs):
        values = tuple(model.inputs.get(name) for model in models)
        if any(value != values[0] for value in values):
            yield InputDifference(name=name, values=values)


# The same rows.


def _compare_rows(models: Sequence[ComparedModel]) -> tuple[RowsComparison | None, str]:
    """The test on the first part that has rows in common; or None, and why there is none."""
    if reason := _unlike(models):
        return None, reason
    for part in _PARTS:
        own = [model.rows[part] for model in models if part in model.rows]
        if len(own) == len(models):
            shared, unlike = shared_rows(own)
            if len(shared[0]):
                return _test(models, part, shared, unlike), ""
    return None, "The models share no evaluated rows: other symbols, other dates, or other labels throughout."


def _unlike(models: Sequence[ComparedModel]) -> str:
    """Why the models can share no rows, or an empty text."""
    if silent := [model.name for model in models if not model.rows]:
        have = "has" if len(silent) == 1 else "have"
        return (
            f"{', '.join(silent)} {have} no stored predictions: not evaluated yet, or trained by a version that did "
            "not store them. Train again to compare."
        )
    if len({model.timeframe for model in models}) > 1:
        each = ", ".join(f"{model.name} {model.timeframe}" for model in models)
        return f"The models share no rows, as their samples are of other timeframes: {each}."
    if len({next(iter(model.rows.values())).class_names for model in models}) > 1:
        each = ", ".join(f"{model.name} {_labels_in_words(model)}" for model in models)
        return f"The models share no labels: {each}."
    if settings := [each for each in _differing_inputs(models) if each.name.startswith("labels.")]:
        each = ", ".join(f"{one.name} {' and '.join(map(str, one.values))}" for one in settings)
        return f"The models do not predict the same labels: {each}."
    return ""


def _labels_in_words(model: ComparedModel) -> str:
    names = next(iter(model.rows.values())).class_names
    return f"predicts {', '.join(names)}" if names else "predicts a number"


# The test.


def _test(
    models: Sequence[ComparedModel], part: PartName, rows: Sequence[EvaluatedRows], unlike: int
) -> RowsComparison:
    first = rows[0]
    qualities = [_quality(each) for each in rows]
    best = max(range(len(rows)), key=lambda index: qualities[index].mean())
    level = level_for(part) / (len(rows) * (len(rows) - 1) / 2)
    sign = -1.0 if first.is_regression else 1.0
    return RowsComparison(
        part=part,
        measure="mse" if first.is_regression else "accuracy",
        samples=len(first),
        unlike=unlike,
        first=first.timestamps.min().astype("datetime64[s]").item(),
        last=first.timestamps.max().astype("datetime64[s]").item(),
        scores=tuple(sign * float(quality.mean()) for quality in qualities),
        level=level,
        tests=tuple(
            PairedTest(
                first=models[best].operation_id,
                second=model.operation_id,
                test=difference(qualities[best], quality, first.scored.sampling, level),
            )
            for index, (model, quality) in enumerate(zip(models, qualities, strict=True))
            if index != best
        ),
    )


def _quality(rows: EvaluatedRows) -> Floats:
    """[samples], as models are judged by; squared errors in variances of these rows' labels, the same for all."""
    quality = rows.quality(rows.model)
    if not rows.is_regression:
        return quality
    variance = float(np.var(rows.labels * rows.scales))
    return quality * rows.scales**2 / (variance or 1.0)


def _winner(rows: RowsComparison) -> str | None:
    is_ahead = all(pair.test.difference > 0 and pair.test.p_value < rows.level for pair in rows.tests)
    return rows.tests[0].first if is_ahead else None


# In words.


def _verdict(models: Sequence[ComparedModel], rows: RowsComparison, winner: str | None) -> str:
    names = {model.operation_id: model.name for model in models}
    scores = dict(zip(names, rows.scores, strict=True))
    best = names[rows.tests[0].first]
    nearest = max(rows.tests, key=lambda pair: pair.test.p_value)
    figures = f"{_figure(rows, scores[nearest.first])} against {_figure(rows, scores[nearest.second])}"
    what = f"{_MEASURES[rows.measure]} on the same {count(rows.samples)} {rows.part} rows: {figures}"
    chance = f"p = {p_value(nearest.test.p_value)}, at a significance level of {100 * rows.level:.2g}%"
    if winner and len(models) > 2:
        nearest_one = f"of {names[nearest.second]}, the nearest ({chance})"
        first = f"{best} is ahead of all others beyond chance in {what} {nearest_one}."
    elif winner:
        first = f"{best} is ahead of {names[nearest.second]} beyond chance in {what} ({chance})."
    elif nearest.test.difference == 0:
        first = f"{best} and {names[nearest.second]} are level in {what}."
    else:
        first = f"{best} is ahead of {names[nearest.second]} in {what}, but the difference may be chance ({chance})."
    return " ".join([first, _error(rows, nearest), *_choice(rows), *_unlike_rows(rows)])


_MEASURES = {"accuracy": "accuracy", "mse": "squared error"}


def _figure(rows: RowsComparison, value: float) -> str:
    return percentage(value) if rows.measure == "accuracy" else score(value)


def _error(rows: RowsComparison, pair: PairedTest) -> str:
    low, high = pair.test.interval
    confidence = f"with {100 * (1 - rows.level):.4g}% confidence"
    if rows.measure == "mse":
        return f"The difference is {score(low)} to {score(high)} label variances {confidence}."
    return f"The difference is {points(low)} to {points(high)} percentage points {confidence}."


def _choice(rows: RowsComparison) -> Iterator[str]:
    if rows.part == "validation":
        yield "Each model's best epoch was selected on its validation rows, which flatters all of them."


def _unlike_rows(rows: RowsComparison) -> Iterator[str]:
    if rows.unlike:
        yield f"{count(rows.unlike)} more rows are left out, as the models' labels differ there."
