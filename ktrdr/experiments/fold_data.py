"""What all trainings of one fold share, whatever their model: its dataset, the leak gate's proof and the yardsticks.

The trials of a search take it from a cache in the home. An entry is named by the hash of all that decides its content.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.evaluated_rows import yardsticks
from ktrdr.features.assemble import build_dataset
from ktrdr.features.dataset import Dataset
from ktrdr.features.dataset_files import read_array, read_dataset, write_array, write_dataset
from ktrdr.features.leaks.gate import check_leaks
from ktrdr.formatting import counted
from ktrdr.payloads.leaks import LeakGateReport
from ktrdr.saved_models.provenance import code_sha256, libraries

if TYPE_CHECKING:
    from ktrdr.cache import FolderCache
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy
    from ktrdr.training.fingerprint import Fingerprint

logger = logging.getLogger(__name__)

_FORMAT = 1
_GATE = "leak_gate.json"
# The rooms whose code makes the content.
_ROOMS = ("market", "strategy", "features", "evaluation")
# Sections of a strategy that change nothing here, and the only keys of two others that do. All else counts, also what a
# later version adds.
_IRRELEVANT = frozenset({"name", "description", "positions", "costs", "controls"})
_RELEVANT = {"model": ("sequence_length",), "training": ("validation_split", "sample_weights")}


@dataclass(frozen=True)
class Fold:
    """One fold of a training, counted from 0; each of its data is made when it is first needed.

    dataset: its samples; raises TrainingDataError
    leak_gate: proof that nothing in them knows the future; raises LeakFound
    yardsticks: predictions for the validation part of linear models of the same features, by name
    """

    strategy: Strategy
    bars: Mapping[str, SymbolBars]
    number: int

    @cached_property
    def dataset(self) -> Dataset:
        return build_dataset(self.strategy, self.bars, self.number)

    @cached_property
    def leak_gate(self) -> LeakGateReport:
        return check_leaks(self.strategy, self.bars, self.dataset)

    @cached_property
    def yardsticks(self) -> Mapping[str, Guess]:
        return yardsticks(self.dataset, self.dataset.validation)


@dataclass(frozen=True, slots=True)
class FoldData:
    """The data of a `Fold`, all of them."""

    dataset: Dataset
    leak_gate: LeakGateReport
    yardsticks: Mapping[str, Guess]

    @classmethod
    def of(cls, fold: Fold) -> Self:
        """Raises TrainingDataError and LeakFound."""
        return cls(fold.dataset, fold.leak_gate, fold.yardsticks)

    @property
    def about(self) -> str:
        symbols, features = self.dataset.symbols, len(self.dataset.feature_names)
        more = f" and {len(symbols) - 3} more" if len(symbols) > 3 else ""
        bars = sum(coverage.bars for coverage in self.dataset.coverage)
        return f"{', '.join(symbols[:3])}{more}: {counted(bars, 'bar')}, {counted(features, 'feature')}"

    def write(self, folder: Path) -> None:
        """Raises OSError."""
        write_dataset(folder, self.dataset)
        (folder / _GATE).write_text(self.leak_gate.model_dump_json(), encoding="utf-8")
        for name, guess in self.yardsticks.items():
            write_array(folder, f"{name}.predicted", guess.predicted)
            if guess.probabilities is not None:
                write_array(folder, f"{name}.probabilities", guess.probabilities)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises OSError and ValueError."""
        gate = LeakGateReport.model_validate_json((folder / _GATE).read_bytes())
        names = [path.name.removesuffix(".predicted.npy") for path in folder.glob("*.predicted.npy")]
        return cls(read_dataset(folder), gate, {name: _read_guess(folder, name) for name in names})


class FoldCache:
    """The data of folds by their content: on disk for all processes, and the last one in memory.

    Not safe to share between threads. A disk that fails costs time, and nothing else.
    """

    def __init__(self, folders: FolderCache) -> None:
        self._folders = folders
        self._last: tuple[str, FoldData] | None = None

    def get(self, strategy: Strategy, bars: Mapping[str, SymbolBars], fingerprint: Fingerprint) -> FoldData:
        """The data of the fingerprint's fold. Raises TrainingDataError and LeakFound."""
        key = fold_key(bars, fingerprint)
        if self._last is None or self._last[0] != key:
            self._last = key, self._read(key) or self._make(key, strategy, bars, fingerprint.fold)
        return self._last[1]

    def _read(self, key: str) -> FoldData | None:
        try:
            folder = self._folders.find(key)
            return FoldData.read(folder) if folder else None
        except (OSError, ValueError) as error:
            logger.warning("The cached dataset %s cannot be read and is made again: %s", key, error)
            return None

    def _make(self, key: str, strategy: Strategy, bars: Mapping[str, SymbolBars], fold: int) -> FoldData:
        data = FoldData.of(Fold(strategy, bars, fold))
        try:
            self._folders.add(key, data.write, data.about)
        except OSError as error:
            logger.warning("The dataset %s cannot be cached: %s", key, error)
        return data


def fold_key(bars: Mapping[str, SymbolBars], fingerprint: Fingerprint) -> str:
    """SHA-256 of all that decides a fold's data: bars, tables, calendars, strategy without model, libraries and code.

    Names of strategies count for nothing, the order of symbols does: it is that of the samples.
    """
    decisive = {
        "format": _FORMAT,
        "code": code_sha256(_ROOMS),
        "libraries": libraries(),
        "fold": fingerprint.fold,
        "bars": list(fingerprint.data.items()),
        "calendars": [own.calendar for own in bars.values()],
        "others": list(fingerprint.others.items()),
        "other_calendars": [
            (str(key), each.clock.calendar.name) for own in bars.values() for key, each in own.others.bars.items()
        ],
        "strategy": _of_the_data(fingerprint.strategy),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _of_the_data(strategy: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {key: section[key] for key in _RELEVANT[name]} if name in _RELEVANT else section
        for name, section in strategy.items()
        if name not in _IRRELEVANT
    }


def _read_guess(folder: Path, name: str) -> Guess:
    has_probabilities = (folder / f"{name}.probabilities.npy").exists()
    probabilities = read_array(folder, f"{name}.probabilities") if has_probabilities else None
    return Guess(read_array(folder, f"{name}.predicted"), probabilities)
