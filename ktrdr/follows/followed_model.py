"""A model that is followed: what it says at the newest bars, and what baselines that know nothing say there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from ktrdr.errors import ConflictError
from ktrdr.evaluation.baselines import Guess
from ktrdr.evaluation.outputs import PREDICTED, prediction_columns
from ktrdr.features.labels.label import Cuts, Measured
from ktrdr.features.labels.types import label_of
from ktrdr.features.stretches import Divider
from ktrdr.files import checksum
from ktrdr.follows.bars_read import series_read
from ktrdr.market.bars import VALUES, folder_name
from ktrdr.market.closings import closes_at
from ktrdr.market.sessions import instant
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.follows import ModelRow, PredictionRow
from ktrdr.payloads.predictions import PredictedLabel
from ktrdr.saved_models.predict import last_windows
from ktrdr.saved_models.reproduce import read_card
from ktrdr.saved_models.rows_file import read_rows
from ktrdr.saved_models.trained_model import TrainedModel, load_model
from ktrdr.training.determinism import make_repeatable
from ktrdr.training.files import WEIGHTS
from ktrdr.training.fingerprint import read_fingerprint

if TYPE_CHECKING:
    from ktrdr.strategy.spec import Strategy

MAJORITY, MEAN, PERSISTENCE = "majority", "mean", "persistence"


@dataclass(frozen=True, slots=True)
class _Said:
    """What the model says at one bar, as a row writes it."""

    predicted: str
    probabilities: dict[str, str]


@dataclass(frozen=True, slots=True)
class FollowedModel:
    """A saved model with what its rows need.

    model_id: the operation that trained it
    cuts: borders between its classes; None in a regression
    constant: what the training's own constant baseline says, one sample
    """

    model_id: str
    folder: Path
    trained: TrainedModel
    strategy_name: str
    fingerprint: str
    weights_sha256: str
    cuts: Cuts | None
    constant: Guess

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in `folder`. Sets torch's thread count and seed for the whole process.

        Raises:
            ArtifactNotFound: there is no model in the folder.
            ConflictError: the version that trained it kept no baselines.
            StorageError: a file is damaged.
        """
        trained, card = load_model(folder), read_card(folder)
        make_repeatable(trained.strategy.training.seed, trained.strategy.training.threads)
        evaluated = read_rows(folder, "validation")
        if evaluated is None:
            raise ConflictError(
                f"{card['operation_id']} was trained by a version that kept no baselines to follow it beside",
                hint="train it again",
            )
        name = MAJORITY if trained.class_names else MEAN
        return cls(
            card["operation_id"],
            folder,
            trained,
            card["strategy_name"],
            read_fingerprint(folder).inputs_sha256,
            checksum(folder / WEIGHTS),
            Cuts.from_dict(card["cuts"]) if card["cuts"] else None,
            evaluated.rivals.naive[name].take(np.zeros(1, np.int64)),
        )

    @property
    def strategy(self) -> Strategy:
        return self.trained.strategy

    @property
    def trained_until(self) -> datetime:
        """Opening of the last bar of its samples; later ones have been in no part."""
        trained_on = self.trained.trained_on
        return max(each.last for each in trained_on.parts or trained_on.series)

    def row(self, written_at: datetime, *, is_replay: bool) -> ModelRow:
        return ModelRow(
            model=self.model_id,
            strategy_name=self.strategy_name,
            fingerprint=self.fingerprint,
            weights_sha256=self.weights_sha256,
            timeframe=self.strategy.timeframes[0],
            label=PredictedLabel.model_validate(self.strategy.labels.model_dump(mode="json")),
            class_names=self.trained.class_names,
            trained_until=self.trained_until,
            is_replay=is_replay,
            written_at=written_at,
        )

    def signal_id(self, symbol: str, closes_at: datetime) -> str:
        """The same for the same bar, and fit for the name of a file."""
        return f"{self.model_id}.{folder_name(symbol)}.{closes_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"

    def predict(self, symbol: str, bars: SymbolBars, last: int, written_at: datetime) -> list[PredictionRow]:
        """The rows of the newest `last` of `bars`, which have closed; fewer where a window is not whole.

        Raises TrainingDataError when none is.
        """
        strategy, base = self.strategy, self.strategy.timeframes[0]
        windows = last_windows(strategy, symbol, bars, last)
        outputs = self.trained.outputs(windows.values, symbol, windows.first)[windows.begins]
        frame = bars[base]
        rows = np.searchsorted(frame["timestamp"].to_numpy().astype("datetime64[us]"), windows.timestamps)
        closes = closes_at(frame, base, strategy.calendar)[rows]
        measured = Divider.of(strategy, symbol, bars).labels(label_of(strategy.labels).measure)(strategy.labels, frame)
        newest, read = measured.newest_settled(), series_read(strategy, bars, rows)
        return [
            PredictionRow(
                signal_id=self.signal_id(symbol, instant(close)),
                fingerprint=self.fingerprint,
                symbol=symbol,
                opens_at=instant(windows.timestamps[place]),
                closes_at=instant(close),
                bar=tuple(value.hex() for value in frame.row(int(row), named=False)[1 : 1 + len(VALUES)]),
                read=read[place],
                outputs=tuple(float(output).hex() for output in outputs[place]),
                predicted=said.predicted,
                probabilities=said.probabilities,
                baselines=self._baselines(measured, int(newest[row])),
                written_at=written_at,
                late=False,
            )
            for place, (row, close, said) in enumerate(zip(rows, closes, self._said(outputs), strict=True))
        ]

    def parse(self, said: str) -> float:
        """What `_named` wrote: a class index, or a number."""
        return self.trained.class_names.index(said) if self.trained.class_names else float.fromhex(said)

    def label_values(self, measures: NDArray[np.float64]) -> NDArray[Any]:
        """Class indices, or targets in training deviations, of known label measures."""
        if self.cuts is not None:
            return self.cuts.classify(measures)
        return measures / self.trained.target_scale

    def _said(self, outputs: NDArray[np.float32]) -> Iterator[_Said]:
        trained, names = self.trained, self.trained.class_names
        columns = prediction_columns(outputs, names, trained.target_scale, trained.class_weights.values)
        for place, predicted in enumerate(columns[PREDICTED].tolist()):
            probabilities = {name: float(columns[f"probability_{name}"][place]).hex() for name in names}
            yield _Said(predicted if names else predicted.hex(), probabilities)

    def _baselines(self, measured: Measured, newest: int) -> dict[str, str]:
        """`newest` is the row of the newest settled label; before there is one it counts as the constant guess."""
        constant = self.constant.predicted
        persistence = self.label_values(measured.values[newest : newest + 1]) if newest >= 0 else constant
        name = MAJORITY if self.cuts else MEAN
        return {name: self._named(constant[0].item()), PERSISTENCE: self._named(persistence[0].item())}

    def _named(self, value: float) -> str:
        return self.trained.class_names[int(value)] if self.trained.class_names else float(value).hex()
