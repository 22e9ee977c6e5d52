"""Checks a home, says what is wrong and what to do, and repairs when asked: `python -m ktrdr.doctor`.

A check reads. A repair moves what is damaged into `<home>/backup/<instant>/…`, so that nothing is ever lost by it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from ktrdr.errors import InputError, KtrdrError, StorageError
from ktrdr.executors.outcome import read_outcome
from ktrdr.home import Home, HomeLock, holder_of, is_held
from ktrdr.operations.bridge import BridgeFileError, ProgressBridge
from ktrdr.operations.operation import OperationStatus, WorkerIdentity
from ktrdr.settings import read_settings

BACKUP = "backup"
_FREE_BYTES_NEEDED = 200 * 1024**2
_PARQUET = b"PAR1"
_SAFETENSORS_METADATA = "__metadata__"
_BRIDGE_OF_ANY_VERSION = b"KTRDRBR"
_DRAFTS = (".tmp", ".new")
_TRAINING = "TRAINING"
_COMPLETED = str(OperationStatus.COMPLETED)
WORKERS = "workers"


class Level(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Harmless, or mended by the next start of the server."""
    FAULT = "FAULT"


Repair = Callable[["Backup"], str]
"""Mends it, keeping what it replaces; what was done, in words."""


@dataclass(slots=True)
class Finding:
    level: Level
    subject: str
    what: str
    advice: str = ""
    repair: Repair | None = field(default=None, repr=False)
    repaired: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "level": self.level.lower(),
            "subject": self.subject,
            "what": self.what,
            "advice": self.advice,
            "repairable": self.repair is not None,
            "repaired": self.repaired or None,
        }


