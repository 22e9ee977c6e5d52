"""Bars of other symbols and tables are inputs of a training, as the bars of its own symbols are."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from ktrdr.errors import ConflictError, TrainingDataError
from ktrdr.experiments.fold_data import fold_key
from ktrdr.experiments.preflight import preflight_folds
from ktrdr.experiments.remade_training import remake_training
from ktrdr.experiments.train import run_training
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.features.inputs import with_other_series
from ktrdr.ledger.store import Ledger
from ktrdr.market.series_file import StoredBars
from ktrdr.market.store import BarStore
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.market.tables.store import TableStore
from ktrdr.payloads.tables import TableReading
from ktrdr.saved_models.predict import last_windows
from ktrdr.saved_models.trained_on import TrainedOn
from ktrdr.strategy.loading import load_strategy
from ktrdr.strategy.spec import Strategy
from ktrdr.training.fingerprint import Fingerprint, read_fingerprint
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.features.series import made_bars
from tests.features.test_other_series import OWN, SPY, monthly

YAML = """
name: Others
timeframes: [1d]
model: {type: mlp, sequence_length: 3, hidden_size: 4, layers: 1}
training: {epochs: 1, batch_size: 64}
indicators:
  - {name: rsi, period: 5, symbol: SPY}
  - {expr: "close / ema(close, 10) - 1", as: gap, symbol: SPY}
  - {table: macro, column: cpi}
controls: {shuffled_labels: none}
"""
STRATEGY = load_strategy(YAML, IndicatorCatalogue())
LATER = "2021-03,2021-04-20,0.5\n"


@dataclass(frozen=True, slots=True)
class Stores:
    bars: BarStore
    tables: TableStore

    def import_table(self, text: str, *, replace: bool = False) -> None:
        self.tables.import_file("macro", text.encode(), "m.csv", TableReading(known_at="release"), replace=replace)

    def inputs(self, own: pl.DataFrame = OWN, strategy: Strategy = STRATEGY) -> dict[str, SymbolBars]:
        return with_other_series(strategy, {"AAPL": SymbolBars({"1d": own})}, self.read, self.tables.read)

    def read(self, symbol: str, timeframe: str) -> StoredBars:
        return self.bars.read_stored(symbol, timeframe)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    stores = Stores(BarStore(tmp_path / "bars"), TableStore(tmp_path / "tables"))
    stores.bars.merge("AAPL", "1d", OWN.head(380), "made")
    stores.bars.merge("SPY", "1d", SPY.head(380), "made")
    stores.import_table(monthly())
    return stores


@pytest.fixture
def trained(stores: Stores, tmp_path: Path) -> Path:
    request = TrainingRequest("run", STRATEGY, "others", YAML, ("AAPL",), None, None, tmp_path / "run")
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        run_training(request, stores.read, SilentObserver(), looks=ledger, read_table=stores.tables.read)
    return tmp_path / "run"


def test_a_training_is_made_again_from_what_was_known_at_its_end(stores: Stores, trained: Path) -> None:
    card = json.loads((trained / "model.json").read_bytes())
    assert sorted(card["other_sha256"]) == ["bars of SPY 1d", "table macro"]
    assert card["other_series"]["SPY"]["1d"]["rows"] == 380
    assert read_fingerprint(trained).others == card["other_sha256"]
    (other,) = TrainedOn.of(card).others
    assert (other.symbol, other.timeframe, other.rows) == ("SPY", "1d", 380)

    # What comes later changes nothing: newer bars, and rows that were known only then.
    stores.bars.merge("SPY", "1d", SPY, "made")
    stores.import_table(monthly() + LATER)
    remade = remake_training(trained, stores.bars.read_stored, stores.tables.read)
    assert remade.fingerprint.others == card["other_sha256"]

    stores.import_table(monthly(seed=6), replace=True)
    with pytest.raises(ConflictError, match="not what the model was trained on: table macro"):
        remake_training(trained, stores.bars.read_stored, stores.tables.read)
    stores.bars.merge("SPY", "1d", made_bars(380, seed=1), "made", replace=True)
    with pytest.raises(ConflictError, match="the stored bars of SPY 1d are not those"):
        remake_training(trained, stores.bars.read_stored, stores.tables.read)


def test_other_series_decide_the_fingerprint_and_the_key_of_cached_datasets(stores: Stores) -> None:
    def prints() -> tuple[str, str]:
        bars = stores.inputs()
        made = Fingerprint.of(STRATEGY, bars)
        return made.inputs_sha256, fold_key(bars, made)

    first = prints()
    stores.import_table(monthly().replace("2020-05", "2020-06", 1), replace=True)
    second = prints()
    stores.bars.merge("SPY", "1d", made_bars(380, seed=1), "made", replace=True)
    third = prints()
    assert len({*first, *second, *third}) == 6

    changed = Fingerprint.of(STRATEGY, stores.inputs())
    other = replace(changed, others={**changed.others, "table macro": ""})
    assert changed.differences(other) == ["table macro"]


def test_days_that_join_a_day_late_for_want_of_a_calendar_are_said_before_a_training(stores: Stores) -> None:
    spec = STRATEGY.model_copy(update={"calendar": "XNYS"})
    weekdays = OWN.filter(pl.col("timestamp").dt.weekday() < 6)

    warnings = preflight_folds(spec, stores.inputs(weekdays, spec)).warnings

    (late,) = [each for each in warnings if "late" in each]
    assert late.startswith("SPY 1d joins the bars of AAPL one bar late: no calendar is named for SPY")
    assert late.endswith("ktrdr data load SPY 1d --calendar XNYS")
    stores.bars.set_calendar("SPY", "XNYS")
    assert not [each for each in preflight_folds(spec, stores.inputs(weekdays, spec)).warnings if "late" in each]


def test_what_other_series_lack_is_said_before_a_training_and_where_nothing_can_be_predicted(stores: Stores) -> None:
    stores.bars.merge("SPY", "1d", SPY.head(350), "made", replace=True)

    (missing,) = [each for each in preflight_folds(STRATEGY, stores.inputs()).warnings if "SPY" in each]
    assert missing.startswith("SPY 1d is missing or too old for 45 bars of AAPL from 2020-12-21 to 2021-02-03")
    assert missing.endswith("ktrdr data load SPY 1d --start-date 2020-12-21 --end-date 2021-02-03")
    with pytest.raises(TrainingDataError, match="SPY 1d has nothing that is new enough for the newest bars of AAPL"):
        last_windows(STRATEGY, "AAPL", stores.inputs()["AAPL"], 5)

    earlier = OWN.with_columns(timestamp=pl.col("timestamp") - timedelta(days=900))
    with pytest.raises(TrainingDataError, match="SPY 1d has nothing that was known at a bar of AAPL") as none:
        preflight_folds(STRATEGY, stores.inputs(earlier))
    assert (
        none.value.hint
        == "Load what is missing with: ktrdr data load SPY 1d --start-date 2017-07-15 --end-date 2018-08-18"
    )
