"""Computes every prediction of a follow again from the stored bars, and says which cannot be confirmed, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ktrdr.errors import KtrdrError
from ktrdr.follows.bars_read import cut, known_at
from ktrdr.follows.chain import StoredRow, read_chain
from ktrdr.follows.followed_model import FollowedModel
from ktrdr.follows.sources import StoredSource
from ktrdr.formatting import counted
from ktrdr.market.bars import VALUES
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.follows import (
    GENESIS,
    FollowVerification,
    ModelRow,
    PredictionRow,
    ReadSeries,
    RowFinding,
    RowReport,
)
from ktrdr.saved_models.predict import closed_bars


@dataclass(frozen=True, slots=True)
class _Prediction:
    """A row of the chain with its line."""

    line: int
    row: PredictionRow


def verify(folder: Path, model: FollowedModel, source: StoredSource) -> FollowVerification:
    """Check the chain in `folder`, and each prediction bit by bit.

    Raises StorageError where the chain is broken, with the line.
    """
    stored = list(read_chain(folder))
    predictions = [_Prediction(each.line, each.row) for each in stored if isinstance(each.row, PredictionRow)]
    symbols = dict.fromkeys(each.row.symbol for each in predictions)
    reports = [
        *_foreign(stored, model),
        *(
            report
            for symbol in symbols
            for report in _verify_symbol(model, source, [each for each in predictions if each.row.symbol == symbol])
        ),
    ]
    unconfirmed = {report.row for report in reports}
    return FollowVerification(
        model=model.model_id,
        rows=len(stored),
        predictions=len(predictions),
        late=sum(each.row.late for each in predictions),
        identical=sum(each.line not in unconfirmed for each in predictions),
        head=stored[-1].sha256 if stored else GENESIS,
        findings=tuple(sorted(reports, key=lambda report: report.row)),
    )


def _foreign(stored: Sequence[StoredRow], model: FollowedModel) -> Iterator[RowReport]:
    """Rows that do not name the model before them, or that another model wrote."""
    current: ModelRow | None = None
    for each in stored:
        if isinstance(each.row, ModelRow):
            current = each.row
        elif current is None or each.row.fingerprint != current.fingerprint:
            yield _report(_Prediction(each.line, each.row), "differs", "it names another model than the row before it")
        elif (current.fingerprint, current.weights_sha256) != (model.fingerprint, model.weights_sha256):
            yield _report(_Prediction(each.line, each.row), "missing", f"it is of another model: {current.model}")


def _verify_symbol(
    model: FollowedModel, source: StoredSource, predictions: Sequence[_Prediction]
) -> Iterator[RowReport]:
    try:
        bars = closed_bars(model.strategy, source.read(predictions[0].row.symbol).bars)
        again = _recomputed(model, bars, predictions)
    except KtrdrError as error:
        yield from (_report(each, "missing", error.detail) for each in predictions)
        return
    before: PredictionRow | None = None
    for each in predictions:
        if report := _compare(model, bars, each, again.get(each.row.opens_at), before):
            yield report
        before = each.row


def _recomputed(
    model: FollowedModel, bars: SymbolBars, predictions: Sequence[_Prediction]
) -> Mapping[datetime, PredictionRow]:
    """By the opening of the bar, computed together on the bars up to the last one."""
    rows = [each.row for each in predictions]
    until = known_at(model.strategy, closed_bars(model.strategy, bars, rows[-1].closes_at))
    stamps = until[model.strategy.timeframes[0]]["timestamp"]
    last = int((stamps >= rows[0].opens_at).sum())
    found = model.predict(rows[0].symbol, until, last, rows[0].written_at) if last else []
    return {row.opens_at: row for row in found}


def _compare(
    model: FollowedModel, bars: SymbolBars, own: _Prediction, again: PredictionRow | None, before: PredictionRow | None
) -> RowReport | None:
    """None where the row is confirmed; `before` is the symbol's row before it."""
    row = own.row
    if again is None:
        return _report(own, "missing", "the stored bars have no such bar, or no whole window before it")
    if again.read == row.read and _content(again) == _content(row):
        return None
    # Bars of another timeframe may have come later, and more bars may change a guessed calendar.
    then = _as_of(model, bars, row)
    if then is None or then.read != row.read or then.bar != row.bar:
        return _report(own, "revised", _revision(row, again, before))
    return None if _content(then) == _content(row) else _report(own, "differs", _difference(row, then))


def _as_of(model: FollowedModel, bars: SymbolBars, row: PredictionRow) -> PredictionRow | None:
    """The row made of the bars that it says it read; None where they cannot carry it."""
    try:
        rows = model.predict(row.symbol, cut(bars, row.read), 1, row.written_at)
    except KtrdrError:
        return None
    return rows[0] if rows[0].opens_at == row.opens_at else None


def _content(row: PredictionRow) -> tuple[object, ...]:
    """What must be the same to the bit."""
    return row.bar, row.outputs, row.predicted, row.probabilities, row.baselines, row.closes_at, row.signal_id


def _revision(row: PredictionRow, again: PredictionRow, before: PredictionRow | None) -> str:
    """Which bar was revised since the row was written."""
    if again.bar != row.bar:
        changed = [
            f"{name} {float.fromhex(then):.10g} → {float.fromhex(now):.10g}"
            for name, then, now in zip(VALUES, row.bar, again.bar, strict=True)
            if then != now
        ]
        return f"the bar of {row.opens_at:%Y-%m-%d %H:%M} was revised since: {', '.join(changed)}"
    names = [name for name, own in row.read.items() if again.read.get(name) != own]
    series = ", ".join(f"{name} ({_counts(row.read[name], again.read[name])})" for name in names)
    since = f", after {before.opens_at:%Y-%m-%d %H:%M} or revised with it" if before else ""
    return f"an earlier bar was revised, removed or put in since: {series}{since}"


def _counts(then: ReadSeries, now: ReadSeries) -> str:
    return counted(then.rows, "row") if then.rows == now.rows else f"{counted(then.rows, 'row')} then, {now.rows:,} now"


def _difference(row: PredictionRow, again: PredictionRow) -> str:
    values = zip(row.outputs, again.outputs, strict=False)
    size = max((abs(float.fromhex(one) - float.fromhex(other)) for one, other in values), default=0.0)
    return f"on the same bars the model says {again.predicted} now, not {row.predicted}; outputs differ by {size:.2g}"


def _report(own: _Prediction, finding: RowFinding, detail: str) -> RowReport:
    return RowReport(row=own.line, symbol=own.row.symbol, closes_at=own.row.closes_at, finding=finding, detail=detail)
