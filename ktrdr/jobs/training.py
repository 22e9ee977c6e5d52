"""The job of a training, run in a worker process: bars and strategy in, bridge and outcome out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from ktrdr.experiments.train import run_training
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.jobs.training_bridge import TrainingProgressBridge
from ktrdr.market.series_file import StoredBars
from ktrdr.market.store import BarStore
from ktrdr.saved_models.reproduce import bars_of
from ktrdr.strategy.loading import load_strategy
from ktrdr.training.fingerprint import CHECKPOINTS
from ktrdr.training.request import TrainingOutcome, TrainingRequest


def run(operation_id: str, payload: dict[str, Any], folder: Path, stop: Callable[[], bool]) -> dict[str, Any]:
    models = Path(payload["models"])
    request = TrainingRequest(
        operation_id=operation_id,
        strategy=load_strategy(payload["strategy"], IndicatorCatalogue()).on(payload["timeframes"]),
        strategy_name=payload["strategy_name"],
        strategy_text=payload["strategy"],
        symbols=tuple(payload["symbols"]),
        start=_day(payload["start"]),
        end=_day(payload["end"]),
        output=models / operation_id,
        fold=payload["fold"],
        reproduces=models / payload["reproduces"] if payload.get("reproduces") else None,
    )
    store = BarStore(Path(payload["bars"]))

    def read(symbol: str, timeframe: str) -> StoredBars:
        start, end = request.start, request.end
        if request.reproduces:
            # The bars that were read then; those that came later are none of it.
            start, end = bars_of(request.reproduces, symbol, timeframe) or (start, end)
        return store.read_stored(symbol, timeframe, start, end)

    resume_from = payload.get("resume_from")
    with TrainingProgressBridge(folder / "bridge", writable=True) as bridge:
        outcome = run_training(request, read, bridge, stop, Path(resume_from) if resume_from else None)
    return _describe(outcome, request.output / CHECKPOINTS)


def _describe(outcome: TrainingOutcome, checkpoints: Path) -> dict[str, Any]:
    fields = asdict(outcome)
    status = fields.pop("status")
    metadata = {"final_epoch": fields.pop("final_epoch"), "best_val_loss": fields.pop("best_val_loss")}
    if status != "success":
        return {"status": status, "results": fields, "metadata": metadata}
    # Nothing goes on from a training that is recorded as completed; until then, a kill may still make it necessary.
    return {"status": "completed", "results": fields, "metadata": metadata, "leftovers": [str(checkpoints)]}


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
