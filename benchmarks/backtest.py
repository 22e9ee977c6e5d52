"""A backtest of a million bars against vectorbt and plain numpy, and predictions against a bare loop.

Seconds are of the processor, and the sides of a ratio take turns in processes of their own or in one. All trade the
sign of the last 500 minutes' move: 20,000 turns in a million minutes, at 1 bp.

- ktrdr: `trade_signals`, all that a backtest shows, holding, tests, interval and 100 random entries included.
- vectorbt: `Portfolio.from_signals` and `stats()`, which has much the same figures without tests and random entries,
  compiled before the clock starts; in an environment of its own, as it needs other releases.
- numpy: returns, positions, costs, equity, Sharpe ratio and drawdown, for the model and for holding.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.minutes import minutes
from benchmarks.outcome import Figure, below

Floats = NDArray[np.float64]

BARS, MOMENTUM, ROUNDS = 1_000_000, 500, 7
FEE = 0.0001
PREDICTED, FEATURES, WINDOW = 100_000, 10, 20
VECTORBT = Path(__file__).resolve().parents[1] / ".vectorbt" / "bin" / "python"
_PACKAGE = "vectorbt==1.2.0"


def run() -> list[Figure]:
    return [*_million_bars(), *_predictions()]


def _million_bars() -> list[Figure]:
    ours = _in_fresh_process("million")
    figures = [
        Figure("backtest of a million bars, all figures, processor time", ours["whole"], "s"),
        Figure("… without random entries", ours["without_random"], "s"),
        Figure("… also without tests and intervals", ours["without_tests"], "s"),
        Figure("… plain numpy's pass, model and holding", ours["numpy"], "s"),
        Figure("… all figures ÷ numpy", ours["whole_over_numpy"], "×", below(4)),
        Figure("… without random entries ÷ numpy", ours["without_random_over_numpy"], "×", below(4)),
    ]
    if not _has_vectorbt():
        return figures
    theirs = _vectorbt()
    stats = theirs["stats"]
    return [
        *figures,
        Figure("vectorbt: from_signals alone, warm", theirs["signals"], "s"),
        Figure("vectorbt: from_signals and stats(), warm", stats, "s"),
        Figure("backtest, all figures ÷ vectorbt", ours["whole"] / stats, "×", below(0.5)),
        Figure(
            "… without tests and random entries, which vectorbt lacks ÷ vectorbt", ours["without_tests"] / stats, "×"
        ),
    ]


def _in_fresh_process(name: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.backtest", name]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def _cpu_s(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return time.process_time() - began


# -- a million bars --------------------------------------------------------------------------------------------------


def million() -> dict[str, float]:
    from ktrdr.evaluation import backtest, books
    from ktrdr.evaluation.backtest import trade_signals
    from ktrdr.evaluation.random_entries import none_drawn
    from ktrdr.evaluation.returns import mean_return
    from ktrdr.evaluation.signals import Signals
    from ktrdr.market.trading_clock import TradingClock
    from ktrdr.payloads.data import CalendarChoice
    from ktrdr.payloads.trading_rules import Costs
    from ktrdr.timeframe import Timeframe
    from ktrdr.training.allocator import keep_freed_memory

    keep_freed_memory()  # as in every worker
    bars = minutes(BARS)
    rows = np.arange(BARS - 1)
    positions = _positions(bars["close"].to_numpy())
    signals = Signals(
        part="other",
        names=("A",),
        symbols=np.zeros(len(rows), np.int64),
        rows=rows,
        settled=rows + 1,
        positions=positions,
        look_back=MOMENTUM,
        clocks=(TradingClock(Timeframe.MINUTE_1, CalendarChoice(name="XNYS", why="", is_guess=False)),),
        rows_after_holes=(np.zeros(0, np.int64),),
        bridges_holes=False,
    )
    costs = Costs(fee_bps=10_000 * FEE, slippage_bps=0)
    opens, close = bars["open"].to_numpy()[1:], float(bars["close"][-1])

    def whole() -> None:
        trade_signals(signals, {"A": bars}, costs)

    def without_random() -> None:
        with patch.object(books, "shift_at_random", lambda *_: none_drawn(MOMENTUM, "not drawn")):
            whole()

    lead = mean_return(np.random.default_rng(0).normal(size=10), 1.0)

    def without_tests() -> None:
        with (
            patch.object(backtest, "mean_return", lambda *_: lead),
            patch.object(backtest, "sharpe_error", lambda *_: None),
        ):
            without_random()

    def plain() -> None:
        for own in (positions, np.ones_like(positions)):
            _plain(opens, close, own)

    ways = {"whole": whole, "without_random": without_random, "without_tests": without_tests, "numpy": plain}
    whole()
    rounds = [{name: _cpu_s(act) for name, act in ways.items()} for _ in range(ROUNDS)]
    over_numpy = {f"{name}_over_numpy": median(each[name] / each["numpy"] for each in rounds) for name in ways}
    return {name: median(each[name] for each in rounds) for name in ways} | over_numpy


def _positions(close: Floats) -> Floats:
    moves = np.concatenate([np.zeros(MOMENTUM), close[MOMENTUM:] - close[:-MOMENTUM]])
    return np.asarray(np.sign(moves)[:-1], np.float64)


def _plain(opens: Floats, close: float, positions: Floats, per_year: float = 98_280.0) -> tuple[float, ...]:
    returns = np.append(opens[1:], close) / opens - 1
    traded = np.abs(np.diff(positions, prepend=0.0, append=0.0))
    after_cost = 1 - FEE * traded
    values = np.cumprod(np.concatenate([[1.0], after_cost[:-1] * (1 + positions * returns)]))
    equity = np.append(values[1:-1], values[-1] * after_cost[-1])
    made = equity / np.concatenate([[1.0], equity[:-1]]) - 1
    highest = np.maximum.accumulate(np.concatenate([[1.0], equity]))[1:]
    sharpe = made.mean() / made.std(ddof=1) * np.sqrt(per_year)
    return equity[-1] - 1, sharpe, (equity / highest - 1).min(), (values * (1 - after_cost)).sum(), traded.sum()


def _has_vectorbt() -> bool:
    """Installs it once; a machine where it cannot be installed has no comparison with it."""
    if VECTORBT.exists():
        return True
    commands = [
        [sys.executable, "-m", "venv", str(VECTORBT.parents[1])],
        [str(VECTORBT), "-m", "pip", "install", "--quiet", _PACKAGE],
    ]
    is_installed = all(subprocess.run(command, check=False).returncode == 0 for command in commands)
    if not is_installed:
        sys.stderr.write("vectorbt cannot be installed here, so nothing is compared with it\n")
    return is_installed


def _vectorbt() -> Any:
    with tempfile.TemporaryDirectory() as folder:
        bars, path = minutes(BARS), Path(folder) / "arrays.npz"
        stamps = bars["timestamp"].to_numpy()[1:].astype("datetime64[ns]")
        np.savez(path, price=bars["open"].to_numpy()[1:], positions=_positions(bars["close"].to_numpy()), stamps=stamps)
        command = [str(VECTORBT), str(Path(__file__).with_name("vectorbt_signals.py")), str(path), str(ROUNDS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return json.loads(done.stdout.splitlines()[-1])


# -- predictions -----------------------------------------------------------------------------------------------------


def _predictions() -> list[Figure]:
    found = _in_fresh_process("predictions")
    rate = f"{PREDICTED / found['ours']:,.0f}"
    return [
        Figure(
            f"predictions of {PREDICTED:,} bars, LSTM 2×64, window {WINDOW}, one thread ({rate}/s)", found["ours"], "s"
        ),
        Figure("… ÷ a bare PyTorch loop over the same batches", found["ours"] / found["bare"], "×", below(1.3)),
    ]


def predictions() -> dict[str, float]:
    import torch

    from ktrdr.strategy.sections.model import LSTM
    from ktrdr.training.architectures.model import PREDICTION_BATCH, predict
    from ktrdr.training.determinism import make_repeatable
    from ktrdr.training.families import build_model
    from ktrdr.training.windows import view_of_windows

    make_repeatable(0, 1)
    model = build_model(LSTM(type="lstm", layers=2, hidden_size=64, sequence_length=WINDOW), FEATURES, 2).eval()
    values = torch.randn(PREDICTED + WINDOW - 1, FEATURES)
    windows, starts = view_of_windows(values, WINDOW), torch.arange(PREDICTED)

    def bare() -> None:
        with torch.inference_mode():
            torch.cat([model(batch.contiguous()) for batch in torch.split(windows, PREDICTION_BATCH)])

    ways = {"ours": lambda: predict(model, windows, starts), "bare": bare}
    bare()
    rounds = [{name: _cpu_s(act) for name, act in ways.items()} for _ in range(3)]
    return {name: median(each[name] for each in rounds) for name in ways}


if __name__ == "__main__":
    print(json.dumps({"million": million, "predictions": predictions}[sys.argv[1]]()))
