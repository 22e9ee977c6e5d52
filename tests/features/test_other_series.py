"""Features of other symbols' bars and of tables hold what was known when a row closed, and the gate proves it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from ktrdr.errors import InputError, LeakFound, SeriesNotFound, TableNotFound
from ktrdr.features.assemble import build_dataset
from ktrdr.features.columns import Build, Columns, build_features
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.inputs import with_other_series
from ktrdr.features.leaks.gate import audit, check_leaks
from ktrdr.features.leaks.leak import Kind
from ktrdr.features.panel import build_panel
from ktrdr.features.sources import log_returns
from ktrdr.features.stretches import opens_of
from ktrdr.market.closings import with_instants
from ktrdr.market.series_file import StoredBars
from ktrdr.market.sessions import Instants
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.tables import TableReading
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.timeframe import Timeframe
from tests.features.series import made_bars

Make = Callable[[SymbolBars], np.ndarray]

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
ROWS = 400


def strategy(*entries: dict[str, Any], **sections: Any) -> Strategy:
    document = {
        "name": "Others",
        "timeframes": ["1d"],
        "model": {"type": "mlp", "sequence_length": 3},
        "indicators": [{"name": "rsi", "period": 5}, *entries],
        **sections,
    }
    return load_strategy(json.dumps(document), IndicatorCatalogue())


def follower(leader: pl.DataFrame, seed: int = 9) -> pl.DataFrame:
    """Bars whose moves are mostly those of another series."""
    moves = np.diff(np.log(leader["close"].to_numpy()), prepend=np.log(100))
    close = np.exp(np.cumsum(0.8 * moves + np.random.default_rng(seed).normal(0, 0.008, len(moves))) + np.log(50))
    prices = {"open": close * 0.999, "high": close * 1.01, "low": close * 0.99, "close": close}
    return leader.with_columns(**{name: pl.Series(values) for name, values in prices.items()})


SPY = made_bars(ROWS, seed=4)
OWN = follower(SPY)


def bars_of(
    spec: Strategy,
    own: pl.DataFrame = OWN,
    others: dict[str, pl.DataFrame] | None = None,
    tables: TableStore | None = None,
    timeframe: str = "1d",
) -> SymbolBars:
    stored = {"1d": SPY} if others is None else others
    return with_other_series(
        spec,
        {"AAPL": SymbolBars({timeframe: own})},
        lambda symbol, name: StoredBars(stored[name], "file"),
        tables.read if tables else pytest.fail,
    )["AAPL"]


def no_bars(symbol: str, timeframe: str) -> StoredBars:
    pytest.fail(f"{symbol} {timeframe} was read")


RSI_OF_SPY = {"name": "rsi", "period": 5, "symbol": "spy"}


# Joins of other symbols.


def test_an_indicator_of_another_symbol_stands_where_its_bars_had_closed() -> None:
    hours = made_bars(ROWS).with_columns(
        timestamp=pl.Series([FIRST + timedelta(hours=each) for each in range(ROWS)]).cast(pl.Datetime("us", "UTC"))
    )
    spec = strategy(RSI_OF_SPY | {"timeframe": "1d"}, timeframes=["1h"])

    columns = build_features(spec, bars_of(spec, hours, timeframe="1h"))

    assert columns.names[-1] == "rsi_5@SPY@1d"
    (rsi,) = IndicatorCatalogue().compute(spec.indicators[0], SPY).values()
    for row in range(columns.warmup, ROWS, 7):
        closed = hours["timestamp"][row] + timedelta(hours=1)
        day = max(number for number, each in enumerate(SPY["timestamp"]) if each + timedelta(days=1) <= closed)
        assert columns.values[row, -1] == rsi[day]
    # Five bars of warm-up and the first one have closed after six days.
    assert columns.warmup == 6 * 24 - 1


def test_the_calendar_of_the_other_symbol_says_when_its_bars_have_closed() -> None:
    """The strategy's calendar is that of its own symbols: without one of its own, a day lasts until midnight."""
    spec, key = strategy({"name": "rsi", "symbol": "SPY"}, calendar="XNYS"), ("SPY", "1d")
    plain = bars_of(spec)
    named = bars_of(spec, others={"1d": with_instants(SPY, Timeframe.DAY, None, "XNYS")})

    day = next(row for row, each in enumerate(SPY["timestamp"]) if each == datetime(2020, 3, 2, tzinfo=UTC))
    assert plain.others.bars[key].closes[day] == np.datetime64("2020-03-03T00:00")  # type: ignore[index]
    assert named.others.bars[key].closes[day] == np.datetime64("2020-03-02T21:00")  # type: ignore[index]


