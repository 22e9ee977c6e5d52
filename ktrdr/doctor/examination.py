"""Collects the findings of every package about its part of a home, and runs the repairs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ktrdr.doctor import folder
from ktrdr.errors import StorageError
from ktrdr.executors import check as executors_check
from ktrdr.findings import Backup, Finding, Level
from ktrdr.home import Home, HomeLock, is_held, read_holder
from ktrdr.ledger import check as ledger_check
from ktrdr.market import check as market_check
from ktrdr.registry import check as registry_check
from ktrdr.saved_models import check as saved_models_check


@dataclass(frozen=True, slots=True)
class Examination:
    """The state of a home.

    home: the examined home
    is_served: whether a server runs on it
    server_pid: the process id of that server; None where there is none, or its lock file was deleted
    findings: finished repairs first, then one for each sound part and for each fault
    backup: the folder to which repairs moved files; None where nothing was moved
    """

    home: Home
    is_served: bool
    server_pid: int | None
    findings: tuple[Finding, ...]
    backup: Path | None = None

    @property
    def faults(self) -> list[Finding]:
        """The faults that are not repaired."""
        return [finding for finding in self.findings if finding.level is Level.FAULT and not finding.repaired]

    @property
    def is_repaired(self) -> bool:
        return any(finding.repaired for finding in self.findings)

    @property
    def is_repairable(self) -> bool:
        return any(finding.repair and not finding.repaired for finding in self.findings)

    @property
    def is_in_use(self) -> bool:
        return self.is_served or any(finding.subject == executors_check.WORKERS for finding in self.findings)


def examine(home: Home, *, registry_url: str = "") -> Examination:
    """Examine a home without changing it; `registry_url` names its registry where that is not the file in it."""
    is_served = is_held(home)
    findings = tuple(_findings(home, is_served, registry_url))
    return Examination(home, is_served, read_holder(home) if is_served else None, findings)


def _findings(home: Home, is_served: bool, registry_url: str) -> Iterator[Finding]:
    yield from folder.check(home.root)
    registry = registry_check.check_database(registry_url) if registry_url else registry_check.check(home.registry)
    yield from registry.findings
    yield from ledger_check.check(home.ledger)
    yield from executors_check.check(home.operations, registry.records)
    yield from market_check.check(home.bars)
    yield from saved_models_check.check(home.models, registry.recorded_ids, registry.completed_trainings)
    yield from folder.check_cache(home)
    if not is_served:
        yield from folder.check_leftovers(home)


def repair(examination: Examination, *, registry_url: str = "") -> Examination:
    """Make all possible repairs in a home that is not in use, and examine it again.

    Raises StorageError when the disk fails, and HomeInUse; repairs made until then remain.
    """
    if not examination.is_repairable:
        return examination
    backup = Backup(examination.home.root)
    with HomeLock(examination.home):
        repaired = tuple(_repaired(examination.findings, backup))
    # A file that was moved away may be missing now.
    after = examine(examination.home, registry_url=registry_url)
    return replace(
        after, findings=(*repaired, *after.findings), backup=backup.folder if backup.folder.is_dir() else None
    )


def _repaired(findings: Iterable[Finding], backup: Backup) -> Iterator[Finding]:
    for finding in findings:
        if finding.repair:
            try:
                yield replace(finding, repaired=finding.repair(backup))
            except (OSError, sqlite3.Error) as error:
                raise StorageError(f"{finding.what}: it cannot be repaired: {error}", hint="make room") from error
