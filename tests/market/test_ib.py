"""IB's bars and errors as ib_async has them, and a connection that is refused; no TWS answers here."""

from __future__ import annotations

import socket
from datetime import UTC, date, datetime

import pytest
from ib_async import BarData

from ktrdr.errors import InputError, NoBars, ProviderError, ProviderUnreachable
from ktrdr.market.bad_rows import Mending, mend
from ktrdr.market.provider import fetch
from ktrdr.market.providers.ib import IbProvider, _contract, refusal, to_frame
from ktrdr.market.providers.retry import TransientError
from ktrdr.timeframe import Timeframe


def bar(moment: date, close: float = 10.0, volume: float = 100.0) -> BarData:
    return BarData(moment, 10.0, 12.0, 9.0, close, volume, 10.0, 5)


def test_days_stand_at_their_date_and_shorter_bars_at_their_instant() -> None:
    days = to_frame([bar(date(2024, 1, 2)), bar(date(2024, 1, 3))], Timeframe.DAY)
    minutes = to_frame([bar(datetime(2024, 1, 2, 14, 30, tzinfo=UTC))], Timeframe.MINUTE_1)

    assert days["timestamp"].to_list() == [datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 3, tzinfo=UTC)]
    assert minutes["timestamp"][0] == datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    assert days.row(0)[1:] == (10.0, 12.0, 9.0, 10.0, 100.0)


def test_a_week_is_filed_under_its_monday() -> None:
    weeks = to_frame([bar(date(2024, 1, 5)), bar(date(2024, 1, 12))], Timeframe.WEEK)

    assert [stamp.day for stamp in weeks["timestamp"]] == [1, 8]


def test_a_midpoint_has_no_volume_and_a_bar_without_prices_is_none() -> None:
    frame = to_frame([bar(date(2024, 1, 2), volume=-1), bar(date(2024, 1, 3), close=0.0)], Timeframe.DAY)

    mended, mending = mend(frame)

    assert mended["volume"].to_list() == [0.0]
    assert mending == Mending(not_positive=1)


def test_symbols_become_contracts() -> None:
    stock, share_class, pair = (_contract(symbol) for symbol in ("AAPL", "BRK-B", "EUR.USD"))

    assert (stock.secType, stock.symbol, stock.currency, stock.exchange) == ("STK", "AAPL", "USD", "SMART")
    assert (share_class.secType, share_class.symbol) == ("STK", "BRK B")
    assert (pair.secType, pair.symbol, pair.currency) == ("CASH", "EUR", "USD")
    with pytest.raises(InputError, match=r"ib has no symbol such as \^GSPC"):
        _contract("^GSPC")


def test_error_codes_mean_what_they_mean_to_a_load() -> None:
    nothing = refusal(162, "Historical Market Data Service error: HMDS query returned no data: X@SMART", "X", "1d")
    pacing = refusal(162, "Historical Market Data Service error: API historical data pacing violation", "X", "1d")
    unknown = refusal(200, "No security definition has been found for the request", "X", "1d")
    unpaid = refusal(354, "Requested market data is not subscribed.", "X", "1d")

    assert isinstance(nothing, NoBars)
    assert isinstance(pacing, TransientError)
    assert "ib knows no X: No security definition" in str(unknown)
    assert type(unpaid) is ProviderError
    assert "not subscribed. (code 354)" in str(unpaid)


def test_a_refused_connection_names_address_and_settings() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(ProviderUnreachable, match=f"no TWS or IB Gateway answers at 127.0.0.1:{port}") as refused:
        fetch(IbProvider(port=port), "AAPL", "1d")

    assert "KTRDR_IB_PORT" in refused.value.hint
