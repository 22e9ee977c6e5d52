"""A model of 260 days, and 40 more days to follow it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

import ktrdr
from ktrdr.follows.chain import Chain
from ktrdr.follows.follower import Follower
from ktrdr.follows.request import open_model, source_of
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.payloads.follows import PredictionRow
from ktrdr.strategy.spec import Strategy
from tests.small_trainings import one_thread, planted_bars

__all__ = ["one_thread"]

ID, NUMBERS = "op_training_20260101_aaaaaa", "op_training_20260101_bbbbbb"
BARS, TRAINED = planted_bars(300), 260
DOCUMENT = {
    "name": "Forward",
    "timeframes": ["1d"],
    "model": {"type": "mlp", "layers": 1, "hidden_size": 4, "sequence_length": 4},
    "training": {"epochs": 1, "learning_rate": 0.01},
    "indicators": [{"name": "rsi", "period": 5}, {"name": "ema", "period": 20}],
    "controls": {"shuffled_labels": "none"},
}


def close_of(row: int) -> datetime:
    """When a bar of BARS closes: a day of a made-up symbol lasts 24 hours."""
    opening: datetime = BARS["timestamp"][row]
    return opening + timedelta(days=1)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two models: of classes, and of numbers three bars ahead."""
    home = Home(tmp_path_factory.mktemp("home"))
    store = BarStore(home.bars)
    for symbol, seed in (("UP", 0), ("DOWN", 3)):
        store.merge(symbol, "1d", planted_bars(300, seed=seed), "made up")
    end = BARS["timestamp"][TRAINED].date()
    for name, sections in ((ID, {}), (NUMBERS, {"labels": {"type": "forward_return", "horizon": 3}})):
        strategy = Strategy.model_validate(DOCUMENT | sections)
        ktrdr.train(strategy, ["UP", "DOWN"], end=end, output=home.models / name, home=home.root)
    return home.root


@dataclass(frozen=True)
class Place:
    """A home of a test: the models of `models`, bars of its own, and their follow."""

    home: Home
    model: Path

    @property
    def store(self) -> BarStore:
        return BarStore(self.home.bars)

    @property
    def rows_file(self) -> Path:
        return self.home.follows / self.model.name / "rows.jsonl"

    def bring(self, row: int, symbol: str = "UP") -> None:
        """All bars up to this one."""
        self.store.merge(symbol, "1d", BARS.head(row + 1), "made up")

    @contextmanager
    def follower(self, now: datetime, *symbols: str) -> Iterator[Follower]:
        """What a process that is started now has."""
        model, troubles = open_model(self.model), list[str]()
        with Chain(self.home.follows / model.model_id) as chain:
            follower = Follower(model, symbols or ("UP",), source_of(model, self.home), chain, troubles.append)
            follower.begin(now, lambda stored: None)
            yield follower
        assert not troubles, troubles

    def step(self, now: datetime, *symbols: str) -> list[PredictionRow]:
        """What one process that lives as long writes by `now`."""
        with self.follower(now, *symbols) as follower:
            return [stored.row for stored in follower.step(now) if isinstance(stored.row, PredictionRow)]


@pytest.fixture
def place(models: Path, tmp_path: Path) -> Place:
    return Place(Home(tmp_path / "home"), models / "models" / ID)


Replay = Callable[..., list[PredictionRow]]


@pytest.fixture
def replay(models: Path, tmp_path: Path) -> Replay:
    """Replays the stored bars after the training, at most `most` rows of them."""

    def replayed(name: str = ID, symbols: str | list[str] = "UP", most: int = 1_000) -> list[PredictionRow]:
        rows = ktrdr.follow(models / "models" / name, symbols, replay=tmp_path / "replay", home=models)
        found = list(islice(rows, most))
        rows.close()  # type: ignore[attr-defined]
        return found

    return replayed
