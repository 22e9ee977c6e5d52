"""Bounds on what a file unfolds to, found before it is read: a small Parquet file may hold billions of rows."""

from __future__ import annotations

import io
from pathlib import Path

from ktrdr.errors import BarsError

MAX_ROWS = 20_000_000
"""Forty years of minutes around the clock."""

_VALUES_PER_ROW = 16
_BYTES_PER_ROW = 256
# Of a header, and of what some vendors write above it.
_LINES_ABOVE = 20


def check_size(content: bytes, filename: str, max_rows: int) -> None:
    """Raises BarsError where the file has more rows than allowed, or more values or bytes than so many rows need."""
    if Path(filename).suffix.lower() == ".parquet":
        _check_parquet(content, filename, max_rows)
    else:
        _check(filename, "lines", _count_any(content, b"\n\r"), max_rows + _LINES_ABOVE, max_rows)
        _check(filename, "fields", _count_any(content, b",;\t|"), _VALUES_PER_ROW * max_rows, max_rows)


def _check_parquet(content: bytes, filename: str, max_rows: int) -> None:
    """By its metadata; whoever reads a file without sound metadata refuses it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    except (pa.ArrowException, OSError):
        return
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    size_bytes = sum(chunk.total_uncompressed_size for chunk in chunks)
    _check(filename, "rows", metadata.num_rows, max_rows, max_rows)
    _check(filename, "values", sum(chunk.num_values for chunk in chunks), _VALUES_PER_ROW * max_rows, max_rows)
    _check(filename, "bytes uncompressed", size_bytes, _BYTES_PER_ROW * max_rows, max_rows)


def _count_any(content: bytes, separators: bytes) -> int:
    """How often the most frequent of the separators stands in the file, whatever its encoding."""
    return max(content.count(bytes([separator])) for separator in separators)


def _check(filename: str, unit: str, count: int, limit: int, max_rows: int) -> None:
    if count > limit:
        raise BarsError(
            f"{filename} has {count:,} {unit}; with KTRDR_IMPORT_MAX_ROWS={max_rows} at most {limit:,} are read",
            hint="import it in parts; where memory suffices, set KTRDR_IMPORT_MAX_ROWS higher and restart the server",
        )