def test_a_hole_in_the_other_bars_leaves_rows_without_samples_until_they_are_warm_again() -> None:
    spec = strategy(RSI_OF_SPY, calendar="24/7")
    lost = SPY.filter(~pl.Series(np.isin(np.arange(ROWS), np.arange(200, 240))))

    columns = build_features(spec, bars_of(spec, others={"1d": lost}))

    # A guessed calendar allows for eleven days without a bar; 240 is the first bar after the hole, and five warm it up.
    stale, warm = 200 + 11, 240 + 5
    first = columns.first_rows()
    assert np.isnan(columns.values[stale + 1 : warm, -1]).all()
    assert np.isfinite(columns.values[warm:, -1]).all()
    assert (first[stale + 1 : warm] > np.arange(stale + 1, warm)).all()
    assert first[warm] == warm
    dataset = build_dataset(spec, {"AAPL": bars_of(spec, others={"1d": lost})})
    assert not set(range(stale + 1, warm + 2)) & {*dataset.train.rows.tolist(), *dataset.validation.rows.tolist()}


def test_own_holes_and_those_of_another_symbol_are_both_respected() -> None:
    spec = strategy(RSI_OF_SPY)
    own = OWN.filter(~pl.Series(np.isin(np.arange(ROWS), np.arange(100, 130))))
    lost = SPY.filter(~pl.Series(np.isin(np.arange(ROWS), np.arange(200, 240))))

    (series,) = build_panel(spec, {"AAPL": bars_of(spec, own, {"1d": lost})}).series

    begins = series.timeline.rows - 2
    for hole in (100, 240 - 30):
        assert not ((begins < hole) & (series.timeline.rows >= hole)).any()


def test_what_is_missing_is_refused_with_the_line_that_mends_it() -> None:
    def read(symbol: str, timeframe: str) -> StoredBars:
        raise SeriesNotFound("no bars of SPY 1d are stored", hint="load it with: ktrdr data load SPY 1d")

    with pytest.raises(SeriesNotFound) as missing:
        with_other_series(strategy(RSI_OF_SPY), {"AAPL": SymbolBars({"1d": OWN})}, read)
    assert missing.value.detail == "the strategy's indicators read SPY 1d, and no bars of SPY 1d are stored"
    assert missing.value.hint == "load it with: ktrdr data load SPY 1d"
    with pytest.raises(TableNotFound, match="no table macro is stored"):
        with_other_series(strategy({"table": "macro", "column": "cpi"}), {"AAPL": SymbolBars({"1d": OWN})}, read)


# Tables.


MACRO = """period,release,cpi
2020-01,2020-02-13,1.0
2020-02,2020-03-12,2.0
2020-01,2020-03-20,1.5
2020-03,2020-04-10,4.0
2020-03,2020-05-08,3.5
"""


