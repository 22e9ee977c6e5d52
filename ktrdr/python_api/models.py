"""Work with a trained model: its sealed test part, a backtest, an explanation."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from ktrdr.home import Home
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.python_api.inputs import Day, open_home, parse_day
from ktrdr.python_api.training import Training
from ktrdr.training.fingerprint import CHECKPOINTS

if TYPE_CHECKING:
    from ktrdr.payloads.ablations import AblationResults
    from ktrdr.payloads.backtests import BacktestResults
    from ktrdr.payloads.explanations import ExplanationResults
    from ktrdr.payloads.unsealing import UnsealingResults


def unseal(training: Training | Path | str, *, by: str = "", home: Path | str | None = None) -> UnsealingResults:
    """Open the sealed test part of a training, or of a model's folder, and evaluate the model on it.

    Of a training in folds the last fold's model is evaluated. The opening is recorded in the home's ledger before a
    figure is computed: the first of these bars tests at a significance level of 2.5 %, the second at 1.25 %, and so on.
    The same model again gives the same results and spends nothing. `by` says who opens it; the default is user and
    machine. Writes the folder `unsealed` in the model's. Sets torch's threads, seed and determinism for the process.

    Raises InputError, and the errors of `ktrdr.experiments.unseal.run_unsealing`.
    """
    from ktrdr.experiments.unseal import run_unsealing
    from ktrdr.ledger.store import Ledger
    from ktrdr.payloads.looks import Door
    from ktrdr.payloads.unsealing import this_user
    from ktrdr.saved_models.reproduce import model_folders
    from ktrdr.saved_models.unsealed import unsealed_folder

    opened = open_home(home)
    folder = model_folders(training.folder if isinstance(training, Training) else Path(training))[-1]
    with closing(Ledger(opened.ledger, Door.PYTHON)) as ledger:
        read_bars, read_table = BarStore(opened.bars).read_stored, TableStore(opened.tables).read
        results = run_unsealing(folder, by or this_user(), read_bars, ledger, read_table=read_table)
    assert results is not None  # nobody stops it
    return results.under(unsealed_folder(folder))


def backtest(
    training: Training | Path | str,
    symbols: str | Sequence[str] = (),
    *,
    start: Day = None,
    end: Day = None,
    allow_overlap: bool = False,
    set: Mapping[str, Any] | None = None,
    output: Path | None = None,
    home: Path | str | None = None,
) -> BacktestResults:
    """Predict and trade stored bars with a training, or a model's folder; write its files and an HTML report.

    `symbols` are those of the training by default, `start` is the first day after it, and `end` the last one stored.
    Bars that it was trained on are refused, or taken and named with `allow_overlap`; those of a sealed test part are
    left out. Of a training in folds the last model that has not seen a bar predicts it. `set` gives other values for
    keys of the strategy's positions and costs, as {"positions.direction": "long"}. The look is recorded in the home's
    ledger. `output` is by default a new folder in the working directory. Sets torch's threads, seed and determinism for
    the process.

    Raises InputError, and the errors of `ktrdr.experiments.backtest_model.run_backtest`.
    """
    from ktrdr.experiments.backtest_model import BacktestRequest, run_backtest
    from ktrdr.ledger.store import Ledger
    from ktrdr.payloads.looks import Door
    from ktrdr.saved_models.reproduce import model_folders

    opened = open_home(home)
    folder = training.folder if isinstance(training, Training) else Path(training)
    target = output or Path(f"{folder.name}-backtest-{time.strftime('%Y%m%d-%H%M%S')}")
    request = BacktestRequest(
        operation_id=target.name,
        model=folder.name,
        folders=tuple(model_folders(folder)),
        symbols=(symbols,) if isinstance(symbols, str) else tuple(symbols),
        start=parse_day(start),
        end=parse_day(end),
        output=target.resolve(),
        allows_overlap=allow_overlap,
        settings=set or {},
    )
    with closing(Ledger(opened.ledger, Door.PYTHON)) as ledger:
        read_bars, read_table = BarStore(opened.bars).read_stored, TableStore(opened.tables).read
        results = run_backtest(request, read_bars, ledger, read_table=read_table)
    assert results is not None  # nobody stops it
    return results.under(target)


@overload
def explain(
    training: Training | Path | str,
    *,
    repeats: int = ...,
    drop_one: Literal[False] = ...,
    output: Path | None = ...,
    home: Path | str | None = ...,
) -> ExplanationResults: ...


@overload
def explain(
    training: Training | Path | str,
    *,
    drop_one: Literal[True],
    output: Path | None = ...,
    home: Path | str | None = ...,
) -> AblationResults: ...


def explain(
    training: Training | Path | str,
    *,
    repeats: int = 10,
    drop_one: bool = False,
    output: Path | None = None,
    home: Path | str | None = None,
) -> ExplanationResults | AblationResults:
    """Measure what a training, or a model's folder, loses where the features of each indicator are shuffled in time.

    With `drop_one` what it loses when it is trained again without each indicator. Each of these trainings is a try,
    which the home's ledger records.

    On its validation rows; of a training in folds the last fold's. `output` is where the plot goes, by default a new
    folder in the working directory. Sets torch's threads and seed for the process.

    Raises InputError, and the errors of `ktrdr.experiments.explain_model.run_explanation`; ConflictError where no
    indicator can be left out, or the bars have changed.
    """
    from ktrdr.experiments.explain_model import run_explanation
    from ktrdr.saved_models.reproduce import model_folders

    folder = training.folder if isinstance(training, Training) else Path(training)
    target = output or Path(f"{folder.name}-explanation-{time.strftime('%Y%m%d-%H%M%S')}")
    opened = open_home(home)
    if drop_one:
        return _ablate(model_folders(folder)[-1], target, opened)
    read_bars, read_table = BarStore(opened.bars).read_stored, TableStore(opened.tables).read
    results = run_explanation(model_folders(folder)[-1], target.resolve(), repeats, read_bars, read_table=read_table)
    assert results is not None  # nobody stops it
    return results.under(target)


def _ablate(model: Path, target: Path, source: Home) -> AblationResults:
    """Train the model without each indicator; the models lie in `target`, beside a copy of the model itself."""
    from ktrdr.jobs.ablation_plan import ablation_job
    from ktrdr.jobs.in_process import run_in_process
    from ktrdr.payloads.ablations import AblationResults
    from ktrdr.saved_models.reproduce import read_card
    from ktrdr.saved_models.trained_on import TrainedOn, bars_as_trained

    bars_as_trained(TrainedOn.of(read_card(model)).series, BarStore(source.bars).read_stored)
    place = Home(target.resolve(), source.root)
    job = ablation_job(model.name, model)
    shutil.copytree(model, place.models / model.name, ignore=shutil.ignore_patterns(CHECKPOINTS))
    outcome = run_in_process(job, target.name, place)
    return AblationResults.model_validate(outcome.results).under(target)
