"""Small trainings whose results are there twice: from the package, and by other code from bars and predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from exchange_calendars import get_calendar
from safetensors.numpy import load_file

from ktrdr.experiments.folds import TrainedFold, TrainingInFolds, summarise
from ktrdr.experiments.train import run_training
from ktrdr.experiments.unseal import run_unsealing
from ktrdr.ledger.recorder import Unrecorded
from ktrdr.ledger.store import Ledger
from ktrdr.market.series_file import StoredBars
from ktrdr.payloads.training import FoldsResults, TrainingResults
from ktrdr.saved_models.unsealed import with_opening
from ktrdr.strategy.spec import Strategy
from ktrdr.training.files import EVALUATED_ROWS, METRICS, PREDICTIONS, UNSEALED, WEIGHTS
from ktrdr.training.observer import SilentObserver
from ktrdr.training.request import TrainingRequest
from tests.recompute import folds, outlook, rows, trading
from tests.recompute.evaluation import LEVELS, RIVALS, evaluate, hits
from tests.recompute.inference import Figures
from tests.recompute.samples import Bars, Rules


def sessions(begin: str, end: str) -> pd.DatetimeIndex:
    return get_calendar("XNYS", start="2021-01-04", end="2025-12-31").sessions_in_range(begin, end)


def days() -> pd.DatetimeIndex:
    return sessions("2022-01-03", "2024-05-31")


def hours() -> pd.DatetimeIndex:
    """Two holes, one of them late enough to lie in the validation part, and a pause that is none."""
    every = pd.date_range("2024-01-01", periods=700, freq="h")
    lost = [*range(200, 260), *range(400, 410), *range(620, 655)]
    return every.delete(lost)


def five_minutes() -> pd.DatetimeIndex:
    """Of seven sessions in summer, which begin at 13:30 UTC."""
    steps = pd.timedelta_range("13:30:00", periods=78, freq="5min")
    return pd.DatetimeIndex([day + step for day in sessions("2024-07-08", "2024-07-16") for step in steps])


def bars_of(opened: pd.DatetimeIndex, length: str, session: str, seed: int) -> Bars:
    random = np.random.default_rng(seed)
    # A move goes against the one before it, so that there is something to learn.
    shocks = random.normal(0, 0.012, len(opened) + 1)
    close = 100 * np.exp(np.cumsum(shocks[1:] - 0.6 * shocks[:-1]))
    opens = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, 0.002, len(opened)))
    pauses = np.diff(opened) if not session else np.array([], "timedelta64[ns]")
    holes = tuple(int(row) + 1 for row in np.flatnonzero(pauses > pd.Timedelta(days=1, hours=1)))
    return Bars(opened, opens.tolist(), close.tolist(), pd.Timedelta(length), session, holes)


def frame_of(bars: Bars) -> pl.DataFrame:
    opens, closes = np.array(bars.open), np.array(bars.close)
    stamps = pl.Series(bars.opened.to_numpy().astype("datetime64[us]")).dt.replace_time_zone("UTC")
    high, low = np.maximum(opens, closes) * 1.001, np.minimum(opens, closes) * 0.999
    volume = np.full(len(opens), 1000.0)
    values = {"timestamp": stamps, "open": opens, "high": high, "low": low, "close": closes, "volume": volume}
    return pl.DataFrame(values)


@dataclass(frozen=True)
class Case:
    """A training: sections of its strategy, its timeframe and bars, and the same for the other code."""

    sections: dict[str, Any]
    timeframe: str
    series: Mapping[str, Bars]
    rules: Rules


@dataclass(frozen=True)
class Trained:
    """One training: what it says, its rows by part, and the same figures by the other code."""

    found: TrainingResults
    parts: Mapping[str, pd.DataFrame]
    again: Figures


def run(case: Case, folder: Path) -> Trained:
    """Train, and compute the results again; `case.rules.fold` is the fold."""
    found = opened(case, folder, train(case, folder))
    table = rows.build(case.series, case.rules)
    given = with_predictions(table, folder, case.rules)
    parts = {name: own.reset_index(drop=True) for name, own in given.groupby("part")}
    again: Figures = {
        "final_metrics": final_metrics(folder, parts["validation"], table, case),
        "preflight": outlook.preflight(case.series, table, case.rules, parameters(folder, case)),
    }
    if case.rules.test:
        again["sealed"] = {"samples": int((table["part"] == "test").sum())}
    if "test" in parts:
        again["sealed"]["opening"] = {"number": 1, "level": LEVELS["test"]}
    for prefix, part in (("", "validation"), ("test_", "test")):
        if part in parts:
            again[f"{prefix}evaluation"] = evaluate(parts[part], case.rules.classes, part)
            again[f"{prefix}backtest"] = trading.backtest(case.series, parts[part], case.rules)
    return Trained(found, parts, again)


def opened(case: Case, folder: Path, found: TrainingResults) -> TrainingResults:
    """With the test part, which is opened for the model that a training hands out: that of the last fold."""
    if found.sealed is None or case.rules.fold < case.rules.folds - 1:
        return found
    with closing(Ledger(folder / "ledger.sqlite")) as ledger:
        run_unsealing(folder, "a test", reader(case), ledger)
    return with_opening(found.under(folder))


def strategy_of(case: Case) -> Strategy:
    document = {"name": "Again", "indicators": [{"name": "rsi", "period": 5}], **case.sections}
    return Strategy.model_validate(document).on([case.timeframe])


def train(case: Case, folder: Path) -> TrainingResults:
    symbols = tuple(case.series)
    request = TrainingRequest(
        "op_1", strategy_of(case), "s", "name: s\n", symbols, None, None, folder, fold=case.rules.fold
    )
    return run_training(request, reader(case), SilentObserver(), looks=Unrecorded())


def reader(case: Case) -> Callable[..., StoredBars]:
    stored = {symbol: StoredBars(frame_of(bars), "made") for symbol, bars in case.series.items()}
    return lambda symbol, *_: stored[symbol]


def with_predictions(table: pd.DataFrame, folder: Path, rules: Rules) -> pd.DataFrame:
    """The rows that were evaluated, each once and no other, with what model and control predicted.

    What was stored of the baselines must be what the other code says of them.
    """
    model = keyed(read_parts(folder, PREDICTIONS), {"predicted": "model", "probability_": "model."})
    if rules.regression:
        scale = float(np.std(table["move"][table["part"] == "train"]))
        model["model"] = (model["model"] / scale).astype(np.float32).astype(float)
    stored = keyed(read_parts(folder, EVALUATED_ROWS), {})
    control = stored[[name for name in stored if name.startswith("shuffled_control")]]
    own = table[table["part"].isin(set(model["part"]))].set_index(["symbol", "timestamp"])
    assert sorted(own.index) == sorted(model.index) == sorted(stored.index)
    for name in {"label", "span", *RIVALS} & {*own} & {*stored}:
        pd.testing.assert_series_equal(own[name], stored[name].loc[own.index], check_index=False, check_dtype=False)
    predictions = model[[name for name in model if name.startswith("model")]]
    return own.join(predictions).join(control).reset_index()


def read_parts(folder: Path, name: str) -> pl.DataFrame:
    """The rows of the validation part, and of the test part once that is opened."""
    paths = [path for path in (folder / name, folder / UNSEALED / name) if path.exists()]
    return pl.concat([pl.read_parquet(path) for path in paths])


def keyed(table: pl.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """By symbol and instant, with `names` instead of those that a column begins with."""
    frame = pd.DataFrame(table.to_dict(as_series=False))
    frame["timestamp"] = frame["timestamp"].dt.tz_localize(None)
    for old, new in names.items():
        frame = frame.rename(columns=lambda name, old=old, new=new: name.replace(old, new, 1))
    return frame.set_index(["symbol", "timestamp"])


def parameters(folder: Path, case: Case) -> int:
    """Of a network; trees have none before they are grown."""
    if case.sections["model"]["type"] == "gradient_boosting":
        return 0
    return sum(tensor.size for tensor in load_file(folder / WEIGHTS).values())


def final_metrics(folder: Path, validation: pd.DataFrame, table: pd.DataFrame, case: Case) -> Figures:
    """Losses of the epochs are those that they reported, but the best one's, which is that of the predictions."""
    history = pl.read_parquet(folder / METRICS)
    return {
        "best_epoch": int(history["val_loss"].arg_min() or 0) + 1,
        "best_val_loss": loss(validation, table[table["part"] == "train"], case),
        "best_val_accuracy": float(hits(validation, case.rules.classes, "model").mean()),
        "final_train_loss": history["train_loss"][-1],
        "final_val_loss": history["val_loss"][-1],
        "total_epochs": len(history),
    }


