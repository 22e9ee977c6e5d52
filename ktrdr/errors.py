"""Every error that ktrdr raises on purpose.

    KtrdrError
        InputError                the input is invalid
            StrategyError         all faults of one strategy, with their paths
            BarsError             rows that break the schema of bars, with their numbers
            CursorError           a metrics cursor outside the valid range
            PluginError           a plugin cannot be loaded, or does not do what it declares
        NotFoundError             the named thing does not exist
            OperationNotFound
            SeriesNotFound
            TableNotFound
            ArtifactNotFound
            IndicatorNotFound
        ConflictError             a valid request that the present state does not allow
            HomeInUse             another server holds the folder
            RegistryInUse         the registry serves another home, or another server
            OperationNotTerminal
            OperationTerminal
            CheckpointMismatch    the checkpoint belongs to other data or another strategy
            PluginMismatch        a plugin has changed or is missing
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

The texts of all errors have a limit here, whatever they quote: a client that polls, a terminal and a registry get a
sentence, and the worker writes the whole to `error.log` in the operation's folder.

Messages name the place, the rule and the value; `hint` names the nearest valid value or the
command that fixes it. HTTP statuses are mapped in `api/problems.py` and exit codes in `cli/__init__.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from itertools import islice
from typing import Any, ClassVar

from ktrdr.masking import masked

MAX_CHARACTERS = 2_000
"""Of one text in an error."""

MAX_ENTRIES = 1_000
"""Of one list or mapping in an error's context."""

_NOTE_CHARACTERS = 50


def bounded(text: str, limit: int = MAX_CHARACTERS) -> str:
    """The text, or its beginning and the number of characters that are left out."""
    if len(text) <= limit:
        return text
    shown = limit - _NOTE_CHARACTERS
    return f"{text[:shown]}… ({len(text) - shown:,} more characters)"


def presentable(text: str) -> str:
    """The text bounded, and without the secrets of the addresses in it."""
    return bounded(masked(text))


def bounded_data(value: Any) -> Any:
    """The same data with all its texts presentable, and its lists and mappings cut."""
    if isinstance(value, str):
        return presentable(value)
    if isinstance(value, Mapping):
        return {key: bounded_data(item) for key, item in islice(value.items(), MAX_ENTRIES)}
    if isinstance(value, list | tuple):
        return [bounded_data(item) for item in value[:MAX_ENTRIES]]
    return value


class KtrdrError(Exception):
    """Base of all errors.

    detail: what is wrong
    whole: the detail without a limit of length, for logs
    hint: what to do about it; may be empty
    context: the data of the error. One key means one thing in all errors: `faults` is a list of what is wrong, each
        with a message and its place (a document's path, or rows); a data quality report is under `quality`.
    """

    code: ClassVar[str] = "error"

    def __init__(self, detail: str, *, hint: str = "", **context: Any) -> None:
        self.whole = masked(detail)
        self.detail = bounded(self.whole)
        self.hint = presentable(hint)
        self.context: dict[str, Any] = bounded_data(context)
        super().__init__(self.detail)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults of a document, where the error's context lists them."""
        entries = self.context.get("faults")
        listed = entries if isinstance(entries, list) else []
        return tuple(Fault.from_dict(entry) for entry in listed if isinstance(entry, Mapping) and "path" in entry)


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", bounded(self.message))

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Fault:
        """Read an entry of an error's context, which has a path at least."""
        names = (field.name for field in fields(cls))
        return cls(**{"message": "", **{name: entry[name] for name in names if name in entry}})

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        nearest = f"; did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{place}{self.path} {self.message}{nearest}"


class StrategyError(InputError):
    code = "invalid_strategy"

    def __init__(self, faults: Sequence[Fault], *, hint: str = "") -> None:
        super().__init__("; ".join(map(str, faults)), hint=hint, faults=[asdict(fault) for fault in faults])


class BarsError(InputError):
    code = "invalid_bars"


class CursorError(InputError):
    code = "invalid_cursor"


class PluginError(InputError):
    code = "plugin_failed"


class NotFoundError(KtrdrError):
    code = "not_found"


class OperationNotFound(NotFoundError):
    code = "operation_not_found"


class SeriesNotFound(NotFoundError):
    code = "series_not_found"


class TableNotFound(NotFoundError):
    code = "table_not_found"


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


class PluginMismatch(ConflictError):
    code = "plugin_mismatch"


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


FINAL_ERRORS = frozenset(error.code for error in (TrainingDataError, LeakFound, TrainingDiverged))
"""Codes of errors that the same inputs give again, so that it helps nothing to resume."""


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
    KtrdrError.__init__(error, detail, hint=hint)
    error.context = bounded_data(context)
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
