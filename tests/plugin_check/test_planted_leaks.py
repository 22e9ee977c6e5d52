"""Plugins that know the future, or do not keep another contract, each caught by name; honest ones keep all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ktrdr.plugin_check.__main__ import main
from ktrdr.plugin_check.check import check_file
from ktrdr.plugin_check.series import made_up
from tests.plugin_files import EXAMPLE, Write, write

__all__ = ["write"]

BARS = replace(made_up(), frame=made_up().frame.head(300))
EXTENDING = Path(__file__).parents[2] / "docs" / "extending.md"

LEAKS = """\
import numpy as np

FIRST = {}


@feature(warmup=1)
def tomorrow(bars):
    return (bars["close"].shift(-1) / bars["close"]).log()


@feature(warmup=0)
def normalised(bars):
    return (bars["close"] - bars["close"].mean()) / bars["close"].std()


@feature(warmup=0)
def ranked(bars):
    return bars["close"].rank() / bars.height


@feature(warmup=3)
def centred(bars):
    return bars["close"] / bars["close"].rolling_mean(7, center=True)


@feature(warmup=1)
def filled(bars):
    gaps = (bars["open"] / bars["close"].shift(1)).log()
    return gaps.set(gaps.abs() < 0.0005, None).fill_null(strategy="backward")


@feature(warmup=0)
def remembered(bars):
    return bars["close"] / FIRST.setdefault("mean", bars["close"].mean())


@feature(warmup=0)
def noise(bars):
    return pl.Series(np.random.normal(size=bars.height))


@label()
def farther(bars, horizon):
    return (bars["close"].shift(-horizon - 1) / bars["close"]).log()


@label()
def relative(bars, horizon):
    returns = (bars["close"].shift(-horizon) / bars["close"]).log()
    return returns - returns.mean()
"""
CAUGHT = {
    "tomorrow": ("causal", "look-ahead: feature tomorrow of MADE-UP"),
    "normalised": ("causal", "whole-history statistics: feature normalised of MADE-UP"),
    "ranked": ("causal", "whole-history statistics: feature ranked of MADE-UP"),
    "centred": ("causal", "look-ahead: feature centred of MADE-UP"),
    "filled": ("causal", "back-fill: feature filled of MADE-UP"),
    "remembered": ("causal", "whole-history statistics: feature remembered of MADE-UP"),
    "noise": ("deterministic", "noise has other values when it is computed again from the same bars"),
    "farther": ("settles", "label beyond its horizon: the label of MADE-UP"),
    "relative": ("settles", "label beyond its horizon: the label of MADE-UP"),
}

BROKEN = """\
from torch import nn


@feature(warmup=0)
def dollars(bars):
    return bars["high"] - bars["low"]


@feature(warmup=0)
def turnover(bars):
    return bars["volume"]


@feature(warmup=2)
def early(bars, window: int = 20):
    return bars["close"] / bars["close"].rolling_mean(window)


@feature(warmup=0)
def short(bars):
    return bars["close"].head(10)


@feature(warmup=0)
def words(bars):
    return bars["close"].cast(pl.String)


@feature(warmup=0, outputs=("a", "b"))
def other(bars):
    return bars.select(a="close", c="open")


@feature(warmup=0)
def typo(bars):
    return bars["clse"]


@label(classes=("down", "up"))
def usd(bars, horizon):
    return bars["close"].shift(-horizon) - bars["close"] > 1


@label(classes=("no", "yes"))
def never(bars, horizon):
    return bars["close"] * 0


@label()
def trend(bars, horizon):
    return (bars["close"].shift(-horizon) / bars["close"]).log()


@network()
class mixing(nn.Module):
    def __init__(self, features, outputs, window):
        super().__init__()
        self.norm = nn.BatchNorm1d(features, track_running_stats=False)
        self.head, self.idle = nn.Linear(features, outputs), nn.Linear(2, 2)

    def forward(self, windows):
        return self.head(self.norm(windows.transpose(1, 2)).mean(2))


@network()
class counting(nn.Module):
    def __init__(self, features, outputs, window):
        super().__init__()
        self.head, self.calls = nn.Linear(features, outputs), 0

    def forward(self, windows):
        self.calls += 1
        return self.head(windows.mean(1)) * (1 + self.calls / 1000)


@network()
class unpooled(nn.Module):
    def __init__(self, features, outputs, window):
        super().__init__()
        self.head = nn.Linear(features, outputs)

    def forward(self, windows):
        return self.head(windows)
"""
FAULTS = {
    ("dollars", "scale-free"): 'when all prices are ten times as large; declare it with unit="price"',
    ("turnover", "scale-free"): "when all volumes are ten times as large",
    ("early", "warm-up"): "early_20 is nan at bar 2, after a warm-up of 2",
    ("short", "values"): "in short: it returns a series of 10 values for 300 bars",
    ("words", "values"): "it returns a series of String, which are no numbers",
    ("other", "values"): "it returns the columns ['a', 'c']; its outputs are ['a', 'b']",
    ("typo", "values"): 'mine.py, line 41, in typo: ColumnNotFoundError: "clse" not found',
    ("trend", "name"): "ktrdr has a label of this name",
    ("usd", "scale-free"): "when all prices are ten times as large",
    ("never", "classes"): "hardly a bar is of the class yes",
    ("mixing", "separate"): "depend on the other windows of its batch",
    ("mixing", "gradient"): "no gradient reaches the parameter idle.weight",
    ("counting", "separate"): "depend on the other windows of its batch",
    ("counting", "state dict"): "once its weights were saved and loaded",
    ("counting", "resume"): "does not come to the same bits",
    ("unpooled", "shapes"): "in unpooled: it maps windows [2, 6, 4] to [2, 6, 1] of torch.float32",
}


@pytest.fixture(autouse=True, scope="module")
def _as_before() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(mode=False)


def faults_of(path: Path) -> dict[tuple[str, str], str]:
    return {(each.plugin, each.contract): each.fault for each in check_file(path, [BARS]) if each.fault}


def test_planted_leaks_are_caught_by_name(write: Write) -> None:
    faults = faults_of(write(LEAKS))

    assert {plugin for plugin, _ in faults} == CAUGHT.keys()
    for plugin, (contract, words) in CAUGHT.items():
        assert faults[plugin, contract].startswith(words)


def test_broken_contracts_are_named(write: Write) -> None:
    faults = faults_of(write(BROKEN))

    assert faults.keys() == FAULTS.keys()
    for place, words in FAULTS.items():
        assert words in faults[place]


def test_the_examples_keep_all_contracts(write: Write) -> None:
    (in_docs,) = re.findall(r"```python\n(from typing.*?)```", EXTENDING.read_text(encoding="utf-8"), re.DOTALL)
    path = write(in_docs)

    findings = [*check_file(path, [BARS])]
    assert {each.plugin for each in findings} == {"gap", "excess", "mean_pool"}
    assert all(each.is_kept for each in findings)
    assert not faults_of(EXAMPLE)


def test_the_program_prints_a_table_of_80_columns_and_ends_with_1(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("@feature(warmup=0)\ndef short(bars):\n    return bars['close'].head(1)\n")

    assert main(["--file", str(path)]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:2] == [
        "plugin  contract       bars        result",
        "short   values         MADE-UP 1d  BROKEN",
    ]
    assert lines[-1] == "mine.py: 6 contracts, 1 broken, 5 not tried."
    assert main(["--file", str(path.with_name("absent.py"))]) == 2
    assert "absent.py cannot be read" in capsys.readouterr().err