@dataclass(frozen=True, slots=True)
class Record:
    """What the registry says about one operation, as far as a check needs it."""

    operation_id: str
    operation_type: str
    status: str
    worker: WorkerIdentity | None

    @property
    def has_ended(self) -> bool:
        return self.status not in (OperationStatus.PENDING, OperationStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Registry:
    """`records` is None where they cannot be known."""

    records: list[Record] | None
    findings: list[Finding]


class Backup:
    """A folder, made when the first thing goes into it, in which everything keeps its path within the home."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.folder = home / BACKUP / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"

    def place_for(self, path: Path) -> Path:
        place = self.folder / path.relative_to(self._home)
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def move(self, *paths: Path) -> str:
        for path in paths:
            if path.exists() or path.is_symlink():
                os.rename(path, self.place_for(path))
        return f"moved to {self.folder.relative_to(self._home)}"

    def copy(self, *paths: Path) -> None:
        for path in paths:
            if path.exists():
                shutil.copy2(path, self.place_for(path))


def examine(home: Home, *, registry_elsewhere: bool = False) -> list[Finding]:
    """Everything that is wrong with a home, and a line for each part that is sound. Changes nothing."""
    findings = list(_check_folder(home.root))
    if registry_elsewhere:
        note = "KTRDR_DATABASE_URL names another place; records are not compared with folders"
        registry = Registry(None, [Finding(Level.NOTE, "registry", note)])
    else:
        registry = _check_registry(home.registry)
    findings += registry.findings
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        findings += _summed("operations", *_check_operations(home.operations, registry.records))
        findings += _summed("bars", *_check_bars(home.bars, pool))
        findings += _summed("models", *_check_models(home.models, registry.records, pool))
    findings += _check_leftovers(home)
    return findings


def workers_alive(findings: Iterable[Finding]) -> bool:
    return any(finding.subject == WORKERS for finding in findings)


def _summed(subject: str, findings: Iterable[Finding], sound: str) -> list[Finding]:
    found = list(findings)
    return (
        found if any(finding.level is Level.FAULT for finding in found) else [Finding(Level.OK, subject, sound), *found]
    )


# -- the folder ------------------------------------------------------------------------------------------------------


def _check_folder(root: Path) -> Iterator[Finding]:
    advice = "fix its permissions, or choose another folder with KTRDR_HOME"
    if os.statvfs(root).f_flag & os.ST_RDONLY:
        yield Finding(Level.FAULT, "folder", f"{root} is on a disk that is mounted read-only", advice)
        return
    refused = [folder for folder in (root, *_folders(root)) if not os.access(folder, os.R_OK | os.W_OK | os.X_OK)]
    for folder in refused:
        yield Finding(Level.FAULT, "folder", f"{folder} cannot be read and written", advice)
    free = shutil.disk_usage(root).free
    if free < _FREE_BYTES_NEEDED:
        advice = "make room: see ktrdr operations prune, and the folder backup"
        yield Finding(Level.FAULT, "folder", f"only {_size(free)} are free", advice)
    elif not refused:
        yield Finding(Level.OK, "folder", f"can be written, {_size(free)} free")


def _folders(root: Path) -> Iterator[Path]:
    return (entry for entry in root.iterdir() if entry.is_dir()) if os.access(root, os.R_OK | os.X_OK) else iter(())


# -- the registry ----------------------------------------------------------------------------------------------------


def _check_registry(path: Path) -> Registry:
    from ktrdr.registry import layout

    if not path.exists():
        advice = "normal for a new home; else put a copy of it back before the next start"
        return Registry(None, [Finding(Level.NOTE, "registry", f"{path.name} does not exist", advice)])
    try:
        with layout.connected(path) as connection:
            return _check_tables(path, connection)
    except SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error)
        if "locked" in cause:
            return Registry(None, [Finding(Level.FAULT, "registry", f"{path.name} is locked", "look again later")])
        return Registry(None, [_damaged_registry(path, cause)])


def _check_tables(path: Path, connection: Connection) -> Registry:
    from ktrdr.registry import layout

    damage = list(connection.execute(text("PRAGMA integrity_check(5)")).scalars())
    if damage != ["ok"]:
        return Registry(None, [_damaged_registry(path, "; ".join(damage))])
    if tables := layout.missing_tables(connection):
        return Registry(None, [_damaged_registry(path, f"it has no table {', '.join(tables)}")])
    columns = layout.missing_columns(connection)
    older = [_older_layout(path, columns)] if columns else []
    if _RECORD_COLUMNS.intersection(columns):
        return Registry(None, older)
    if broken := layout.unreadable_records(connection):
        how = f"{len(broken):,} records cannot be read, such as that of {broken[0]}"
        return Registry(None, [_damaged_registry(path, how), *older])
    records = [_record(row) for row in connection.execute(text(_RECORDS))]
    sound = Finding(Level.OK, "registry", f"{len(records):,} operations, {_size(path.stat().st_size)}")
    return Registry(records, older or [sound])


_RECORDS = "SELECT operation_id, operation_type, status, worker_pid, worker_started_at FROM operations"
_RECORD_COLUMNS = {
    f"operations.{name}"
    for name in ("operation_type", "status", "worker_pid", "worker_started_at", "details", "results")
}


def _record(row: Sequence[Any]) -> Record:
    worker = WorkerIdentity(row[3], row[4]) if row[3] is not None and row[4] is not None else None
    return Record(row[0], row[1], row[2], worker)


def _older_layout(path: Path, columns: list[str]) -> Finding:
    what = f"{path.name} is of an older layout: it has no {', '.join(columns)}"
    advice = "--repair adds them, or makes a new registry with what can be taken over"
    return Finding(Level.FAULT, "registry", what, advice, lambda backup: _bring_up_to_date(path, backup))


_REPAIR_REGISTRY = "put a copy of it back; or --repair makes a new one from the records that can still be read"


def _damaged_registry(path: Path, how: str) -> Finding:
    what = f"{path.name} is damaged: {how}"
    return Finding(Level.FAULT, "registry", what, _REPAIR_REGISTRY, lambda backup: _rebuild(path, backup))


def _bring_up_to_date(path: Path, backup: Backup) -> str:
    from ktrdr.registry import layout

    backup.copy(path, *layout.log_files(path))
    try:
        with layout.connected(path, writes=True) as connection:
            layout.add_missing_columns(connection)
    except SQLAlchemyError:
        return _rebuild(path, backup)
    return f"added the columns; the file as it was is in {backup.folder}"


def _rebuild(path: Path, backup: Backup) -> str:
    from ktrdr.registry import layout

    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    operations, metrics = layout.salvage(path, fresh)
    backup.move(path, *layout.log_files(path))
    os.replace(fresh, path)
    return f"made a new one with {operations:,} operations and {metrics:,} metrics; the old one is in {backup.folder}"


# -- operations ------------------------------------------------------------------------------------------------------


def _check_operations(root: Path, known: list[Record] | None) -> tuple[list[Finding], str]:
    folders = {path.name: path for path in sorted(_folders(root))} if root.is_dir() else {}
    records = {record.operation_id: record for record in known or ()}
    findings = [] if known is None else [_unrecorded(folders[name]) for name in folders if name not in records]
    unfinished = [record for record in records.values() if not record.has_ended]
    live = [record for record in unfinished if record.worker and _is_alive(record.worker)]
    if live:
        at_work = ", ".join(record.operation_id for record in live)
        findings.append(Finding(Level.NOTE, WORKERS, f"{len(live)} at work: {at_work}"))
    findings += [_unfinished(record, folders.get(record.operation_id)) for record in unfinished if record not in live]
    gone = [name for name, record in records.items() if record.has_ended and name not in folders]
    if gone:
        what = f"{len(gone):,} have no folder any more, such as {gone[0]}"
        findings.append(Finding(Level.NOTE, "operations", what, "record, results and metrics are in the registry"))
    for name, folder in folders.items():
        findings += _check_operation(folder, records.get(name))
    return findings, f"{len(folders):,} folders"


def _is_alive(worker: WorkerIdentity) -> bool:
    from ktrdr.executors.local import is_alive

    return is_alive(worker)


def _unrecorded(folder: Path) -> Finding:
    return Finding(
        Level.NOTE,
        "operations",
        f"{folder.name} has a folder but no record",
        "nothing shows it: put the registry back that has it; or --repair moves the folder away",
        lambda backup: backup.move(folder),
    )


def _unfinished(record: Record, folder: Path | None) -> Finding:
    what = f"{record.operation_id} is {record.status} and no worker is at it" + ("" if folder else "; it has no folder")
    return Finding(Level.NOTE, "operations", what, "the next start of the server settles it: ktrdr serve")


def _check_operation(folder: Path, record: Record | None) -> Iterator[Finding]:
    for path, check in ((folder / "bridge", _bridge_damage), (folder / "job.json", _json_damage)):
        if path.exists() and (damage := check(path)):
            if path.name == "bridge" and record and record.has_ended and _is_of_any_version(path):
                continue
            yield _damaged_part(path, damage, record)
    try:
        read_outcome(folder)
    except (OSError, ValueError) as error:
        yield _damaged_part(folder / "outcome.json", str(error), record)


def _damaged_part(path: Path, damage: str, record: Record | None) -> Finding:
    kept = "the registry has what it held; " if record and record.has_ended else ""
    return Finding(
        Level.FAULT,
        "operations",
        f"{path.parent.name}/{path.name} is damaged: {damage}",
        f"{kept}--repair moves it away",
        lambda backup: backup.move(path),
    )


def _bridge_damage(path: Path) -> str:
    try:
        with ProgressBridge(path) as bridge:
            bridge.get_status()
            _ = bridge._metrics_history[-1:]
    except BridgeFileError as damage:
        return str(damage).removeprefix(f"bridge {path} ").removeprefix("is damaged: ")
    except Exception as error:  # noqa: BLE001 (any content may stand in a damaged file)
        return f"{type(error).__name__}: {error}"
    return ""


def _is_of_any_version(path: Path) -> bool:
    """An ended operation's bridge is of no more use, so one of an earlier version is no fault."""
    with path.open("rb") as file:
        return file.read(len(_BRIDGE_OF_ANY_VERSION)) == _BRIDGE_OF_ANY_VERSION


def _json_damage(path: Path) -> str:
    try:
        is_object = isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError) as error:
        return str(error)
    return "" if is_object else "it is no JSON object"


