"""The inputs of a training, as its checkpoints and its model record them. Needs no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ktrdr.errors import CheckpointMismatch, StorageError
from ktrdr.market.bars import fingerprint as fingerprint_of_bars
from ktrdr.market.other_series import OtherSeries
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import CARD
from ktrdr.training.tensor_file import TensorFile

if TYPE_CHECKING:
    from ktrdr.market.symbol_bars import SymbolBars

CHECKPOINTS = "checkpoints"
METADATA_KEY = "ktrdr"
FORMAT = 3  # of checkpoints
_NAMES = ("name", "description")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The inputs of a training. Trainings with equal fingerprints give the same bits.

    strategy: the whole strategy, seed included, as JSON
    fold: counted from 0
    data: SHA-256 of the bars, by symbol and timeframe
    others: SHA-256 of bars of other symbols and of tables, by what they are called
    """

    strategy: dict[str, Any]
    fold: int
    data: dict[str, dict[str, str]]
    others: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, strategy: Strategy, bars: Mapping[str, SymbolBars], fold: int = 0) -> Self:
        data = {
            symbol: {timeframe: fingerprint_of_bars(frame) for timeframe, frame in frames.items()}
            for symbol, frames in bars.items()
        }
        return cls(strategy.model_dump(mode="json"), fold, data, _others(bars))

    @property
    def inputs_sha256(self) -> str:
        """SHA-256 of strategy, fold and bars without any name: the same inputs are the same try, however called."""
        return self._sha256(self.fold)

    @property
    def whole_sha256(self) -> str:
        """The same without the fold."""
        return self._sha256(None)

    def _sha256(self, fold: int | None) -> str:
        strategy = {key: value for key, value in _completed(self.strategy).items() if key not in _NAMES}
        bars = [list(contents.values()) for contents in self.data.values()]
        inputs = [strategy, fold, bars, *([list(self.others.values())] if self.others else [])]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()

    def differences(self, other: Fingerprint) -> list[str]:
        one, two = _completed(self.strategy), _completed(other.strategy)
        names = [f"plugin {name}" for name in _differing(_plugins(one), _plugins(two))]
        names += [f"strategy.{path}" for path in _differing(_without_plugins(one), _without_plugins(two))]
        if self.fold != other.fold:
            names.append("fold")
        if list(self.data) != list(other.data):
            names.append("symbols")
        shared = [symbol for symbol in self.data if symbol in other.data]
        names += [
            f"bars of {symbol} {timeframe}"
            for symbol in shared
            for timeframe in _differing(self.data[symbol], other.data[symbol])
        ]
        names += _differing(self.others, other.others)
        return sorted(names)

    def check(self, other: Fingerprint, what: str) -> None:
        """Refuse `what`, which has this fingerprint, for a training that has `other`.

        Raises CheckpointMismatch, which names each difference.
        """
        if differences := self.differences(other):
            raise CheckpointMismatch(
                f"{what} belongs to another training: {', '.join(differences)} differ",
                hint="Resume with the strategy and the bars that it began with, or start a new training.",
                differences=differences,
            )


def _others(bars: Mapping[str, SymbolBars]) -> dict[str, str]:
    first = next((own.others for own in bars.values()), OtherSeries())
    tables = {name: [own.others.tables[name].sha256 for own in bars.values()] for name in first.tables}
    return {
        **{f"bars of {key}": fingerprint_of_bars(each.frame) for key, each in first.bars.items()},
        **{f"table {name}": hashlib.sha256("".join(each).encode()).hexdigest() for name, each in tables.items()},
    }


def check_model(folder: Path, fingerprint: Fingerprint) -> None:
    """Refuse the model in `folder` unless it was made from `fingerprint`.

    Raises CheckpointMismatch; StorageError when its card is damaged, and FileNotFoundError when it has none.
    """
    read_fingerprint(folder).check(fingerprint, f"the model of {folder.name}")


def read_fingerprint(folder: Path) -> Fingerprint:
    """What the model in `folder` was made from.

    Raises StorageError when its card is damaged, and FileNotFoundError when it has none.
    """
    path = folder / CARD
    content = path.read_bytes()
    try:
        card = json.loads(content)
        return Fingerprint(card["strategy"], card["fold"], card["data_sha256"], card.get("other_sha256", {}))
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path} is damaged: it does not show the inputs of its model",
            hint="Remove it, and its model is trained again.",
        ) from error


def check_latest(folder: Path, fingerprint: Fingerprint) -> None:
    """Refuse the newest readable checkpoint in `folder` unless it was made from `fingerprint`.

    Reads headers only; other damage shows when the checkpoint is loaded. Raises CheckpointMismatch.
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
    """The JSON head of a checkpoint. Raises ValueError when the file is not a checkpoint."""
    try:
        head = json.loads(file.metadata[METADATA_KEY])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"it is no checkpoint ({error})") from error
    if not isinstance(head, dict):
        raise ValueError("it is no checkpoint (its head is no object)")
    return head


def _head(path: Path) -> dict[str, Any] | None:
    """The head of a checkpoint; None when it is damaged or of another format."""
    try:
        head = checkpoint_head(TensorFile.open(path))
    except (OSError, ValueError):
        return None
    return head if head.get("format") == FORMAT else None


def _completed(strategy: dict[str, Any]) -> dict[str, Any]:
    """A recorded strategy with the defaults of the keys that its version did not have."""
    try:
        return Strategy.model_validate_json(json.dumps(strategy)).model_dump(mode="json")
    except ValueError:
        return strategy


def _plugins(strategy: Mapping[str, Any]) -> dict[str, str]:
    """The hashes of the plugins that a recorded strategy names."""
    sections = [*strategy.get("indicators", ()), strategy.get("labels", {}), strategy.get("model", {})]
    return {each.get("plugin") or each["type"]: each["sha256"] for each in sections if each.get("sha256")}


def _without_plugins(strategy: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded strategy without the hashes of its plugins."""

    hashed = {key: _without_hash(strategy[key]) for key in ("labels", "model") if key in strategy}
    return {**strategy, **hashed, "indicators": [_without_hash(each) for each in strategy.get("indicators", ())]}


def _without_hash(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "sha256"}


def _differing(left: Mapping[str, Any], right: Mapping[str, Any], prefix: str = "") -> list[str]:
    paths: list[str] = []
    for key in sorted(left.keys() | right.keys()):
        one, other = left.get(key), right.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            paths += _differing(one, other, f"{prefix}{key}.")
        elif one != other:
            paths.append(f"{prefix}{key}")
    return paths
