"""Reads the header of a safetensors file without torch: the place of each tensor, and the metadata.

A file holds the length of its header in eight bytes (little-endian), the header as JSON, and the tensors' bytes
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A safetensors file that is as long as its header says.

    path: the file
    metadata: texts by key, stored with the tensors
    spans: begin and end of each tensor in bytes from `start`, by name
    start: offset of the first byte after the header
    """

    path: Path
    metadata: Mapping[str, str]
    spans: Mapping[str, tuple[int, int]]
    start: int

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises OSError; ValueError when it is no safetensors file, or is not as long as its header says."""
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            try:
                header, start = _read_header(file, size_bytes)
                metadata = dict(header.pop(_METADATA, {}))
                spans = {name: _span(*tensor["data_offsets"]) for name, tensor in header.items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"it is no safetensors file ({error})") from error
        if size_bytes != start + max((end for _, end in spans.values()), default=0):
            raise ValueError("it is not as long as its header says")
        return cls(path, metadata, spans, start)

    def crc32(self) -> int:
        """Checksum of the tensors' bytes, in the order of their names. Raises OSError."""
        content = memoryview(self.path.read_bytes())[self.start :]
        checksum = 0
        for name in sorted(self.spans):
            first, end = self.spans[name]
            checksum = zlib.crc32(content[first:end], checksum)
        return checksum


def _read_header(file: IO[bytes], size_bytes: int) -> tuple[dict[str, Any], int]:
    """The header, and the first byte after it."""
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if not 0 < length <= min(size_bytes - _LENGTH_BYTES, _MAX_HEADER_BYTES):
        raise ValueError("its header is cut off")
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header, _LENGTH_BYTES + length


def _span(first: int, end: int) -> tuple[int, int]:
    return int(first), int(end)