# -- bars ------------------------------------------------------------------------------------------------------------


def _check_bars(root: Path, pool: ThreadPoolExecutor) -> tuple[list[Finding], str]:
    paths = sorted(root.glob("*/*.parquet"))
    return [finding for finding in pool.map(_check_series, paths) if finding], f"{len(paths):,} series"


def _check_series(path: Path) -> Finding | None:
    from ktrdr.market import series_file

    try:
        series_file.info(path)
        series_file.read(path)
    except StorageError as damage:
        what = damage.detail.replace(str(path), f"{path.parent.name}/{path.name}")
        return Finding(Level.FAULT, "bars", what, damage.hint, lambda backup: backup.move(path))
    return None


# -- models ----------------------------------------------------------------------------------------------------------


def _check_models(root: Path, known: list[Record] | None, pool: ThreadPoolExecutor) -> tuple[list[Finding], str]:
    folders = {path.name: path for path in sorted(_folders(root))} if root.is_dir() else {}
    ids = {record.operation_id for record in known or ()}
    completed = {r.operation_id for r in known or () if r.operation_type == _TRAINING and r.status == _COMPLETED}
    findings = [_without_folder(name) for name in sorted(completed - folders.keys())]
    if known is not None:
        unknown = sorted(folders.keys() - ids)
        findings += [_without_record(name) for name in unknown]
    for found in pool.map(lambda item: list(_check_model(item[1], item[0] in completed)), folders.items()):
        findings += found
    return findings, f"{len(folders):,} folders"


