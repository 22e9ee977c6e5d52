"""The looks in a home's ledger: who evaluated which model on which held-out rows, and what it came to."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, Field

from ktrdr.payloads.evaluation import Lead
from ktrdr.payloads.payload import BarInstant, Payload

TIMING = "timing"
"""The name of the test of timing among a look's tests."""


class Door(StrEnum):
    """Where a look came from."""

    SERVER = "server"
    PYTHON = "python"


class LookKind(StrEnum):
    """The work that evaluated the rows."""

    TRAINING = "training"
    FOLD = "fold"
    WHOLE = "whole"
    TRIAL = "trial"
    PREDICTION = "prediction"
    UNSEALING = "unsealing"
    BACKTEST = "backtest"
    FOLLOW = "follow"


class LookFigures(Payload):
    """What a look came to; a figure that its kind does not have is null."""

    accuracy: float | None = Field(None, description="Share of samples whose class, or sign, was predicted.")
    ic: float | None = Field(None, description="Information coefficient, of predicted numbers.")
    over: str | None = Field(None, description="The naive baseline that is hardest to beat.")
    lead: float | None = Field(
        None, description="Mean gain over that baseline: a share of samples, or training variances of error."
    )
    p_value: float | None = Field(
        None,
        description="The largest p-value of all tests of this look by itself: of each naive baseline, and of timing.",
    )
    sharpe: float | None = Field(None, description="Sharpe ratio of the backtest, a year.")
    total_return: float | None = Field(None, description="Return of the backtest after costs, as a share.")
    tests: dict[str, Lead] = Field(
        default_factory=dict,
        description="Its tests by themselves: against each naive baseline by its name, and `timing`.",
    )
    against_zero: Lead | None = Field(None, description="The test that the backtest's mean return exceeds zero.")
    against_holding: Lead | None = Field(None, description="The test that it exceeds that of holding.")
    bars_per_year: float | None = Field(None, description="Bars a year of the backtest.")


class Look(Payload):
    """One evaluation of a model on rows that it was not trained on."""

    look_id: str = Field(pattern="^look_[0-9]{8}_[0-9a-z]{6}$", description="The look's id.")
    operation_id: str = Field(
        description="Its operation, of an unsealing the training; or the folder of a training without a server."
    )
    door: Door = Field(description="Where it came from.")
    kind: LookKind = Field(description="The work that evaluated the rows.")
    part: str = Field(description="The rows that were evaluated: validation, test, or other, of predicted bars.")
    strategy_name: str = Field(description="The strategy, as a slug.")
    inputs_sha256: str = Field(
        description="Of strategy, seed, fold and bars, without names: the same inputs again are the same try."
    )
    whole_sha256: str | None = Field(
        None, description="Of a fold and of the whole that it belongs to: the same without the fold; else null."
    )
    label: str = Field(description="The type of the label.")
    timeframe: str = Field(description="Of the bars that samples end on.")
    symbols: tuple[str, ...] = Field(description="Names of the evaluated symbols; only shown, never compared.")
    first: BarInstant = Field(alias="from", description="Close of the first evaluated bar.")
    last: BarInstant = Field(alias="to", description="Close of the last evaluated bar.")
    samples: int = Field(description="Number of evaluated samples.")
    opened_at: datetime = Field(description="When it was recorded, before any of its figures was shown.")
    closed_at: datetime | None = Field(
        None, description="When its figures were recorded; null for one that was cancelled, failed or is under way."
    )
    figures: LookFigures | None = Field(None, description="What it came to; null until it is closed.")
    has_series: bool = Field(False, description="Whether its gains and returns are stored, instant by instant.")

    @property
    def is_of_whole(self) -> bool:
        """Whether all folds of a training were evaluated together."""
        return self.inputs_sha256 == self.whole_sha256


class Opening(Payload):
    """One opening of sealed test rows."""

    look_id: str = Field(description="The look that evaluated the rows.")
    number: int = Field(description="Its number among the openings of the same bars, counted from 1.")
    level: float = Field(description="The significance level that it spends; all openings together spend at most 5 %.")
    opened_at: datetime = Field(description="When it was recorded, before any figure was computed.")
    by: str = Field(description="Who asked for it.")

    @property
    def level_in_percent(self) -> str:
        return f"{100 * self.level:.3g}%"

    def sentence(self) -> str:
        return (
            f"The test part was opened by {self.by} at {self.opened_at:%Y-%m-%d %H:%M} UTC. It is opening "
            f"{self.number} of these bars, and is tested at a significance level of {self.level_in_percent}."
        )


class _Binary(Payload):
    """Bytes are base64 in JSON."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")


class TrackRecord(_Binary):
    """The evaluated bars of one symbol, in a bundle."""

    length_us: int = Field(ge=1, description="Length of a bar in microseconds.")
    instants: bytes = Field(description="Closing instants: int64, microseconds since 1970, little-endian.")
    closes: bytes = Field(description="Closing prices: float64, little-endian.")


class SeriesRecord(_Binary):
    """A look's sums by instant, in a bundle."""

    header: str = Field(max_length=10_000, description="Names of the baselines, lag and span, as JSON.")
    content: bytes = Field(description="Samples, gains by baseline, agreement, returns and those of holding: float32.")
    instants: bytes = Field(description="Closing instants, as in a track.")
    periods: bytes = Field(description="Opening instants of the backtest's periods, as in a track.")


class LookRecord(Payload):
    """A look with all that the ledger stores of it, in a bundle."""

    look: Look = Field(description="The look.")
    tracks: tuple[TrackRecord, ...] = Field(description="The bars that it evaluated, one symbol each.")
    series: SeriesRecord | None = Field(description="What it came to, instant by instant.")
    openings: tuple[Opening, ...] = Field((), description="Openings of sealed rows by this look.")


class LookRecords(Payload):
    """The looks of one training, in a bundle."""

    looks: tuple[LookRecord, ...] = Field(description="In the order in which they were opened.")


class LedgerAccount(Payload):
    """Looks at the same bars, whatever the bars were called."""

    account_id: str = Field(description="Id of its first look.")
    tries: int = Field(description="Number of different inputs that were evaluated.")
    looks: int = Field(description="Number of looks, repetitions of the same inputs included.")
    without_series: int = Field(description="Tries of which no series is stored, because they never came to an end.")
    bars: int = Field(description="Number of different closing instants of the evaluated bars.")
    timeframes: tuple[str, ...] = Field(description="Timeframes of the evaluated bars.")
    symbols: tuple[str, ...] = Field(description="Names that the evaluated bars had.")
    strategies: tuple[str, ...] = Field(description="Names of the strategies, as slugs.")
    first: BarInstant = Field(alias="from", description="Close of the first evaluated bar.")
    last: BarInstant = Field(alias="to", description="Close of the last evaluated bar.")
    first_opened_at: datetime = Field(description="When the first look was recorded.")
    last_opened_at: datetime = Field(description="When the last look was recorded.")
    openings: tuple[Opening, ...] = Field((), description="Openings of sealed test rows among its bars, in order.")


class LedgerAccountDetail(LedgerAccount):
    """An account with its looks."""

    entries: tuple[Look, ...] = Field(description="Its looks, in the order in which they were opened.")

    def without_entries(self) -> LedgerAccount:
        return LedgerAccount(**{name: getattr(self, name) for name in LedgerAccount.model_fields})


class LedgerList(Payload):
    """The accounts of a home."""

    accounts: tuple[LedgerAccount, ...] = Field(description="The accounts, the one with the newest look first.")
    total: int = Field(description="Number of accounts.")
