"""What an opened test part came to, in a folder within the model's."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from ktrdr.errors import ConflictError, StorageError
from ktrdr.payloads.training import EvaluatedResults
from ktrdr.payloads.unsealing import UnsealingResults
from ktrdr.training.files import UNSEALED, UNSEALING, write_file


def unsealed_folder(folder: Path) -> Path:
    """Where the files of the test part of the model in `folder` lie once it was opened."""
    return folder / UNSEALED


def write_unsealing(folder: Path, results: UnsealingResults) -> None:
    """Record that the test part of the model in `folder` was opened. Raises StorageError."""
    write_file(unsealed_folder(folder) / UNSEALING, results.model_dump_json(indent=2).encode())


def read_unsealing(folder: Path) -> UnsealingResults | None:
    """What the test part of the model in `folder` came to; None while it is sealed. Raises StorageError.

    A damaged file says nothing, so that the same test part can be opened again, which counts once.
    """
    path = unsealed_folder(folder) / UNSEALING
    try:
        return UnsealingResults.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}", path=str(path)) from error


Trained = TypeVar("Trained", bound=EvaluatedResults)


def with_opening(results: Trained) -> Trained:
    """With what the test part came to, where it was opened; what a training has stored never changes.

    The results name files by absolute paths. Raises StorageError.
    """
    if results.sealed is None or not results.model_path:
        return results
    unsealing = read_unsealing(Path(results.model_path).parent)
    if unsealing is None:
        return results
    opened = {
        "sealed": results.sealed.model_copy(update={"opening": unsealing.opening}),
        "test_evaluation": unsealing.evaluation,
        "test_backtest": unsealing.backtest,
    }
    return results.model_copy(update=opened)


def without_sealed_part(model: str) -> ConflictError:
    return ConflictError(
        f"model {model} has no sealed test part",
        hint="a strategy sets one aside with validation.test; version 0.1.0 evaluated it at the end of the training",
    )
