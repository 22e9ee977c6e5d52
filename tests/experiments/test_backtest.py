"""A trained model on other bars: the same code and figures as at the end of its training, and nothing it has seen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ktrdr
from ktrdr.errors import ConflictError, InputError, KtrdrError, StrategyError
from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.payloads.backtests import BacktestResults
from ktrdr.python_api import Training
from ktrdr.saved_models.rows_file import read_rows
from ktrdr.strategy.spec import Strategy
from tests.small_trainings import planted_bars

BARS = planted_bars(400)
CUT = 260
DOCUMENT = {
    "name": "Later",
    "timeframes": ["1d"],
    "model": {"type": "mlp", "layers": 1, "hidden_size": 4, "sequence_length": 4},
    "training": {"epochs": 2, "learning_rate": 0.01},
    "indicators": [{"name": "rsi", "period": 5}],
    "controls": {"shuffled_labels": "none"},
}
Train = Callable[..., Training]


def day(row: int) -> str:
    return str(BARS["timestamp"][row].date())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    store = BarStore(Home(home).bars)
    store.merge("UP", "1d", BARS, "made up")
    store.merge("COPY", "1d", BARS.with_columns(pl.col("open", "high", "low", "close") * 2), "made up")
    store.merge("OTHER", "1d", planted_bars(400, seed=7), "made up")
    return home


@pytest.fixture(scope="module")
def train(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    def trained(**sections: object) -> Training:
        strategy = Strategy.model_validate(DOCUMENT | sections)
        output = tmp_path_factory.mktemp("models") / "model"
        return ktrdr.train(strategy, "UP", end=day(CUT), output=output, home=home)

    return trained


@pytest.fixture(scope="module")
def model(train: Train) -> Training:
    return train()


@pytest.fixture(scope="module")
def folds(train: Train) -> Training:
    return train(validation={"type": "walk_forward", "folds": 3})


@pytest.fixture
def backtest(home: Path, tmp_path: Path) -> Callable[..., BacktestResults]:
    return lambda training, *symbols, **options: ktrdr.backtest(
        training, symbols, output=tmp_path / "backtest", home=home, **options
    )


Backtest = Callable[..., BacktestResults]


def test_on_its_validation_rows_it_comes_to_the_figures_of_its_training(model: Training, backtest: Backtest) -> None:
    own, evaluated = model.results, model.results.evaluation
    assert own.evaluation
    assert own.backtest
    assert evaluated

    again = backtest(model, start=evaluated.first.date(), end=evaluated.last.date())

    assert again.samples == again.selected_samples == evaluated.samples
    assert again.evaluation.accuracy == evaluated.accuracy
    assert again.evaluation.significance.against == evaluated.significance.against
    assert again.backtest.model == own.backtest.model
    assert again.backtest.equity == own.backtest.equity
    assert again.warnings == (
        f"{again.samples} of {again.samples} bars are of the validation part, by which the epoch was chosen",
    )
    rows, original = read_rows(Path(again.artifacts["report"]).parent, "other"), read_rows(model.folder, "validation")
    assert rows
    assert original
    assert rows.model.probabilities is not None
    assert original.model.probabilities is not None
    assert np.array_equal(rows.model.probabilities, original.model.probabilities)


def test_it_begins_after_the_training_and_every_backtest_is_a_look(
    model: Training, backtest: Backtest, home: Path
) -> None:
    before = len(ktrdr.looks(home=home))

    later = backtest(model)

    assert later.first.date() > model.results.evaluation.last.date()  # type: ignore[union-attr]
    assert later.last.date() < BARS["timestamp"][-1].date()  # the label of the newest bar is not settled
    assert (later.trained_samples, later.selected_samples, later.warnings) == (0, 0, ())
    looks = ktrdr.looks(home=home)
    assert len(looks) == before + 1
    assert looks["kind"][-1] == "backtest"
    assert looks["accuracy"][-1] == later.evaluation.accuracy
    assert "The significance level is 2.5%." in later.evaluation.verdict


def test_other_symbols_are_predicted_at_any_time(model: Training, backtest: Backtest) -> None:
    early = backtest(model, "OTHER", start=day(50), end=day(120))

    assert early.symbols == ("OTHER",)
    assert early.samples == 71
    assert early.trained_samples == 0


@pytest.mark.parametrize("symbol", ["UP", "COPY"])
def test_bars_that_it_was_trained_on_are_refused_under_any_name(
    symbol: str, model: Training, backtest: Backtest
) -> None:
    with pytest.raises(InputError, match="was trained on 51 of these 51 bars") as refused:
        backtest(model, symbol, start=day(50), end=day(100))

    assert "--allow-overlap" in refused.value.hint


def test_an_overlap_is_marked_and_makes_no_try(model: Training, backtest: Backtest, home: Path) -> None:
    overlapping = backtest(model, start=day(50), end=day(100), allow_overlap=True)

    assert overlapping.trained_samples == overlapping.samples == 51
    assert overlapping.warnings[0].startswith("51 of 51 bars are of the training part")
    assert ktrdr.looks(home=home)["accuracy"][-1] is None
    assert overlapping.evaluation.selection is None
    for verdict in (overlapping.evaluation.verdict, overlapping.backtest.verdict):
        assert verdict.startswith("No evidence, as the model was trained on some of these bars. ")


def test_sealed_bars_are_left_out(train: Train, backtest: Backtest) -> None:
    sealed = train(validation={"test": 0.2})
    part = sealed.results.sealed
    assert part

    later = backtest(sealed, start=part.first.date())

    assert later.sealed_samples == part.samples
    assert later.first > part.last
    with pytest.raises(ConflictError, match=rf"all {part.samples} bars are in the sealed test part"):
        backtest(sealed, start=part.first.date(), end=part.last.date())


def test_each_bar_of_a_walk_forward_is_predicted_by_the_fold_that_had_not_seen_it(
    folds: Training, backtest: Backtest
) -> None:
    results = folds.results
    assert results.kind == "folds"
    joined, scores = results.evaluation, results.folds
    assert joined

    again = backtest(folds, start=scores[0].first.date(), end=scores[-1].last.date())
    later = backtest(folds)

    assert [(each.fold, each.samples) for each in again.folds] == [(each.fold, each.samples) for each in scores]
    assert again.evaluation.accuracy == joined.accuracy
    assert again.backtest.model == results.backtest.model  # type: ignore[union-attr]
    assert [each.fold for each in later.folds] == [3]


def test_folds_and_backtests_of_their_whole_are_one_try(tmp_path: Path) -> None:
    BarStore(Home(tmp_path).bars).merge("UP", "1d", BARS, "made up")
    strategy = Strategy.model_validate(DOCUMENT | {"validation": {"type": "walk_forward", "folds": 3}})
    whole = ktrdr.train(strategy, "UP", end=day(CUT), output=tmp_path / "model", home=tmp_path)
    scores = whole.results.folds  # type: ignore[union-attr]

    for number, start in enumerate((scores[0].first.date(), scores[1].first.date(), None)):
        results = ktrdr.backtest(whole, start=start, output=tmp_path / f"backtest-{number}", home=tmp_path)
        selection = results.evaluation.selection
        assert selection is None or selection.tries == 1


def test_trades_add_up_to_the_equity(model: Training, backtest: Backtest, home: Path) -> None:
    later = backtest(model, "UP", "OTHER")

    trades = pl.read_parquet(later.artifacts["trades"])

    assert len(trades) == later.trades > 2
    assert 1 + trades["net"].sum() == pytest.approx(1 + later.backtest.model.total_return, rel=1e-12)
    assert trades["cost"].sum() == pytest.approx(later.backtest.model.costs_paid, rel=1e-12)
    assert set(trades["reason"]) <= {"signal", "end"}
    assert (trades["bars"] >= 1).all()
    first = trades.row(0, named=True)
    opens = ktrdr.bars(first["symbol"], "1d", home=home)
    assert opens.filter(pl.col("timestamp") == first["entered_at"])["open"][0] == first["entry_price"]
    assert pl.read_csv(later.artifacts["trades_csv"]).height == len(trades)


def test_what_the_return_depends_on(model: Training, backtest: Backtest) -> None:
    later = backtest(model, "UP", "OTHER")
    stress, total = later.stress, later.backtest.model.total_return
    assert stress
    assert stress.bands

    own_bps = later.backtest.fee_bps + later.backtest.slippage_bps
    returns = [point.total_return for point in stress.costs]
    assert next(point.total_return for point in stress.costs if point.cost_bps == own_bps) == pytest.approx(total)
    assert returns == sorted(returns, reverse=True)
    assert stress.break_even_bps
    assert stress.break_even_bps > own_bps
    assert stress.delays[0].total_return == pytest.approx(total)
    # The bars turn round nearly every day, so that an order which comes a day late loses.
    assert stress.delays[1].total_return < 0 < total
    assert np.mean([group.total_return for group in stress.by_symbol]) == pytest.approx(total)
    for groups in (stress.by_year, stress.by_weekday):
        assert math.prod(1 + group.total_return for group in groups) == pytest.approx(1 + total)
        assert sum(group.bars for group in groups) == later.backtest.bars
    assert [group.group for group in stress.by_volatility] == ["low", "middle", "high"]
    assert stress.by_hour == ()
    assert list(stress.bands.total_return) == sorted(stress.bands.total_return)
    assert stress.bands.total_return[0] < total < stress.bands.total_return[-1]
    assert stress.bands.bars[-1] == later.backtest.bars
    assert [row[-1] - 1 for row in stress.bands.equity] == pytest.approx(stress.bands.total_return, abs=1e-6)
    assert "nothing is left of the return" in Path(later.artifacts["summary"]).read_text()


def test_costs_that_leave_nothing(model: Training, backtest: Backtest, train: Train) -> None:
    stress = backtest(model).stress
    assert stress
    assert stress.break_even_bps

    ruined = backtest(train(costs={"fee_bps": stress.break_even_bps, "slippage_bps": 0}))

    assert ruined.backtest.model.total_return == pytest.approx(0, abs=1e-3)


LONG = {"positions.direction": "long", "positions.rule": "threshold", "positions.threshold": 0.5, "costs.min_fee": 2}


def test_other_positions_are_another_try_with_the_same_predictions(
    model: Training, backtest: Backtest, home: Path
) -> None:
    usual = backtest(model)
    rows = pl.read_parquet(usual.artifacts["evaluated_rows"])
    tries = len(set(ktrdr.looks(home=home)["inputs_sha256"]))

    long = backtest(model, set={**LONG, "costs.capital": 10_000})
    again = backtest(model, set={**LONG, "costs.capital": 10_000})

    assert pl.read_parquet(long.artifacts["evaluated_rows"]).equals(rows)
    assert long.evaluation.accuracy == usual.evaluation.accuracy
    assert len(set(ktrdr.looks(home=home)["inputs_sha256"])) == tries + 1
    assert (long.backtest.selection, usual.backtest.selection) != (None, None)
    assert again.backtest == long.backtest
    assert (long.backtest.positions.direction, long.backtest.costs and long.backtest.costs.min_fee) == ("long", 2)
    assert set(pl.read_parquet(long.artifacts["trades"])["side"]) == {"long"}
    words = "Positions: predictions of at least 0.5; long only; a fee of at least 2; a capital of 10,000."
    assert words in Path(long.artifacts["summary"]).read_text()
    assert words in Path(long.artifacts["report"]).read_text()


def test_a_training_trades_as_its_strategy_says_and_a_backtest_too(train: Train, backtest: Backtest) -> None:
    trained = train(
        labels={"type": "triple_barrier", "horizon": 5, "volatility_span": 10}, positions={"hold": "barrier"}
    )
    own, evaluated = trained.results, trained.results.evaluation
    assert own.backtest
    assert evaluated
    assert own.backtest.rules == "held to the label's barriers and left at the touched price"

    again = backtest(trained, start=evaluated.first.date(), end=evaluated.last.date())

    assert again.backtest.model == own.backtest.model
    assert set(pl.read_parquet(again.artifacts["trades"])["reason"]) <= {"stop", "target", "horizon", "end"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"training.epochs": 5}, "training.epochs cannot be set for a model that is trained"),
        ({"positions.rule": "treshold"}, "positions.rule must be one of sign, threshold; it is 'treshold'; did you"),
        ({"positions.hold": "barrier"}, "positions.hold must be signal: only labels of type triple_barrier have"),
        ({"positions": 3}, "positions must be a mapping; it is 3"),
        ({"costs[0]": 3}, "costs"),
        (
            {"costs.participation": 0.1},
            "costs.capital is missing: costs.participation needs to know how much is traded",
        ),
    ],
)
def test_wrong_settings_of_a_backtest_are_refused(
    model: Training, backtest: Backtest, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(StrategyError) as refused:
        backtest(model, set=settings)

    assert words in refused.value.detail
    assert not refused.value.detail.startswith("line")
    assert "positions.rule=threshold" in refused.value.hint


def test_the_report_is_one_file_and_shows_names_as_text(train: Train, backtest: Backtest) -> None:
    named = train(name="<b>bold</b> & co")

    page = Path(backtest(named).artifacts["report"]).read_text()

    assert "<b>bold" not in page
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; co" in page
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page.split("</style>")[1]


def test_a_symbol_without_bars_and_a_range_without_any_say_what_to_do(model: Training, backtest: Backtest) -> None:
    for arguments, options, words in (
        (("NONE",), {}, "no bars of NONE 1d are stored"),
        ((), {"start": "2090-01-01"}, "there is no bar in this range"),
    ):
        with pytest.raises(KtrdrError, match=words) as refused:
            backtest(model, *arguments, **options)
        assert refused.value.hint
