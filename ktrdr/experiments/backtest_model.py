"""A trained model on any stored bars: what it predicts, how good that is, and what trading on it earns."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ktrdr import reports
from ktrdr.errors import InputError, SeriesNotFound
from ktrdr.evaluation.backtest import Backtest, trade_signals
from ktrdr.evaluation.evaluate import Standard, evaluate_rows
from ktrdr.evaluation.evaluated_rows import EvaluatedRows, collect_rows, join_folds
from ktrdr.evaluation.resolution import resolution
from ktrdr.evaluation.signals import find_signals
from ktrdr.evaluation.significance import VALIDATION_LEVEL
from ktrdr.evaluation.stress import stress
from ktrdr.evaluation.trades import list_trades
from ktrdr.experiments.backtest_rows import BacktestRows, choose_rows
from ktrdr.experiments.looks import OpenLook
from ktrdr.experiments.missing_bars import missing_series
from ktrdr.experiments.remade_training import RemadeTraining, remake_training
from ktrdr.features.assemble import add_samples
from ktrdr.features.inputs import ReadTable, no_tables, with_other_series
from ktrdr.features.panel import Panel, build_panel
from ktrdr.ledger.footprint import EvaluatedBars
from ktrdr.ledger.recorder import LookRecorder, LookRequest
from ktrdr.market.symbol_bars import SymbolBars
from ktrdr.payloads.backtests import BacktestResults, FoldShare
from ktrdr.payloads.evaluation import OTHER, Evaluation
from ktrdr.payloads.looks import LookFigures, LookKind
from ktrdr.saved_models.predict import closed_bars
from ktrdr.saved_models.rows_file import write_rows
from ktrdr.strategy.trading_settings import with_trading_settings
from ktrdr.training.files import EQUITY, EVALUATED_ROWS, SUMMARY, write_file

if TYPE_CHECKING:
    import polars as pl

    from ktrdr.market.series_file import StoredBars
    from ktrdr.strategy.spec import Strategy

ReadBars = Callable[..., "StoredBars"]
"""(symbol, timeframe, first, last) -> stored bars; without the last two all of them."""

TRADES, TRADES_CSV, REPORT, STRESS = "trades.parquet", "trades.csv", "report.html", "stress.png"
_NO_EVIDENCE = "No evidence, as the model was trained on some of these bars."
ARTIFACTS = {
    "report": REPORT,
    "trades": TRADES,
    "trades_csv": TRADES_CSV,
    "evaluated_rows": EVALUATED_ROWS,
    "equity_plot": EQUITY,
    "stress_plot": STRESS,
    "summary": SUMMARY,
}


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """What to backtest, and where to write it.

    model: the operation that trained it
    folders: of the model; of a training in folds those of its folds, in order
    symbols: to predict and trade; those of the training where there are none
    start, end: first and last day of the predicted bars, both inclusive; None for after the training and to the end
    output: folder for the files
    allows_overlap: whether bars may be predicted that every model was trained on
    settings: values of positions and costs by their places, in place of the strategy's own
    """

    operation_id: str
    model: str
    folders: tuple[Path, ...]
    symbols: tuple[str, ...]
    start: date | None
    end: date | None
    output: Path
    allows_overlap: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


def run_backtest(
    request: BacktestRequest,
    read_bars: ReadBars,
    looks: LookRecorder,
    on_step: Callable[[int, int], None] = lambda step, items: None,
    stop_requested: Callable[[], bool] = lambda: False,
    *,
    read_table: ReadTable = no_tables,
) -> BacktestResults | None:
    """Predict the bars with the code of the training, evaluate the predictions, and trade them.

    `looks` records the look at the bars before the model predicts one. `on_step(step, items)` is called with the steps
    1 to 3. The results name files within the output folder. Returns None when a stop was requested before the look.

    Sets torch's thread count, seed and determinism for the whole process.

    Raises:
        ArtifactNotFound: there is no model in a folder.
        StrategyError: the settings are wrong, or do not go with the strategy.
        InputError: a model was trained on the bars, or there are none to predict.
        ConflictError: the bars of the training are others now, or all bars are in the sealed test part.
        SeriesNotFound: bars are missing.
        TrainingDataError: the bars cannot carry the features.
        StorageError: a file is damaged or cannot be written, or the look cannot be recorded.
    """
    on_step(1, 0)
    folds = [remake_training(folder, read_bars, read_table) for folder in request.folders]
    strategy = with_trading_settings(folds[-1].trained.strategy, request.settings)
    symbols = request.symbols or folds[-1].dataset.symbols
    start = folds[-1].trained.start
    bars = with_other_series(
        strategy,
        {symbol: _read(folds[-1], symbol, read_bars) for symbol in symbols},
        lambda symbol, timeframe: read_bars(symbol, timeframe, start),
        read_table,
    )
    panel = build_panel(strategy, bars)
    days = request.start, request.end
    chosen = choose_rows(request.model, folds, panel, bars, days, allows_overlap=request.allows_overlap)
    if stop_requested():
        return None

    look = _open_look(request, folds[-1], strategy, panel, chosen, bars, looks)
    on_step(2, len(chosen.rows))
    rows, standard = _predict(folds, panel, chosen)
    models = [fold.model_id for fold in folds]
    del folds  # bars and samples of every training: of hundreds of symbols most of the memory
    signals = find_signals(rows, bars, strategy)
    base = {symbol: own[strategy.timeframes[0]] for symbol, own in bars.items()}
    traded = trade_signals(signals, base, strategy.costs, strategy.positions)
    evaluation, traded = _close_look(look, chosen, rows, standard, traded)

    on_step(3, len(chosen.rows))
    trades = list_trades(signals, base, strategy.costs)
    results = _results(request, models, panel, chosen, rows, evaluation, traded, trades)
    results = results.model_copy(update={"stress": stress(signals, base, strategy.costs, traded)})
    _write(request.output, results, strategy, rows, trades)
    return results


def _read(fold: RemadeTraining, symbol: str, read_bars: ReadBars) -> SymbolBars:
    """The closed bars since the first day of the training, because indicators depend on where they begin."""
    strategy, start = fold.trained.strategy, fold.trained.start
    try:
        timeframes: tuple[str, ...] = strategy.timeframes
        stored = {timeframe: read_bars(symbol, timeframe, start) for timeframe in timeframes}
    except SeriesNotFound as error:
        since = f" --start-date {start}" if start else ""
        hint = f"load them with: ktrdr data load {symbol} {strategy.timeframes[0]}{since}"
        raise InputError(error.detail, hint=hint) from error
    return closed_bars(strategy, SymbolBars.of(stored))


def _open_look(
    request: BacktestRequest,
    model: RemadeTraining,
    strategy: Strategy,
    panel: Panel,
    chosen: BacktestRows,
    bars: Mapping[str, SymbolBars],
    looks: LookRecorder,
) -> OpenLook:
    """The look is another one of the training's own try; on bars that it has not evaluated it is the first.

    With other positions or costs it is the try of a training that has them.
    """
    names = [series.symbol for series in panel.series]
    evaluated = EvaluatedBars.of_rows(strategy, names, chosen.series, chosen.rows, bars)
    inputs = replace(model.fingerprint, strategy=strategy.model_dump(mode="json"))
    whole = inputs.whole_sha256 if len(request.folders) > 1 else None
    look_id = looks.open_look(
        LookRequest(
            operation_id=request.operation_id,
            kind=LookKind.BACKTEST,
            part=OTHER,
            strategy_name=model.strategy_name,
            inputs_sha256=whole or inputs.inputs_sha256,
            label=strategy.labels.type,
            timeframe=strategy.timeframes[0],
            symbols=tuple(names[number] for number in np.unique(chosen.series)),
            samples=len(chosen.rows),
            footprint=evaluated.footprint,
            whole_sha256=whole,
        )
    )
    return OpenLook(look_id, evaluated, looks)


def _predict(folds: Sequence[RemadeTraining], panel: Panel, chosen: BacktestRows) -> tuple[EvaluatedRows, Standard]:
    """The evaluated rows in the order of `chosen`, and what their lead is held against."""
    predicted, places, standard = [], [], Standard(level=VALIDATION_LEVEL)
    for number in np.unique(chosen.folds).tolist():
        fold, own = folds[number], chosen.of_fold(number, panel)
        dataset, part = add_samples(fold.dataset, panel, own)
        outputs = np.concatenate([_outputs(fold, panel, index, rows) for index, rows in enumerate(own)])
        predicted.append(collect_rows(outputs, dataset, part, None, fold.trained.class_weights.values))
        places.append(np.flatnonzero(chosen.folds == number))
        standard = replace(standard, shown=resolution(dataset, part, VALIDATION_LEVEL))
    order = np.argsort(np.concatenate(places), kind="stable")
    joined = join_folds(predicted)
    predicted.clear()  # a copy of all rows less while they are put in order
    return joined.take(order), standard if len(places) == 1 else Standard(level=VALIDATION_LEVEL)


def _outputs(fold: RemadeTraining, panel: Panel, index: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """[rows, outputs], with the bits of a prediction of the same bars."""
    if not len(rows):
        return np.empty((0, fold.dataset.outputs), np.float32)
    series, length = panel.series[index], fold.dataset.sequence_length
    begin = int(rows[0]) - (length - 1)
    values = series.columns.values[begin : int(rows[-1]) + 1]
    outputs = fold.trained.outputs(values, series.symbol, begin - series.columns.warmup)
    return outputs[rows - int(rows[0])]


def _close_look(
    look: OpenLook, chosen: BacktestRows, rows: EvaluatedRows, standard: Standard, traded: Backtest
) -> tuple[Evaluation, Backtest]:
    """The evaluation and the backtest beside all tries; bars of a training part make no try and are no evidence."""
    evaluation = evaluate_rows(rows, standard)
    if chosen.is_trained.any():
        look.recorder.close_look(look.look_id, LookFigures(), None)
        marked = {"verdict": f"{_NO_EVIDENCE} {traded.result.verdict}"}
        traded = replace(traded, result=traded.result.model_copy(update=marked))
        return evaluation.model_copy(update={"verdict": f"{_NO_EVIDENCE} {evaluation.verdict}"}), traded
    look.close(rows, evaluation, traded)
    if (verdict := look.verdict()) is None:
        return evaluation, traded
    return evaluate_rows(rows, replace(standard, selection=verdict.selection)), traded.beside(verdict.backtest)


def _results(
    request: BacktestRequest,
    models: Sequence[str],
    panel: Panel,
    chosen: BacktestRows,
    rows: EvaluatedRows,
    evaluation: Evaluation,
    traded: Backtest,
    trades: pl.DataFrame,
) -> BacktestResults:
    counts = np.bincount(chosen.folds, minlength=len(models)).tolist()
    return BacktestResults(
        model=request.model,
        symbols=tuple(panel.series[number].symbol for number in np.unique(chosen.series)),
        timeframe=panel.strategy.timeframes[0],
        samples=len(rows),
        first=rows.timestamps.min().astype("datetime64[s]").item(),
        last=rows.timestamps.max().astype("datetime64[s]").item(),
        trained_samples=int(chosen.is_trained.sum()),
        selected_samples=int(chosen.is_selected.sum()),
        sealed_samples=chosen.sealed,
        folds=tuple(
            FoldShare(fold=number, operation_id=model, samples=count)
            for number, (model, count) in enumerate(zip(models, counts, strict=True), start=1)
            if count
        ),
        trades=len(trades),
        warnings=(*_warnings(chosen), *missing_series({each.symbol: each.shortfalls for each in panel.series})),
        evaluation=evaluation,
        backtest=traded.result,
        artifacts=ARTIFACTS,
    )


def _warnings(chosen: BacktestRows) -> list[str]:
    samples = f"of {len(chosen.rows):,} bars"
    trained, selected = int(chosen.is_trained.sum()), int(chosen.is_selected.sum())
    found = {
        f"{trained:,} {samples} are of the training part: what the model says of them is no evidence": trained,
        f"{selected:,} {samples} are of the validation part, by which the epoch was chosen": selected,
        f"{chosen.sealed:,} bars were left out, as they are in a sealed test part": chosen.sealed,
    }
    return [sentence for sentence, count in found.items() if count]


def _write(
    folder: Path, results: BacktestResults, strategy: Strategy, rows: EvaluatedRows, trades: pl.DataFrame
) -> None:
    write_rows(folder, [rows])
    buffer = io.BytesIO()
    trades.write_parquet(buffer)
    write_file(folder / TRADES, buffer.getvalue())
    write_file(folder / TRADES_CSV, trades.write_csv().encode())
    plot = reports.plot_backtest(results, strategy.name)
    write_file(folder / EQUITY, plot)
    write_file(folder / SUMMARY, reports.backtest_summary(results, strategy.name).encode())
    stress_plot = reports.plot_stress(results, strategy.name)
    write_file(folder / STRESS, stress_plot)
    report = reports.backtest_report(results, strategy.name, plot, stress_plot, trades)
    write_file(folder / REPORT, report.encode())
