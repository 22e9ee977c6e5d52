from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from pydantic import BaseModel, ValidationError

from ktrdr.errors import MAX_CHARACTERS, Fault, InputError, KtrdrError, ProviderError, StrategyError, bounded, rebuild
from ktrdr.executors.outcome import JOB, Outcome, read_outcome, write_outcome
from ktrdr.executors.worker import StopSignal, run_to_outcome
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.logs import LineFormatter
from ktrdr.market.files.reader import Request, read_bars
from ktrdr.payloads.files import FileReading
from ktrdr.payloads.results import OperationError
from ktrdr.strategy.loading import load_strategy
from ktrdr.terminal import error_json
from ktrdr.timeframe import Timeframe

HUGE = "quoted " * 500_000


def test_a_long_text_is_cut_and_says_by_how_much() -> None:
    cut = bounded("x" * 10_000)

    assert len(cut) <= MAX_CHARACTERS
    assert cut.endswith("x… (8,050 more characters)")
    assert bounded("x" * MAX_CHARACTERS) == "x" * MAX_CHARACTERS


def test_an_error_is_bounded_in_all_its_parts() -> None:
    error = KtrdrError(HUGE, hint=HUGE, columns=[HUGE, 1], faults=[{"message": HUGE}], rows=list(range(5_000)))

    assert max(len(error.detail), len(error.hint), len(str(error))) <= MAX_CHARACTERS
    assert len(error_json(error)) < 20_000
    assert len(error.context["rows"]) == 1_000
    assert error.whole == HUGE
    assert len(error_json(rebuild("invalid_bars", HUGE, HUGE, {"columns": [HUGE]}))) < 10_000


class _Model(BaseModel):
    number: int


def _pydantic() -> None:
    try:
        _Model.model_validate({"number": HUGE, HUGE: 1})
    except ValidationError as error:
        raise InputError(f"it cannot be read: {error} {error.errors()}") from error


def _strategy() -> None:
    load_strategy(f"name: x\nmodel: !<{'t' * 5_000}> 1\n", IndicatorCatalogue())


def _parquet() -> None:
    frame = pl.DataFrame({"c" * 500_000: [1], "d" * 500_000: [2]})
    frame.write_parquet(content := io.BytesIO())
    _import(content.getvalue(), "bars.parquet")


def _stray_quote() -> None:
    _import(b'timestamp,open,high,low,close,volume\n"' + b"2024-01-02,1,1,1,1,1\n" * 50_000, "bars.csv")


def _long_cell() -> None:
    _import(f"timestamp,open,high,low,close,volume\n{'9' * 900_000}x,1,1,1,1,1\n".encode(), "bars.csv")


def _import(content: bytes, filename: str) -> None:
    read_bars(content, filename, Request("ACME", Timeframe.DAY, FileReading()))


def _provider() -> None:
    raise ProviderError(f"it answers: {HUGE}", hint="try again", answer=HUGE)


@pytest.mark.parametrize("fail", [_pydantic, _strategy, _parquet, _stray_quote, _long_cell, _provider])
def test_no_error_quotes_a_whole_document(fail: Callable[[], None]) -> None:
    with pytest.raises(KtrdrError) as raised:
        fail()

    assert len(error_json(raised.value)) < 20_000


def test_faults_are_bounded() -> None:
    error = StrategyError([Fault("model", HUGE)] * 3)

    assert len(error.detail) <= MAX_CHARACTERS
    assert len(error.faults[0].message) <= MAX_CHARACTERS


def refused(*_: object) -> Outcome:
    raise InputError(HUGE)


def broken(*_: object) -> Outcome:
    raise ValueError(HUGE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / JOB).write_text("{}")
    return tmp_path


@pytest.mark.parametrize("job", [refused, broken])
def test_the_whole_of_a_cut_error_is_in_the_operations_folder(job: Callable[..., Outcome], folder: Path) -> None:
    outcome = run_to_outcome(f"{__name__}:{job.__name__}", "op_x", folder, StopSignal())
    write_outcome(folder, outcome)

    assert len(outcome.error["detail"]) <= MAX_CHARACTERS
    assert HUGE in (folder / "error.log").read_text()
    assert read_outcome(folder) == outcome


def test_a_record_with_an_unbounded_error_is_read_with_a_bounded_one() -> None:
    assert len(OperationError(code="invalid_input", detail=HUGE).model_dump_json()) < 3_000


def test_a_line_of_the_log_is_bounded() -> None:
    error = (ValueError, ValueError(HUGE), None)
    record = logging.LogRecord("ktrdr", logging.ERROR, "", 1, "it fails: %s", (HUGE,), error)

    assert len(LineFormatter().format(record)) < 50_000
    assert json.dumps(HUGE)[1:100] in LineFormatter().format(record)
