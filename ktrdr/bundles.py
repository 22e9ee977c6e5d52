"""Reads and writes bundles: models with their records in one file.

A bundle is an uncompressed tar archive: first the manifest, then exactly the files that it names, in its order. A
reader knows from the manifest what must come next, so it accepts no link, no other path, no second copy and no larger
file. All members have the same owner, mode and time: the same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, BinaryIO

from pydantic import ValidationError

from ktrdr.errors import InputError, StorageError
from ktrdr.payloads.bundles import VERSION, BundledFile, Manifest, Verification

SUFFIX = ".ktrdr.tar"
_MANIFEST = "manifest.json"
_MOST_MANIFEST_BYTES = 8 * 1024**2
_BLOCK = 512
_END = bytes(2 * _BLOCK)
_MOST_PADDING = 21 * _BLOCK
"""Other programs end an archive with two blocks of zeros, and fill it with more up to a multiple of 20 blocks."""
_CHUNK = 1024**2

Content = Path | bytes


def describe(path: str, content: Content) -> BundledFile:
    """The manifest's entry for a file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(content):
        digest.update(chunk)
        size += len(chunk)
    return BundledFile(path=path, size_bytes=size, sha256=digest.hexdigest())


def archive_size(manifest: Manifest) -> int:
    """The size in bytes of what `write` yields."""
    sizes = [len(_document(manifest)), *(file.size_bytes for file in manifest.files)]
    return sum(_BLOCK + size + len(_padding(size)) for size in sizes) + len(_END)


def write(manifest: Manifest, contents: Mapping[str, Content]) -> Iterator[bytes]:
    """The archive, piece by piece. Raises StorageError when a file is no longer what the manifest says."""
    document = _document(manifest)
    yield from _member(_MANIFEST, len(document), [document])
    for file in manifest.files:
        yield from _member(file.path, file.size_bytes, _unchanged(file, contents[file.path]))
    yield _END


def read_manifest(archive: BinaryIO) -> Manifest:
    """The manifest at the start of an archive. Raises InputError."""
    header = _read_header(archive)
    if header.name != _MANIFEST or header.type != tarfile.REGTYPE or not 0 < header.size <= _MOST_MANIFEST_BYTES:
        raise _refusal(f"it does not begin with {_MANIFEST}")
    content = _read(archive, header.size)
    _read(archive, len(_padding(header.size)))
    try:
        document = json.loads(content)
        version = document.get("version")
        if isinstance(version, int) and version > VERSION:
            raise InputError(
                f"the bundle was made by a newer ktrdr (format {version}; this one reads {VERSION})",
                hint="use the newer ktrdr",
            )
        return Manifest.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or _MANIFEST
        raise _refusal(f"its manifest is damaged: {place}: {fault['msg']}") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise _refusal(f"its manifest is damaged: {error}") from None


def read_files(archive: BinaryIO, manifest: Manifest, folder: Path | None = None) -> list[str]:
    """Read the files after the manifest, into `folder` if there is one; return those whose checksum is wrong.

    Raises InputError where the archive is not what its manifest says, and OSError when a file cannot be written.
    """
    wrong = [file.path for file in manifest.files if not _read_file(archive, file, folder)]
    rest = archive.read(_MOST_PADDING + 1)
    if any(rest) or not len(_END) <= len(rest) <= _MOST_PADDING:
        raise _refusal("it ends early, or holds more than its manifest names")
    return wrong


def verify(path: Path) -> Verification:
    """Compare a bundle with its own checksums. Raises InputError when it is no bundle, OSError."""
    with path.open("rb") as archive:
        manifest = read_manifest(archive)
        try:
            differences = [f"{name} has another checksum" for name in read_files(archive, manifest)]
        except InputError as error:
            differences = [error.detail]
    return Verification(subject=path.name, files=len(manifest.files), differences=differences)


def _read_file(archive: BinaryIO, file: BundledFile, folder: Path | None) -> bool:
    """Whether the next member, which must be this file, has the right content."""
    header = _read_header(archive)
    if (header.name, header.size, header.type) != (file.path, file.size_bytes, tarfile.REGTYPE):
        kind = "" if header.isreg() else "something other than a file: "
        raise _refusal(f"it holds {kind}{header.name!r}, {header.size:,} bytes, where {file.path} must come")
    if folder is None:
        return _copy(archive, file, None) == file.sha256
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as stream:
        digest = _copy(archive, file, stream)
        stream.flush()
        os.fsync(stream.fileno())
    return digest == file.sha256


def _copy(archive: BinaryIO, file: BundledFile, stream: IO[bytes] | None) -> str:
    digest, left = hashlib.sha256(), file.size_bytes
    while left:
        chunk = _read(archive, min(left, _CHUNK))
        digest.update(chunk)
        if stream:
            stream.write(chunk)
        left -= len(chunk)
    _read(archive, len(_padding(file.size_bytes)))
    return digest.hexdigest()


def _read_header(archive: BinaryIO) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(_read(archive, _BLOCK), "ascii", "strict")
    except (tarfile.TarError, ValueError):
        raise _refusal("a member's header is damaged, or it is no tar archive") from None


def _read(archive: BinaryIO, size: int) -> bytes:
    content = archive.read(size)
    if len(content) < size:
        raise _refusal("it ends early")
    return content


def _refusal(reason: str) -> InputError:
    return InputError(f"this is no sound bundle of models: {reason}", hint="pack the model anew: ktrdr models pack ID")


def _document(manifest: Manifest) -> bytes:
    return manifest.model_dump_json(indent=2).encode()


def _member(name: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    header = tarfile.TarInfo(name)
    header.size, header.mode = size, 0o644
    yield header.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    yield from chunks
    yield _padding(size)


def _unchanged(file: BundledFile, content: Content) -> Iterator[bytes]:
    digest = hashlib.sha256()
    try:
        for chunk in _chunks(content):
            digest.update(chunk)
            yield chunk
    except OSError as error:
        raise StorageError(f"{file.path} cannot be read: {error.strerror}") from error
    if digest.hexdigest() != file.sha256:
        raise StorageError(f"{file.path} was changed while it was being packed", hint="pack the model again")


def _chunks(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
