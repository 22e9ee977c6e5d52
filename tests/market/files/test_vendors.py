"""Every vendor's file gives the same bars."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ktrdr.market.provider import fetch
from ktrdr.market.providers.csv import FileProvider
from ktrdr.payloads.files import FileReading
from tests.market.files.vendors import VALUES, VENDORS, Vendor


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_a_vendors_file_gives_its_bars(vendor: Vendor, tmp_path: Path) -> None:
    path = tmp_path / vendor.name
    path.write_bytes(vendor.content)

    page = fetch(FileProvider(path, reading=FileReading(**vendor.reading)), vendor.symbol, vendor.timeframe)

    in_order = VALUES if page.frame["close"][0] == VALUES[0][3] else VALUES[::-1]
    assert [stamp.astimezone(UTC) for stamp in page.frame["timestamp"]] == list(map(_instant, vendor.stamps))
    assert page.frame.select("open", "high", "low", "close").rows() == [tuple(value[:4]) for value in in_order]
    volumes = vendor.volumes if in_order is VALUES else vendor.volumes[::-1]
    assert page.frame["volume"].to_list() == pytest.approx(volumes)


def _instant(stamp: date) -> datetime:
    clock = stamp.time() if isinstance(stamp, datetime) else datetime.min.time()
    return datetime.combine(stamp, clock, UTC)