def monthly(seed: int = 5) -> str:
    """A month's number is known six weeks later, and revised after another four."""
    random = np.random.default_rng(seed)
    lines = ["period,release,cpi"]
    for month in range(14):
        first = datetime(2019 + (11 + month) // 12, (11 + month) % 12 + 1, 1, tzinfo=UTC)
        lines += [f"{first:%Y-%m},{first + timedelta(days=days):%Y-%m-%d},{random.normal():.4f}" for days in (45, 73)]
    return "\n".join(lines) + "\n"


@pytest.fixture
def tables(tmp_path: Any) -> TableStore:
    store = TableStore(tmp_path / "tables")
    store.import_file("macro", MACRO.encode(), "macro.csv", TableReading(known_at="release", timezone="UTC"))
    store.import_file("monthly", monthly().encode(), "monthly.csv", TableReading(known_at="release"))
    return store


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("level", {"02-13": 1.0, "03-11": 1.0, "03-12": 2.0, "03-20": 2.0, "04-10": 4.0, "05-07": 4.0, "05-08": 3.5}),
        ("change", {"03-12": 1.0, "03-19": 1.0, "03-20": 0.5, "04-10": 2.0, "05-08": 1.5}),
        ("age", {"02-13": 0.0, "02-20": 7.0, "03-12": 0.0, "03-20": 8.0, "05-08": 0.0, "05-10": 2.0}),
    ],
)
def test_a_column_holds_what_was_known_of_the_newest_period(
    tables: TableStore, value: str, expected: dict[str, float]
) -> None:
    """A day closes at midnight, and a date is known from then on; a revision of an older period changes no level."""
    spec = strategy({"table": "macro", "column": "cpi", "value": value, "as": "cpi"})

    columns = build_features(spec, bars_of(spec, tables=tables))

    values = dict(zip(OWN["timestamp"].dt.strftime("%m-%d").head(300), columns.values[:, -1], strict=False))
    assert {day: values[day] for day in expected} == expected
    assert OWN["timestamp"][columns.warmup].strftime("%m-%d") == ("03-12" if value == "change" else "02-13")


def test_rows_about_symbols_join_their_own(tmp_path: Any) -> None:
    store = TableStore(tmp_path)
    text = "ticker,quarter,filed,eps\naapl,2020Q1,2020-05-01,1.5\nmsft,2020Q1,2020-04-29,2.5\n"
    store.import_file("eps", text.encode(), "eps.csv", TableReading(known_at="filed"))
    spec = strategy({"table": "eps", "column": "eps"})
    bars = {symbol: SymbolBars({"1d": OWN}) for symbol in ("AAPL", "MSFT")}

    joined = with_other_series(spec, bars, no_bars, store.read)

    last = {symbol: build_features(spec, own).values[-1, -1] for symbol, own in joined.items()}
    assert last == {"AAPL": 1.5, "MSFT": 2.5}
    with pytest.raises(InputError, match="has no column 'esp' of numbers; it has eps") as unknown:
        with_other_series(strategy({"table": "eps", "column": "esp"}), bars, no_bars, store.read)
    assert unknown.value.hint == "did you mean 'eps'?"


# Planted leaks.


def planted(make: Make) -> Build:
    """The honest features, the last one replaced by what `make` makes of the bars."""

    def build(spec: Strategy, bars: SymbolBars) -> Columns:
        honest = build_features(spec, bars)
        honest.values[honest.warmup :, -1] = make(bars)[honest.warmup :]
        return honest

    return build


def caught(spec: Strategy, bars: SymbolBars, build: Build = build_features) -> LeakFound:
    dataset = build_dataset(spec, {"AAPL": bars}, build=build)
    with pytest.raises(LeakFound) as found:
        check_leaks(spec, {"AAPL": bars}, dataset, build=build)
    return found.value


def opens(bars: SymbolBars) -> Instants:
    return opens_of(bars["1d"])


def same_date(bars: SymbolBars) -> np.ndarray:
    """The move of SPY's day that opens with the own one, though it closes hours later."""
    (other,) = bars.others.bars.values()
    dates = other.frame["timestamp"].to_numpy().astype("datetime64[D]")
    place = np.searchsorted(dates, opens(bars).astype("datetime64[D]"), "right") - 1
    moves: np.ndarray = log_returns(other.frame["close"].to_numpy())[place]
    return moves


