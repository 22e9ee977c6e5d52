"""BundleService: takes trained models out of this home in one file, and into it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ktrdr import __version__, bundles
from ktrdr.api.services.bundled_looks import read_looks, records_of
from ktrdr.api.services.bundled_records import read_record, record_of
from ktrdr.api.services.uploads import receive
from ktrdr.errors import ArtifactNotFound, ConflictError, InputError, NotFoundError, OperationNotFound, StorageError
from ktrdr.executors.outcome import JOB, outcome_of
from ktrdr.files import make_folder, move_folder
from ktrdr.findings import Level, subfolders
from ktrdr.home import Home
from ktrdr.jobs.kinds import job_of
from ktrdr.jobs.parts import TRAINING_TYPE
from ktrdr.ledger.store import Ledger
from ktrdr.ledger.stored_look import StoredLook
from ktrdr.operations.operation import Operation
from ktrdr.operations.service import OperationsService
from ktrdr.operations.store import EndedOperation
from ktrdr.payloads.bundles import FILE_NAME, MOST_BYTES, BundledFile, Manifest, Unpacked, Verification
from ktrdr.payloads.jobs import FoldsJob
from ktrdr.saved_models import check, checksums

_NAME = re.compile(FILE_NAME)
_DOCUMENTS = ("records", "looks")
"""Folders of a bundle whose files are read, and not moved into the home."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that is about to be sent.

    manifest: what it holds
    contents: its records' bytes and its files' paths, by their paths in the archive
    """

    manifest: Manifest
    contents: Mapping[str, bundles.Content]

    @property
    def filename(self) -> str:
        return f"{self.manifest.operation_id}{bundles.SUFFIX}"

    @property
    def size_bytes(self) -> int:
        return bundles.archive_size(self.manifest)

    def chunks(self) -> Iterator[bytes]:
        return bundles.write(self.manifest, self.contents)


class BundleService:
    """Models arrive whole or not at all: files are moved in first, and the records follow in one transaction.

    A kill in between leaves folders that no record names. The same bundle is then unpacked again over them.
    """

    def __init__(self, operations: OperationsService, home: Home, ledger: Ledger) -> None:
        self._operations = operations
        self._home = home
        self._ledger = ledger
        self._unpacking = asyncio.Lock()

    async def pack(self, operation_id: str) -> Bundle:
        """A training that has ended, with its folds if it has any.

        Raises NotFoundError, and ConflictError while it runs or when its files are not as they were written.
        """
        members = await self._members(operation_id)
        for member in members:
            if not member.status.is_terminal:
                raise ConflictError(
                    f"operation {member.operation_id} is {member.status}; it can be packed once it has ended",
                    operation_status=str(member.status),
                )
        records = {f"records/{each.operation_id}.json": await record_of(self._operations, each) for each in members}
        return await asyncio.to_thread(self._bundle, operation_id, members, records)

    async def verify(self, operation_id: str) -> Verification:
        """Compare the files of a training and its folds with their recorded checksums. Raises NotFoundError."""
        folders = [self._home.models / each.operation_id for each in await self._members(operation_id)]
        return await asyncio.to_thread(_verify, operation_id, folders)

    async def unpack(self, chunks: AsyncIterator[bytes]) -> Unpacked:
        """Take in the models of a bundle that is sent.

        Raises InputError when it is no sound bundle, ConflictError when a model of it is here already, StorageError.
        """
        place = self._home.scratch / f"unpack-{os.urandom(8).hex()}"
        try:
            await receive(place / "bundle.tar", chunks)
            async with self._unpacking:
                return await self._take_in(place)
        finally:
            await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)

    async def _members(self, operation_id: str) -> list[Operation]:
        """The training, and the trainings of its folds. Raises NotFoundError."""
        operation = await self._operations.get_operation(operation_id)
        if operation.operation_type != TRAINING_TYPE:
            raise NotFoundError(
                f"operation {operation_id} is no training ({operation.operation_type}); it has no model",
                hint="list models with: ktrdr models list",
            )
        job = job_of(operation)
        return [operation, *(await self._folds(operation, job) if isinstance(job, FoldsJob) else ())]

    async def _folds(self, whole: Operation, job: FoldsJob) -> list[Operation]:
        """Those that it started itself, and those that it took over from an earlier attempt."""
        started = {each.operation_id: each for each in await self._operations.children(whole.operation_id)}
        folds = {name: each for name, each in started.items() if job_of(each).part is not None}
        for name in {*job.completed.values(), *job.checkpoints.values()} - folds.keys():
            try:
                folds[name] = await self._operations.get_operation(name)
            except OperationNotFound:
                continue  # it was pruned
        return [folds[name] for name in sorted(folds)]

    def _bundle(self, operation_id: str, members: list[Operation], records: Mapping[str, bytes]) -> Bundle:
        if not (self._home.models / operation_id).is_dir():
            raise ArtifactNotFound(f"the files of {operation_id} are gone", hint="see what else is with: ktrdr doctor")
        contents: dict[str, bundles.Content] = dict(records)
        contents |= records_of(self._ledger, [member.operation_id for member in members])
        for member in members:
            contents |= self._files(member.operation_id)
        try:
            described = tuple(bundles.describe(path, contents[path]) for path in sorted(contents))
        except OSError as error:
            raise StorageError(f"{error.filename} cannot be read: {error.strerror}") from error
        if sum(file.size_bytes for file in described) > MOST_BYTES:
            raise ConflictError(f"the files of {operation_id} are larger than a bundle may be ({MOST_BYTES:,} bytes)")
        return Bundle(Manifest(ktrdr=__version__, operation_id=operation_id, files=described), contents)

    def _files(self, operation_id: str) -> Iterator[tuple[str, Path]]:
        """Every file of one training by its path in the archive. Raises ConflictError when one is damaged."""
        model, folder = self._home.models / operation_id, self._home.operations / operation_id
        if damaged := checksums.differences(model):
            raise ConflictError(
                f"the model is not as it was trained: {'; '.join(damaged)}", hint="restore its files from a copy"
            )
        for path in (folder / JOB, outcome_of(folder), *model.glob("*"), *model.glob("*/*")):
            relative = path.relative_to(self._home.root)
            if all(map(_NAME.fullmatch, relative.parts)) and path.is_file() and not path.is_symlink():
                yield relative.as_posix(), path

    async def _take_in(self, place: Path) -> Unpacked:
        manifest = await asyncio.to_thread(_extract, place)
        records = await asyncio.to_thread(_read_records, place, manifest)
        await asyncio.to_thread(_check_models, place, records)
        looks = await asyncio.to_thread(_read_looks, place, manifest)
        for record in records:
            await self._check_unknown(record.operation.operation_id)
        await asyncio.to_thread(self._move_in, place, manifest)
        await asyncio.to_thread(self._ledger.merge, looks)
        await self._operations.add_ended(records)
        return Unpacked(
            operation_id=manifest.operation_id,
            operation_ids=manifest.operation_ids,
            files=len(manifest.files),
            size_bytes=manifest.size_bytes,
        )

    async def _check_unknown(self, operation_id: str) -> None:
        try:
            await self._operations.get_operation(operation_id)
        except OperationNotFound:
            return
        raise ConflictError(
            f"operation {operation_id} is here already; nothing was unpacked",
            hint=f"see it with: ktrdr models show {operation_id}",
        )

    def _move_in(self, place: Path, manifest: Manifest) -> None:
        """Move every folder to its place, or leave an equal one that is there. Raises ConflictError, StorageError."""
        paths = [Path(file.path).parts for file in manifest.files]
        folders = sorted({parts[:2] for parts in paths if parts[0] not in _DOCUMENTS})
        try:
            there = [parts for parts in folders if self._home.root.joinpath(*parts).exists()]
            for parts in there:
                self._check_equal(Path(*parts), manifest)
            for parts in folders:
                if parts not in there:
                    make_folder(self._home.root / parts[0])
                    move_folder(place.joinpath(*parts), self._home.root.joinpath(*parts))
        except OSError as error:
            raise StorageError(f"the model cannot be moved in: {error}", hint="make room") from error

    def _check_equal(self, folder: Path, manifest: Manifest) -> None:
        named = [file for file in manifest.files if Path(file.path).is_relative_to(folder)]
        present = {path for path in (self._home.root / folder).rglob("*") if path.is_file()}
        if present != {self._home.root / file.path for file in named} or not all(map(self._is_equal, named)):
            raise ConflictError(
                f"{self._home.root / folder} is there already, with other files, and no record names it",
                hint="see what it is with: ktrdr doctor; then move it away and unpack again",
            )

    def _is_equal(self, file: BundledFile) -> bool:
        return bundles.describe(file.path, self._home.root / file.path) == file


def _extract(place: Path) -> Manifest:
    """Raises InputError, which names every file with a wrong checksum, and StorageError."""
    try:
        with (place / "bundle.tar").open("rb") as archive:
            manifest = bundles.read_manifest(archive)
            wrong = bundles.read_files(archive, manifest, place)
    except OSError as error:
        raise StorageError(f"the bundle cannot be unpacked: {error.strerror}", hint="make room") from error
    if wrong:
        raise InputError(
            f"the bundle is damaged: {', '.join(wrong)} {'have' if len(wrong) > 1 else 'has'} another checksum",
            hint="pack the model anew, or copy the bundle again",
        )
    return manifest


def _read_records(place: Path, manifest: Manifest) -> list[EndedOperation]:
    names = manifest.operation_ids
    return [read_record(name, (place / "records" / f"{name}.json").read_bytes()) for name in names]


def _read_looks(place: Path, manifest: Manifest) -> list[StoredLook]:
    files = [file for file in manifest.files if file.path.startswith("looks/")]
    return [look for file in files for look in read_looks(file.operation_id, (place / file.path).read_bytes())]


def _check_models(place: Path, records: list[EndedOperation]) -> None:
    """Raises InputError when the files of a model are damaged or incomplete."""
    completed = {each.operation.operation_id for each in records if each.operation.status == "COMPLETED"}
    findings = check.check(place / "models", {each.operation.operation_id for each in records}, completed)
    faults = [finding.what for finding in findings if finding.level is Level.FAULT]
    try:
        faults += [each for folder in subfolders(place / "models").values() for each in checksums.differences(folder)]
    except StorageError as error:
        faults.append(error.detail)
    if faults:
        raise InputError(f"the bundle holds no whole model: {'; '.join(faults)}", hint="pack the model anew")


def _verify(operation_id: str, folders: list[Path]) -> Verification:
    recorded = {folder: checksums.read_checksums(folder) for folder in folders}
    return Verification(
        subject=operation_id,
        files=sum(map(len, recorded.values())),
        differences=[sentence for folder in folders for sentence in checksums.differences(folder)],
        without_checksums=[folder.name for folder, names in recorded.items() if not names],
    )
