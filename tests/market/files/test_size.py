"""Files that unfold to more than can be read are refused by what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ktrdr.errors import BarsError
from ktrdr.market.files.size import check_size
from ktrdr.market.providers.csv import FileProvider

LIMIT = 1000
LINE = b"2024-01-02,10,12,9,11,100\n"


def parquet(folder: Path, frame: pl.DataFrame) -> bytes:
    path = folder / "bars.parquet"
    frame.write_parquet(path, compression="zstd")
    return path.read_bytes()


def test_a_small_file_with_many_equal_rows(tmp_path: Path) -> None:
    content = parquet(tmp_path, pl.select(close=pl.repeat(1.0, 3_000_000)))
    assert len(content) < 20_000

    with pytest.raises(
        BarsError, match=r"bars\.parquet has 3,000,000 rows; with KTRDR_IMPORT_MAX_ROWS=1000 at most 1,000"
    ):
        check_size(content, "bars.parquet", LIMIT)


@pytest.mark.parametrize(
    ("frame", "unit"),
    [
        (pl.DataFrame({"close": [[1.0] * 20_000]}), "values"),
        (pl.DataFrame({f"c{number}": [1.0] for number in range(20_000)}), "values"),
        (pl.DataFrame({"close": ["x" * 300_000]}), "bytes uncompressed"),
    ],
    ids=["a list", "many columns", "a long text"],
)
def test_few_rows_that_hold_much(frame: pl.DataFrame, unit: str, tmp_path: Path) -> None:
    with pytest.raises(BarsError, match=unit):
        check_size(parquet(tmp_path, frame), "bars.parquet", LIMIT)


@pytest.mark.parametrize(
    ("content", "unit"),
    [
        (LINE * 1021, "1,021 lines"),
        (LINE.replace(b"\n", b"\r") * 1021, "1,021 lines"),
        (LINE.decode().encode("utf-16-le") * 1021, "1,021 lines"),
        (b"," * 16_001, "16,001 fields"),
        (b";" * 16_001, "16,001 fields"),
    ],
    ids=["lines", "old line ends", "UTF-16", "commas", "semicolons"],
)
def test_texts_with_too_much(content: bytes, unit: str) -> None:
    with pytest.raises(BarsError, match=unit) as refused:
        check_size(content, "bars.csv", LIMIT)

    assert "KTRDR_IMPORT_MAX_ROWS" in refused.value.hint


def test_what_fits_is_read(tmp_path: Path) -> None:
    check_size(LINE * LIMIT, "bars.csv", LIMIT)
    check_size(parquet(tmp_path, pl.select(close=pl.repeat(1.0, LIMIT))), "bars.parquet", LIMIT)
    check_size(b"PAR1 and nothing else", "bars.parquet", LIMIT)  # its reader says what is wrong


def test_the_provider_checks_before_it_reads(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_bytes(b"no bars at all\n" * 40)

    with pytest.raises(BarsError, match="40 lines"):
        next(iter(FileProvider(tmp_path / "bars.csv", max_rows=10).pages("ACME", "1d", None, None)))