def loss(validation: pd.DataFrame, train: pd.DataFrame, case: Case) -> float:
    """Squared error, or cross-entropy with the weights of the classes put in again."""
    if case.rules.regression:
        return float(((validation["label"] - validation["model"]) ** 2).mean())
    classes, counts = case.rules.classes, train["label"].value_counts()
    is_balanced = case.sections["training"].get("class_weights") == "balanced"
    weights = {name: len(train) / len(classes) / counts[name] if is_balanced else 1.0 for name in classes}
    total = weighted = 0.0
    for row in validation.to_dict("records"):
        chances = {name: row[f"model.{name}"] * weights[name] for name in classes}
        weighted -= weights[row["label"]] * np.log(chances[row["label"]] / sum(chances.values()))
        total += weights[row["label"]]
    return float(weighted / total)


def run_folds(case: Case, folder: Path) -> tuple[list[Trained], FoldsResults, Figures]:
    """Each fold by itself, and the whole with the same figures by the other code."""
    trained = [
        run(replace(case, rules=replace(case.rules, fold=fold)), folder / f"fold-{fold}")
        for fold in range(case.rules.folds)
    ]
    strategy, own = strategy_of(case), [fold.found for fold in trained]
    whole = TrainingInFolds(strategy, "s", "name: s\n", tuple(case.series), None, None)
    parts = [TrainedFold(f"op_{n}", found, folder / f"fold-{n}") for n, found in enumerate(own)]
    found = with_opening(summarise(whole, parts, reader(case), folder, PurePath(), looks=Unrecorded()))

    table = pd.concat([fold.parts["validation"] for fold in trained], ignore_index=True)
    probabilities = [name for name in table if "." in name]
    stored = table.astype(dict.fromkeys(probabilities, np.float32)).astype(dict.fromkeys(probabilities, float))
    joined = evaluate(stored, case.rules.classes, "validation")
    again: Figures = {
        "evaluation": joined,
        "backtest": trading.backtest(case.series, table, case.rules),
        **{
            name: trained[-1].again[name]
            for name in ("sealed", "test_evaluation", "test_backtest")
            if name in trained[-1].again
        },
        **folds.summarise([fold.again for fold in trained], joined),
    }
    return trained, found, again
