"""Follows a trained model bar by bar."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ktrdr.python_api.inputs import open_home
from ktrdr.python_api.training import Training
from ktrdr.settings import read_settings

if TYPE_CHECKING:
    from ktrdr.follows.receivers import Receiver
    from ktrdr.payloads.follows import FollowReport, FollowVerification, PredictionRow

_log = logging.getLogger(__name__)


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
    with open_follow(request, open_home(home), Sources.of(read_settings()), _log.warning) as following:
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

    opened = open_home(home)
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

    opened = open_home(home)
    model = open_model(training.folder if isinstance(training, Training) else Path(training))
    folder = folder_of(model, opened, Path(replay) if replay else None)
    with closing(Ledger(opened.ledger, Door.PYTHON)) as ledger:
        return report(folder, model, source_of(model, opened), ledger)
