"""What is to be followed, and the parts that do it, put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ktrdr.follows.chain import Chain, StoredRow
from ktrdr.follows.followed_model import FollowedModel
from ktrdr.follows.follower import Follower
from ktrdr.follows.following import Following
from ktrdr.follows.outbox import Outbox
from ktrdr.follows.receivers import Receiver
from ktrdr.follows.sources import Loads, StoredSource
from ktrdr.home import Home
from ktrdr.market.bars import check_symbol
from ktrdr.market.providers import Sources
from ktrdr.payloads.follows import PredictionRow, Signal
from ktrdr.saved_models.reproduce import model_folders

EVERY = timedelta(minutes=15)
# Where something else loads, a look costs no request.
EVERY_LOOK = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class FollowRequest:
    """What to follow.

    model: folder of the model; of a training in folds that of the training, whose last fold is followed
    symbols: those of the training where there are none
    every: longest time between two looks for bars
    loads: whether bars are loaded, or something else brings them
    replay: folder for the rows of a replay of stored bars; None for a live follow
    """

    model: Path
    symbols: tuple[str, ...] = ()
    every: timedelta = EVERY
    loads: bool = True
    receivers: tuple[Receiver, ...] = ()
    replay: Path | None = None


def open_model(folder: Path) -> FollowedModel:
    """The model in a folder, or of the last fold. Raises as `FollowedModel.load`."""
    return FollowedModel.load(model_folders(folder)[-1])


def source_of(model: FollowedModel, home: Home) -> StoredSource:
    return StoredSource(home, model.strategy, model.trained.start)


def folder_of(model: FollowedModel, home: Home, replay: Path | None) -> Path:
    """Where the rows of a model's follow are."""
    return home.follows / model.model_id if replay is None else replay


@contextmanager
def open_follow(
    request: FollowRequest, home: Home, sources: Sources, on_trouble: Callable[[str], None]
) -> Iterator[Following]:
    """Hold the follow's files, ready to go on.

    Raises ConflictError where another process does, SeriesNotFound where bars are missing, InputError for a symbol that
    is none, and the errors of `FollowedModel.load`.
    """
    model = open_model(request.model)
    source = source_of(model, home)
    symbols = tuple(dict.fromkeys(map(check_symbol, request.symbols))) or tuple(model.trained.symbols)
    for symbol in symbols:
        for key in source.series(symbol):
            source.store.info(*key)
    folder = folder_of(model, home, request.replay)

    def signal_of(stored: StoredRow) -> Signal:
        return make_signal(model, stored)

    with Chain(folder) as chain, Outbox(folder, request.receivers, signal_of, on_trouble) as outbox:
        yield Following(
            follower=Follower(model, symbols, source, chain, on_trouble),
            outbox=outbox,
            every=request.every,
            refresh=Loads(source, symbols, sources, on_trouble) if request.loads else lambda: None,
            wait=time.sleep,
        )


def make_signal(model: FollowedModel, stored: StoredRow) -> Signal:
    """The signal of a prediction's row."""
    row = stored.row
    assert isinstance(row, PredictionRow)
    return Signal(
        id=row.signal_id,
        model=model.model_id,
        symbol=row.symbol,
        timeframe=model.strategy.timeframes[0],
        closed_at=row.closes_at,
        close=row.close,
        predicted=row.predicted if model.trained.class_names else float.fromhex(row.predicted),
        probabilities={name: float.fromhex(value) for name, value in row.probabilities.items()},
        written_at=row.written_at,
        row_sha256=stored.sha256,
    )
