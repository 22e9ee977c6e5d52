"""Accounts of made-up looks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.returns import mean_return
from ktrdr.evaluation.sampling import Sampling
from ktrdr.evaluation.significance import lead_from_gains
from ktrdr.ledger.account import Account
from ktrdr.ledger.series import LookSeries
from ktrdr.payloads.looks import TIMING, Door, Look, LookFigures, LookKind

Floats = NDArray[np.float64]

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
PER_YEAR = 252.0


def made_series(
    gains: dict[str, Floats],
    agreement: Floats,
    returns: Floats | None = None,
    held: Floats | None = None,
    first: int = 0,
) -> LookSeries:
    """One sample at each daily instant from day `first` on; labels span one bar."""
    count = len(agreement)
    days = np.datetime64("2020-01-01", "us") + (first + np.arange(count)) * np.timedelta64(1, "D")
    nothing = np.empty(0, np.float32)
    return LookSeries(
        instants=days,
        samples=np.ones(count, np.float32),
        gains={name: values.astype(np.float32) for name, values in gains.items()},
        agreement=agreement.astype(np.float32),
        lag=0,
        span=1.0,
        periods=days[:0] if returns is None else days,
        returns=nothing if returns is None else returns.astype(np.float32),
        held=nothing if held is None else held.astype(np.float32),
    )


def figures_of(series: LookSeries, *, is_regression: bool = False) -> LookFigures:
    sampling = Sampling(np.arange(len(series.instants)), 0)
    tests = {name: lead_from_gains(values.astype(np.float64), sampling) for name, values in series.gains.items()}
    tests[TIMING] = lead_from_gains(series.agreement.astype(np.float64), sampling)
    returns, held = series.returns.astype(np.float64), series.held.astype(np.float64)
    return LookFigures(
        ic=0.1 if is_regression else None,
        tests=tests,
        against_zero=mean_return(returns, PER_YEAR) if len(returns) else None,
        against_holding=mean_return(returns - held, PER_YEAR) if len(returns) else None,
        bars_per_year=PER_YEAR if len(returns) else None,
    )


def made_account(series: Sequence[LookSeries | None], *, is_regression: bool = False) -> Account:
    """Looks `look_name(0)`, `look_name(1)`, …; those without a series came to no end."""
    looks = tuple(
        _look(look_name(number), None if each is None else figures_of(each, is_regression=is_regression))
        for number, each in enumerate(series)
    )
    return Account(looks, looks, {look_name(number): each for number, each in enumerate(series) if each is not None})


def look_name(number: int) -> str:
    return f"look_20260101_{number:06}"


def _look(name: str, figures: LookFigures | None) -> Look:
    return Look(
        look_id=name,
        operation_id=f"op_training_{name[5:]}",
        door=Door.SERVER,
        kind=LookKind.TRAINING,
        part="validation",
        strategy_name="made-up",
        inputs_sha256=hashlib.sha256(name.encode()).hexdigest(),
        label="direction",
        timeframe="1d",
        symbols=("A",),
        first=OPENED,
        last=OPENED + timedelta(days=300),
        samples=300,
        opened_at=OPENED,
        closed_at=None if figures is None else OPENED,
        figures=figures,
        has_series=figures is not None,
    )
