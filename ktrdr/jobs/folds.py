"""The job of a training in folds: it waits for the operations that train them, and sums up what they found."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ktrdr.errors import KtrdrError
from ktrdr.executors.outcome import read_outcome
from ktrdr.experiments.folds import summarise
from ktrdr.files import write_atomically
from ktrdr.operations.bridge import BridgeFileError, BridgeLayout, ProgressBridge

_MEMBERS = "folds.json"
_LOOK_AGAIN_S = 0.25

Outcome = dict[str, Any]


class FoldsBridge(ProgressBridge):
    """One record for each fold, in the order in which they end."""

    @staticmethod
    def create_for(path: Path, folds: int) -> None:
        ProgressBridge.create(
            path,
            BridgeLayout(
                phases=("Waiting for the folds", f"{{items}} of {folds} folds trained", "Summing up the folds"),
                total_steps=folds,
                columns=("fold", "best_epoch", "val_loss", "val_accuracy", "total_epochs"),
                integer_columns=("fold", "best_epoch", "total_epochs"),
                planned_records=folds,
            ),
        )

    def on_progress(self, ended: int, shares: Sequence[float]) -> None:
        """`shares` are the parts of the running folds that are done, from 0 to 1."""
        self._update_state(1, ended + 1, round(1000 * sum(shares)), 1000, ended)

    def on_fold(self, fold: int, final: Mapping[str, Any]) -> None:
        self._append_metric(
            fold, final["best_epoch"], final["best_val_loss"], final["best_val_accuracy"], final["total_epochs"]
        )


def warm_up() -> None:
    """Nothing to do: it mostly waits."""


def write_members(folder: Path, operation_ids: Sequence[str]) -> None:
    write_atomically(folder / _MEMBERS, json.dumps(list(operation_ids)).encode())


def read_members(folder: Path) -> list[str]:
    """The ids of the operations that train the folds, in the folds' order. Raises OSError."""
    members: list[str] = json.loads((folder / _MEMBERS).read_bytes())
    return members


def run(operation_id: str, payload: dict[str, Any], folder: Path, stop: Callable[[], bool]) -> Outcome:
    members = read_members(folder)
    with FoldsBridge(folder / "bridge", writable=True) as bridge:
        outcomes = _wait(members, folder.parent, bridge, stop)
    completed = {id_: outcome for id_, outcome in outcomes.items() if outcome["status"] == "completed"}
    if len(completed) < len(members) and stop():
        return {"status": "cancelled", "results": {"folds": _told(members, completed)}}
    if len(completed) < len(members):
        raise KtrdrError(
            f"{len(members) - len(completed)} of {len(members)} folds have no model: {_reasons(members, outcomes)}",
            hint=f"train what is missing with: ktrdr operations resume {operation_id}",
        )
    results = summarise(
        [(member, completed[member]["results"]) for member in members], Path(payload["models"]) / operation_id, payload
    )
    metadata = {"best_val_loss": results["final_metrics"]["best_val_loss"]}
    return {"status": "completed", "results": results, "metadata": metadata}


def _wait(members: Sequence[str], root: Path, bridge: FoldsBridge, stop: Callable[[], bool]) -> dict[str, Outcome]:
    """Until every fold has ended, or this was asked to stop."""
    outcomes: dict[str, Outcome] = {}
    while True:
        for fold, member in enumerate(members, start=1):
            if member not in outcomes and (outcome := _outcome(root / member)) is not None:
                outcomes[member] = outcome
                if outcome["status"] == "completed":
                    bridge.on_fold(fold, outcome["results"]["final_metrics"])
        bridge.on_progress(len(outcomes), [_share(root / member) for member in members if member not in outcomes])
        if len(outcomes) == len(members) or stop():
            return outcomes
        time.sleep(_LOOK_AGAIN_S)


def _outcome(folder: Path) -> Outcome | None:
    if not folder.exists():
        return {"status": "failed", "error": {"detail": "its folder is gone"}}
    try:
        return read_outcome(folder)
    except (OSError, ValueError) as error:
        return {"status": "failed", "error": {"detail": f"its outcome cannot be read: {error}"}}


def _share(folder: Path) -> float:
    try:
        with ProgressBridge(folder / "bridge") as bridge:
            return float(bridge.get_status()["percentage"]) / 100
    except BridgeFileError:
        return 0.0


def _told(members: Sequence[str], completed: Mapping[str, Outcome]) -> list[dict[str, Any]]:
    return [
        {"fold": fold, "operation_id": member, **completed[member]["results"]["final_metrics"]}
        for fold, member in enumerate(members, start=1)
        if member in completed
    ]


def _reasons(members: Sequence[str], outcomes: Mapping[str, Outcome]) -> str:
    return "; ".join(
        f"fold {fold} ({member}) {outcomes[member].get('error', {}).get('detail', 'was cancelled')}"
        for fold, member in enumerate(members, start=1)
        if member in outcomes and outcomes[member]["status"] != "completed"
    )
