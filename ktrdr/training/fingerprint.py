"""What a training was made from, and what a checkpoint says that it was made from. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ktrdr.errors import CheckpointMismatch, StorageError
from ktrdr.market.bars import fingerprint as fingerprint_of_bars
from ktrdr.training.files import CARD
from ktrdr.training.tensor_file import TensorFile

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.strategy.spec import Strategy

CHECKPOINTS = "checkpoints"
METADATA_KEY = "ktrdr"
FORMAT = 3  # of checkpoints


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a training was made from: two with the same fingerprint, seed included, give the same bits.

    `data` holds the hash of each symbol's bars of each timeframe.
    """

    strategy: dict[str, Any]
    fold: int
    data: dict[str, dict[str, str]]

    @classmethod
    def of(cls, strategy: Strategy, bars: Mapping[str, Mapping[str, pl.DataFrame]], fold: int = 0) -> Self:
        data = {
            symbol: {timeframe: fingerprint_of_bars(frame) for timeframe, frame in frames.items()}
            for symbol, frames in bars.items()
        }
        return cls(strategy.model_dump(mode="json"), fold, data)

    def differences(self, other: Fingerprint) -> list[str]:
        found = [f"strategy.{path}" for path in _differing(self.strategy, other.strategy)]
        if self.fold != other.fold:
            found.append("fold")
        if list(self.data) != list(other.data):
            found.append("symbols")
        shared = [symbol for symbol in self.data if symbol in other.data]
        found += [
            f"bars of {symbol} {timeframe}"
            for symbol in shared
            for timeframe in _differing(self.data[symbol], other.data[symbol])
        ]
        return sorted(found)

    def check(self, other: Fingerprint, what: str) -> None:
        """Whether `what`, which has this fingerprint, may be part of a training that has `other`.

        Raises CheckpointMismatch, naming each difference.
        """
        if found := self.differences(other):
            raise CheckpointMismatch(
                f"{what} belongs to another training: {', '.join(found)} differ",
                hint="Resume with the strategy and the bars that it began with, or start a new training.",
                differences=found,
            )


def check_model(folder: Path, fingerprint: Fingerprint) -> None:
    """Whether the model in `folder` was made from `fingerprint`.

    Raises CheckpointMismatch; StorageError when its card is damaged, and FileNotFoundError when it has none.
    """
    path = folder / CARD
    content = path.read_bytes()
    try:
        card = json.loads(content)
        made_from = Fingerprint(card["strategy"], card["fold"], card["data_sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} is damaged and does not say what its model was made from",
            hint="Remove it, and what it belongs to is trained again.",
        ) from error
    made_from.check(fingerprint, f"the model of {folder.name}")


def check_latest(folder: Path, fingerprint: Fingerprint) -> None:
    """Whether the newest checkpoint in `folder` that has a whole head may go on as `fingerprint`.

    What is damaged otherwise shows when it is loaded. Raises CheckpointMismatch.
    """
    for path in newest_first(folder):
        if head := _head(path):
            Fingerprint(**head["fingerprint"]).check(fingerprint, checkpoint_name(len(head["history"])))
            return


def checkpoint_name(epoch: int) -> str:
    return f"the checkpoint of epoch {epoch}"


def newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("epoch-*.safetensors"), reverse=True)


def checkpoint_head(file: TensorFile) -> dict[str, Any]:
    """What a checkpoint says beside its tensors. Raises ValueError when the file is none."""
    try:
        head = json.loads(file.metadata[METADATA_KEY])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"it is no checkpoint ({error})") from error
    if not isinstance(head, dict):
        raise ValueError("it is no checkpoint (its head is no object)")
    return head


def _head(path: Path) -> dict[str, Any] | None:
    """The head of a checkpoint, or None where it is torn or of another format."""
    try:
        head = checkpoint_head(TensorFile.open(path))
    except (OSError, ValueError):
        return None
    return head if head.get("format") == FORMAT else None


def _differing(left: Mapping[str, Any], right: Mapping[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key in sorted(left.keys() | right.keys()):
        here, there = left.get(key), right.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            found += _differing(here, there, f"{prefix}{key}.")
        elif here != there:
            found.append(f"{prefix}{key}")
    return found