def _without_folder(name: str) -> Finding:
    return Finding(Level.FAULT, "models", f"{name} is COMPLETED and its folder is gone", "put it back, or train again")


def _without_record(name: str) -> Finding:
    advice = "nothing shows it: put the registry back that has it, or remove the folder when it is of no more use"
    return Finding(Level.NOTE, "models", f"{name} has files but no record", advice)


def _check_model(folder: Path, is_complete: bool) -> Iterator[Finding]:
    for name, check in _MODEL_FILES.items():
        path = folder / name
        if not path.exists():
            if is_complete:
                what = f"{folder.name}/{name} is gone"
                yield Finding(Level.FAULT, "models", what, "put it back, or train again")
        elif damage := check(path):
            yield _damaged_model_file(path, folder, damage, "train again, or put a copy back")
    for path in sorted(folder.glob("checkpoints/*.safetensors")):
        if damage := _checkpoint_damage(path):
            advice = "a training is resumed from the one before it, where there is one"
            yield _damaged_model_file(path, folder, damage, advice)


def _damaged_model_file(path: Path, folder: Path, damage: str, advice: str) -> Finding:
    return Finding(
        Level.FAULT,
        "models",
        f"{path.relative_to(folder.parent)} is damaged: {damage}",
        f"{advice}; --repair moves it away",
        lambda backup: backup.move(path),
    )


def _parquet_damage(path: Path) -> str:
    content = path.read_bytes()
    is_whole = len(content) > 2 * len(_PARQUET) and content[:4] == content[-4:] == _PARQUET
    return "" if is_whole else "it is no whole Parquet file"


def _weights_damage(path: Path) -> str:
    """By the header, which says where each tensor ends."""
    try:
        with path.open("rb") as file:
            header, start = _safetensors_header(file)
        ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != _SAFETENSORS_METADATA]
        is_whole = start + max(ends, default=0) == path.stat().st_size
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"it is no safetensors file ({error})"
    return "" if is_whole else "it is not as long as its header says"


def _checkpoint_damage(path: Path) -> str:
    """By the checksum that `training.checkpoint` writes; without torch, whose import takes longer than all of this."""
    if damage := _weights_damage(path):
        return damage
    try:
        with path.open("rb") as file:
            header, _ = _safetensors_header(file)
            tensors = memoryview(file.read())
        head = json.loads(header.pop(_SAFETENSORS_METADATA)["ktrdr"])
        checksum = 0
        for name in sorted(header):
            start, end = header[name]["data_offsets"]
            checksum = zlib.crc32(tensors[start:end], checksum)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"it is no checkpoint ({error})"
    return "" if head.get("crc32") == checksum else "its content does not match its checksum"


def _safetensors_header(file: IO[bytes]) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors' bytes start."""
    size = int.from_bytes(file.read(8), "little")
    if not 0 < size <= os.fstat(file.fileno()).st_size:
        raise ValueError("its header is cut off")
    header: dict[str, Any] = json.loads(file.read(size))
    return header, 8 + size


_MODEL_FILES: Mapping[str, Callable[[Path], str]] = {
    "model.safetensors": _weights_damage,
    "model.json": _json_damage,
    "metrics.parquet": _parquet_damage,
}


# -- leftovers -------------------------------------------------------------------------------------------------------


def _check_leftovers(home: Home) -> Iterator[Finding]:
    drafts = [path for folder in (home.bars, home.models, home.operations) for path in sorted(_drafts(folder))]
    uploads = sorted(home.uploads.iterdir()) if home.uploads.is_dir() else []
    for paths, what in ((drafts, "temporary files of writers that were killed"), (uploads, "uploads that never ended")):
        if paths:
            size = _size(sum(path.stat().st_size for path in paths if path.is_file()))
            yield _leftover(paths, f"{len(paths):,} {what}, {size}, such as {paths[0].relative_to(home.root)}")


