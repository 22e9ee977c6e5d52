"""Every error that ktrdr raises on purpose.

    KtrdrError
        InputError                the input is invalid
            StrategyError         all faults of one strategy, with their paths
            BarsError             rows that break the schema of bars, with their numbers
            CursorError           a metrics cursor outside the valid range
        NotFoundError             the named thing does not exist
            OperationNotFound
            SeriesNotFound
            ArtifactNotFound
            IndicatorNotFound
        ConflictError             a valid request that the present state does not allow
            HomeInUse             another server holds the folder
            RegistryInUse         the registry serves another home, or another server
            OperationNotTerminal
            OperationTerminal
            CheckpointMismatch    the checkpoint belongs to other data or another strategy
            ProviderConflict      the bars of one series come from two providers
        TrainingDataError         the bars do not suffice for the requested training
            LeakFound             a value in the training uses data from its future
        TrainingDiverged          the loss is no longer a finite number
        ProviderError             a provider delivered no bars
            ProviderUnreachable
            NoBars                it answers, but has no bars in the range
        StorageError              a disk, the registry or a bridge cannot be used
            BridgeError           a bridge file is missing, foreign or damaged
        ServerUnreachable         no ktrdr server answers at the address

Messages name the place, the rule and the value; `hint` names the nearest valid value or the
command that fixes it. HTTP statuses are mapped in `api/problems.py` and exit codes in `cli/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, ClassVar


class KtrdrError(Exception):
    """Base of all errors.

    detail: what is wrong
    hint: what to do about it; may be empty
    context: the data of the error
    """

    code: ClassVar[str] = "error"

    def __init__(self, detail: str, *, hint: str = "", **context: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.context = context


class InputError(KtrdrError):
    code = "invalid_input"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a document.

    path: the place, such as `indicators[2].period`
    message: what is wrong, as the rest of a sentence that begins with `path`
    value: the wrong value
    suggestion: the nearest valid name, if one is similar
    line: the line in the document, counted from 1
    """

    path: str
    message: str
    value: Any = None
    suggestion: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        nearest = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{place}{self.path} {self.message}{nearest}"


class StrategyError(InputError):
    code = "invalid_strategy"

    def __init__(self, faults: Sequence[Fault], *, hint: str = "") -> None:
        self.faults = tuple(faults)
        detail = "; ".join(str(fault) for fault in self.faults)
        super().__init__(detail, hint=hint, faults=[asdict(fault) for fault in self.faults])


class BarsError(InputError):
    code = "invalid_bars"


class CursorError(InputError):
    code = "invalid_cursor"


class NotFoundError(KtrdrError):
    code = "not_found"


class OperationNotFound(NotFoundError):
    code = "operation_not_found"


class SeriesNotFound(NotFoundError):
    code = "series_not_found"


class ArtifactNotFound(NotFoundError):
    code = "artifact_not_found"


class IndicatorNotFound(NotFoundError):
    code = "indicator_not_found"


class ConflictError(KtrdrError):
    code = "conflict"


class OperationNotTerminal(ConflictError):
    code = "operation_not_terminal"


class OperationTerminal(ConflictError):
    code = "operation_terminal"


class CheckpointMismatch(ConflictError):
    code = "checkpoint_mismatch"


class ProviderConflict(ConflictError):
    code = "provider_conflict"


class HomeInUse(ConflictError):
    code = "home_in_use"


class RegistryInUse(ConflictError):
    code = "registry_in_use"


class TrainingDataError(KtrdrError):
    code = "training_data"


class LeakFound(TrainingDataError):
    code = "leak_found"


class TrainingDiverged(KtrdrError):
    code = "training_diverged"


class ProviderError(KtrdrError):
    code = "provider_failed"


class ProviderUnreachable(ProviderError):
    code = "provider_unreachable"


class NoBars(ProviderError):
    code = "no_bars"


class StorageError(KtrdrError):
    code = "storage_failed"


class BridgeError(StorageError):
    code = "bridge_failed"


class ServerUnreachable(KtrdrError):
    code = "server_unreachable"


def rebuild(code: str, detail: str, hint: str, context: Mapping[str, Any]) -> KtrdrError:
    """Recreate an error that another process raised, by its code."""
    kind = next((kind for kind in _kinds(KtrdrError) if kind.code == code), KtrdrError)
    error = kind.__new__(kind)
    KtrdrError.__init__(error, detail, hint=hint, **context)
    return error


def _kinds(base: type[KtrdrError]) -> Iterator[type[KtrdrError]]:
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate most similar to `name`, or None when none is similar enough."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    matches = get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[matches[0]] if matches else None
