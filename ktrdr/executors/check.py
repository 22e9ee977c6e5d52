"""Checks the folders of operations, and which recorded operations have a running worker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ktrdr.executors.identity import find_worker, is_gone, works_in
from ktrdr.executors.outcome import read_outcome
from ktrdr.findings import Finding, Level, check_json, damage, damaged_file, subfolders, summarised
from ktrdr.formatting import counted
from ktrdr.operations.check import RecordedOperation, bridge_damage

WORKERS = "workers"
_OPERATIONS = "operations"

Folders = Mapping[str, Path]
Records = Mapping[str, RecordedOperation]


def check(root: Path, records: Sequence[RecordedOperation] | None) -> list[Finding]:
    """`root` holds a folder for each operation; `records` is None where the registry cannot be read."""
    folders = subfolders(root)
    known = {record.operation_id: record for record in records or ()}
    unrecorded = () if records is None else _unrecorded(folders, known)
    findings = [
        *unrecorded,
        *_unfinished(folders, known),
        *_without_folder(folders, known),
        *_damaged_files(folders, known),
    ]
    return summarised(_OPERATIONS, counted(len(folders), "folder"), findings)


def _unrecorded(folders: Folders, records: Records) -> Iterator[Finding]:
    return (_unknown_folder(folder) for name, folder in folders.items() if name not in records)


def _unknown_folder(folder: Path) -> Finding:
    return Finding(
        Level.NOTE,
        _OPERATIONS,
        f"{folder.name} has a folder but no record",
        "nothing shows it: put the registry back that has it; or --repair moves the folder away",
        lambda backup: backup.move(folder),
    )


def _unfinished(folders: Folders, records: Records) -> Iterator[Finding]:
    unfinished = [record for record in records.values() if not record.has_ended]
    working = [record for record in unfinished if _is_at_work(record, folders)]
    if working:
        names = ", ".join(record.operation_id for record in working)
        yield Finding(Level.NOTE, WORKERS, f"{len(working)} at work: {names}")
    waited_for = {record.parent_id for record in unfinished}
    for record in unfinished:
        if record not in working and record.operation_id not in waited_for:
            without_folder = "" if record.operation_id in folders else "; it has no folder"
            what = f"{record.operation_id} is {record.status} and no worker is at it{without_folder}"
            yield Finding(Level.NOTE, _OPERATIONS, what, "the next start of the server settles it: ktrdr serve")


def _is_at_work(record: RecordedOperation, folders: Folders) -> bool:
    folder = folders.get(record.operation_id)
    if folder is None:
        return record.worker is not None and not is_gone(record.worker)
    with suppress(OSError):
        return (record.worker is not None and works_in(record.worker, folder)) or find_worker(folder) is not None
    return True


def _without_folder(folders: Folders, records: Records) -> Iterator[Finding]:
    gone = [name for name, record in records.items() if record.has_ended and name not in folders]
    if gone:
        what = f"{len(gone):,} have no folder any more, such as {gone[0]}"
        yield Finding(Level.NOTE, _OPERATIONS, what, "record, results and metrics are in the registry")


def _damaged_files(folders: Folders, records: Records) -> Iterator[Finding]:
    for name, folder in folders.items():
        yield from _check_folder(folder, has_ended=name in records and records[name].has_ended)


def _check_folder(folder: Path, *, has_ended: bool) -> list[Finding]:
    bridge, job, outcome = (folder / name for name in ("bridge", "job.json", "outcome.json"))
    damages = {
        bridge: bridge_damage(bridge, has_ended=has_ended),
        job: damage(check_json, job),
        outcome: damage(lambda _: read_outcome(folder), outcome),
    }
    advice = "its content is in the registry" if has_ended else "the operation cannot go on without it"
    return [damaged_file(_OPERATIONS, path, folder.parent, found, advice) for path, found in damages.items() if found]