def by_period(bars: SymbolBars) -> np.ndarray:
    rows = bars.others.tables["monthly"]
    order = np.argsort(rows.periods, kind="stable")
    place = np.searchsorted(rows.periods[order], opens(bars), "right") - 1
    return np.nan_to_num(rows.columns["cpi"][order][place])


def revised(bars: SymbolBars) -> np.ndarray:
    """The newest number of each period, from its first release on."""
    rows = bars.others.tables["monthly"]
    latest = {period: rows.columns["cpi"][row] for row, period in enumerate(rows.periods.tolist())}
    levels = rows.column("cpi")
    first = np.array([latest[period] for period in rows.periods.tolist()])
    return type(levels)(levels.known_at, levels.periods, first).levels(np.asarray(opens(bars) + np.timedelta64(1, "D")))


@pytest.mark.parametrize(("make", "column"), [(by_period, "monthly.cpi"), (revised, "monthly.cpi")])
def test_rows_of_a_table_that_are_read_too_early_are_caught_by_name(
    tables: TableStore, make: Make, column: str
) -> None:
    spec = strategy({"table": "monthly", "column": "cpi"})
    leak = caught(spec, bars_of(spec, tables=tables), planted(make))
    assert leak.context["kind"] == Kind.UNRELEASED_ROW
    assert leak.context["column"] == column


def test_a_bar_of_another_symbol_that_is_joined_by_its_date_is_caught_by_name() -> None:
    """The own days close at 21:00 UTC, those of the other symbol at midnight."""
    spec = strategy(RSI_OF_SPY)
    own = with_instants(OWN, Timeframe.DAY, None, "XNYS").filter(pl.col("session_close").is_not_null())

    leak = caught(spec, bars_of(spec, own), planted(same_date))

    assert leak.context["kind"] == Kind.OTHER_SYMBOL
    assert leak.context["column"] == "rsi_5@SPY"


def test_bars_of_another_symbol_that_are_filed_a_bar_early_are_caught_by_name() -> None:
    early = SPY.with_columns(timestamp=pl.col("timestamp") - timedelta(days=1))
    spec = strategy(RSI_OF_SPY)

    leak = caught(spec, bars_of(spec, others={"1d": early}))

    assert leak.context["kind"] == Kind.OTHER_SYMBOL
    assert "the 1d bars of SPY are filed early: their moves agree with those of AAPL one bar later" in leak.detail


def test_days_of_another_symbol_whose_hours_show_that_they_are_early_are_caught_by_name() -> None:
    stamps = pl.Series([FIRST + timedelta(hours=each) for each in range(24 * ROWS)]).cast(pl.Datetime("us", "UTC"))
    hours = made_bars(24 * ROWS, seed=6).with_columns(timestamp=stamps)
    every_day = hours.group_by_dynamic("timestamp", every="1d").agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    early = every_day.with_columns(timestamp=pl.col("timestamp") - timedelta(days=1))
    spec = strategy(RSI_OF_SPY | {"timeframe": "1d"}, RSI_OF_SPY | {"timeframe": "1h"})

    leak = caught(spec, bars_of(spec, others={"1d": early, "1h": hours}))

    assert leak.context["kind"] == Kind.OTHER_SYMBOL
    assert "its 1h bars show that they close 24 hours after the instant at which they claim to" in leak.detail


def test_what_is_honest_passes_an_audit(tables: TableStore) -> None:
    spec = strategy(
        RSI_OF_SPY,
        {"name": "macd", "symbol": "SPY"},
        {"table": "monthly", "column": "cpi"},
        {"table": "monthly", "column": "cpi", "value": "change"},
        {"table": "monthly", "column": "cpi", "value": "age"},
    )
    bars = bars_of(spec, others={"1d": SPY.filter(~pl.Series(np.isin(np.arange(ROWS), [300, 301])))}, tables=tables)

    report = audit(spec, {"AAPL": bars}, instants=60)

    assert report.passed, report.verdict
    assert report.checks.columns == 9
