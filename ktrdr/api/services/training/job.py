"""The job of a training, run in a worker process: bars and strategy in, bridge and outcome out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from ktrdr.api.services.training.progress_bridge import TrainingProgressBridge
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.market.store import BarStore
from ktrdr.strategy.loading import load_strategy
from ktrdr.training import warm
from ktrdr.training.fingerprint import CHECKPOINTS
from ktrdr.training.run import TrainingOutcome, TrainingRequest, run_training


def warm_up() -> None:
    warm.warm_up()


def run(operation_id: str, payload: dict[str, Any], folder: Path, stop: Callable[[], bool]) -> dict[str, Any]:
    request = TrainingRequest(
        operation_id=operation_id,
        strategy=load_strategy(payload["strategy"], IndicatorCatalogue()),
        strategy_name=payload["strategy_name"],
        strategy_text=payload["strategy"],
        symbols=tuple(payload["symbols"]),
        timeframe=payload["timeframe"],
        start=_day(payload["start"]),
        end=_day(payload["end"]),
        output=Path(payload["models"]) / operation_id,
    )
    store = BarStore(Path(payload["bars"]))
    resume_from = payload.get("resume_from")
    with TrainingProgressBridge(folder / "bridge", writable=True) as bridge:
        outcome = run_training(
            request,
            lambda symbol: store.read_stored(symbol, request.timeframe, request.start, request.end),
            bridge,
            stop,
            Path(resume_from) if resume_from else None,
        )
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