def _leftover(paths: list[Path], what: str) -> Finding:
    advice = "they do no harm; --repair moves them away"
    return Finding(Level.NOTE, "leftovers", what, advice, lambda backup: backup.move(*paths))


def _drafts(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if name.endswith(_DRAFTS))


# -- the command -----------------------------------------------------------------------------------------------------


def repair(home: Home, findings: Iterable[Finding]) -> Backup:
    """Mend what can be. Raises StorageError when the disk refuses; what was mended until then stays so."""
    backup = Backup(home.root)
    for finding in findings:
        if finding.repair:
            try:
                finding.repaired = finding.repair(backup)
            except (OSError, sqlite3.Error) as error:
                raise StorageError(f"{finding.what}: it cannot be repaired: {error}", hint="make room") from error
    return backup


def _is_healthy(findings: Iterable[Finding]) -> bool:
    return all(finding.level is not Level.FAULT or finding.repaired for finding in findings)


def _size(size_bytes: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} GB"


def _text(home: Home, server: int | None, findings: Sequence[Finding], note: str) -> Iterator[str]:
    yield f"home    {home.root}"
    yield f"server  {f'running, process {server}' if server else 'not running'}"
    yield ""
    for finding in findings:
        yield f"{finding.level:5}  {finding.subject:10}  {finding.what}"
        if finding.repaired:
            yield f"{'':19}  repaired: {finding.repaired}"
        elif finding.advice:
            yield f"{'':19}  → {finding.advice}"
    yield ""
    faults = [finding for finding in findings if finding.level is Level.FAULT and not finding.repaired]
    if not faults:
        yield "Healthy." if not any(finding.repaired for finding in findings) else "Repaired."
    else:
        yield f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}."
    if note:
        yield note


def _note(findings: Sequence[Finding], wants_repair: bool, in_use: bool) -> str:
    mendable = any(finding.repair and not finding.repaired for finding in findings)
    if wants_repair and in_use and mendable:
        return "Nothing was repaired, because a server or a worker is using this home: stop it first."
    if mendable and not wants_repair:
        return "What can be repaired is repaired by: ktrdr doctor --repair"
    return ""


def _home(argument: str | None) -> tuple[Home, bool]:
    settings = read_settings(**({"ktrdr_home": argument} if argument else {}))
    home = Home(settings.ktrdr_home)
    if not home.root.is_dir():
        raise InputError(
            f"there is no folder {home.root}", hint="name one with --home, or see KTRDR_HOME with: ktrdr config show"
        )
    return home, bool(settings.ktrdr_database_url) and not argument


def run(home: Home, *, registry_elsewhere: bool, wants_repair: bool, as_json: bool) -> int:
    server = holder_of(home) if is_held(home) else None
    findings = examine(home, registry_elsewhere=registry_elsewhere)
    if server:
        # They are in use: what looks left over is being written.
        findings = [finding for finding in findings if finding.subject != "leftovers"]
    in_use = server is not None or workers_alive(findings)
    kept: Path | None = None
    if wants_repair and not in_use and any(finding.repair for finding in findings):
        with HomeLock(home):
            kept = repair(home, findings).folder
        # What was moved away may be missing now.
        repaired = [finding for finding in findings if finding.repaired]
        findings = [*repaired, *examine(home, registry_elsewhere=registry_elsewhere)]
    note = _note(findings, wants_repair, in_use)
    healthy = _is_healthy(findings)
    if as_json:
        report = {
            "home": str(home.root),
            "server_pid": server,
            "healthy": healthy,
            "findings": [finding.as_json() for finding in findings],
            "backup": str(kept) if kept and kept.is_dir() else None,
            "note": note,
        }
        lines: Iterable[str] = [json.dumps(report, indent=2, ensure_ascii=False)]
    else:
        lines = _text(home, server, findings, note)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if healthy else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ktrdr doctor", description="Check a home, and repair it when asked.")
    parser.add_argument("--home", help="folder to check (KTRDR_HOME)")
    parser.add_argument("--repair", action="store_true", help="repair what can be, keeping a backup")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)
    try:
        home, registry_elsewhere = _home(chosen.home)
        return run(home, registry_elsewhere=registry_elsewhere, wants_repair=chosen.repair, as_json=chosen.json)
    except KtrdrError as error:
        sys.stderr.write(f"error: {error.detail}\nhint: {error.hint}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
