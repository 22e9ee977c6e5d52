"""How an operation that has ended is shown: its results on stdout, its error on stderr, its exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from ktrdr.cli.analysis import print_audit, print_export, print_predictions, print_preflight
from ktrdr.cli.explanations import print_ablation, print_explanation, print_unfinished_ablation
from ktrdr.cli.loads import print_load
from ktrdr.cli.output import (
    few,
    file_fields,
    note,
    print_fields,
    print_json,
    print_line,
    print_table,
    say,
    show_error,
    warn,
)
from ktrdr.cli.trials import print_search
from ktrdr.errors import KtrdrError
from ktrdr.formatting import count, duration, gain, score, signed_score, with_error
from ktrdr.operations.status import OperationStatus

if TYPE_CHECKING:
    from ktrdr.api.schemas.operations import Operation
    from ktrdr.cli.client import Client
    from ktrdr.payloads.backtest import BacktestResult, Performance
    from ktrdr.payloads.backtests import BacktestResults, Stress
    from ktrdr.payloads.evaluation import Classification, ClassScores, Evaluation, NumberScores, Regression
    from ktrdr.payloads.results import Results
    from ktrdr.payloads.training import (
        EvaluatedResults,
        FinalMetrics,
        FoldScores,
        FoldsResults,
        TrainingResults,
        UnfinishedFoldsResults,
    )
    from ktrdr.payloads.unsealing import UnsealingResults

    Scores = Classification | Regression | ClassScores | NumberScores
    Column = Callable[[Any], float | None]

CLASS_COLUMNS: Mapping[str, Column] = {
    "accuracy": lambda scores: scores.accuracy,
    "balanced accuracy": lambda scores: scores.balanced_accuracy,
    "MCC": lambda scores: scores.mcc,
    "log-loss": lambda scores: scores.log_loss,
}
NUMBER_COLUMNS: Mapping[str, Column] = {
    "squared error": lambda scores: scores.mse,
    "R²": lambda scores: scores.r2,
    "IC": lambda scores: scores.ic,
    "rank IC": lambda scores: scores.rank_ic,
    "accuracy": lambda scores: scores.accuracy,
}


def finish(client: Client, operation: Operation, as_json: bool) -> Results:
    """Prints the results of a terminal operation and returns them; leaves with exit code 1 unless it completed."""
    results = client.results(operation.operation_id)
    if as_json:
        print_results_json(operation.operation_id, results)
    else:
        print_results(results)
    if operation.status is OperationStatus.COMPLETED:
        return results
    if operation.error:
        failure = operation.error
        show_error(KtrdrError(failure.detail, hint=failure.hint, problem=failure.code), as_json=as_json)
    else:
        say(f"{operation.operation_id} {operation.status.lower()}")
    raise typer.Exit(1)


def print_results_json(operation_id: str, results: Results) -> None:
    """What the server sent, and no more."""
    print_json({"operation_id": operation_id, **results.model_dump(mode="json", exclude_unset=True)})


def print_results(results: Results) -> None:
    show = _BY_KIND.get(getattr(results, "kind", ""), _print_status)
    show(results)
    if results.note:
        note(results.note)


def _print_status(results: Results) -> None:
    print_fields([("status", results.status)])


def print_training(results: TrainingResults) -> None:
    """The model beside its baselines, then how it came about and where it lies."""
    _print_evaluated(results)
    final = results.final_metrics
    epochs = f"{count(final.total_epochs)} ({results.ending})" if final.total_epochs else "0"
    print_fields([("status", results.status), ("epochs", epochs), *_final_fields(final), *file_fields(results)])
    _print_verdicts(results, results.evaluation.verdict if results.evaluation else None)
    for warning in results.preflight.warnings if results.preflight else ():
        warn(warning)


def print_unsealing(results: UnsealingResults) -> None:
    """The model beside its baselines on the test part, and what the opening has spent."""
    _print_evaluation(results.evaluation)
    _print_backtest(results.backtest)
    opening = results.opening
    print_fields(
        [
            ("model", results.model),
            ("opened by", opening.by),
            ("opened at", opening.opened_at),
            ("opening", f"{opening.number} of these bars"),
            ("significance level", opening.level_in_percent),
            *file_fields(results),
        ]
    )
    note(results.evaluation.verdict, "the test part")
    note(results.backtest.verdict, "the backtest, test part")


def print_backtest(results: BacktestResults) -> None:
    """The model beside its baselines, what trading earned, and what stands against both."""
    _print_evaluation(results.evaluation)
    _print_backtest(results.backtest)
    shares = ", ".join(f"fold {fold.fold} predicted {count(fold.samples)}" for fold in results.folds)
    print_fields(
        [
            ("model", results.model),
            ("bars", f"{few(results.symbols)} {results.timeframe}, {count(results.samples)}"),
            ("from", f"{results.first:%Y-%m-%d}"),
            ("to", f"{results.last:%Y-%m-%d}"),
            *([("folds", shares)] if len(results.folds) > 1 else []),
            ("round trips", results.trades),
            ("costs that leave nothing", _break_even(results.stress)),
            *file_fields(results),
        ]
    )
    note(results.evaluation.verdict)
    note(results.backtest.verdict, "the backtest")
    for warning in results.warnings:
        warn(warning)


def _break_even(stress: Stress | None) -> str | None:
    return f"{stress.break_even_bps:,.1f} bps" if stress and stress.break_even_bps is not None else None


def print_folds(results: FoldsResults) -> None:
    """Each fold beside its baseline, then all folds together."""
    is_regression = all(fold.baseline_mse is not None for fold in results.folds)
    print_table(
        ("fold", "from", "to", ">error" if is_regression else ">accuracy", ">baseline", ">lead", ">return", ">holding"),
        [_fold_row(fold) for fold in results.folds],
        title=f"{len(results.folds)} folds, each on its own validation samples",
    )
    print_line()
    _print_evaluated(results)
    final = results.final_metrics
    print_fields(
        [
            ("status", results.status),
            ("epochs", count(final.total_epochs)),
            *_final_fields(final),
            *file_fields(results),
        ]
    )
    _print_verdicts(results, results.verdict)
    for warning in results.warnings:
        warn(warning)


def _fold_row(fold: FoldScores) -> tuple[object, ...]:
    is_regression = fold.baseline_mse is not None
    return (
        fold.fold,
        fold.first.date(),
        fold.last.date(),
        score(fold.mse if is_regression else fold.accuracy),
        score(fold.baseline_mse if is_regression else fold.baseline_accuracy),
        signed_score(fold.lead),
        gain(fold.total_return),
        gain(fold.held_return),
    )


def _print_evaluated(results: EvaluatedResults) -> None:
    for evaluation in (results.evaluation, results.test_evaluation):
        if evaluation:
            _print_evaluation(evaluation)
    for backtest in (results.backtest, results.test_backtest):
        if backtest:
            _print_backtest(backtest)


def _print_verdicts(results: EvaluatedResults, verdict: str | None) -> None:
    """A note for each part; `verdict` is that of the validation part."""
    verdicts = {
        "the validation part": verdict,
        "the test part": results.test_evaluation and results.test_evaluation.verdict,
        "the backtest, validation part": results.backtest and results.backtest.verdict,
        "the backtest, test part": results.test_backtest and results.test_backtest.verdict,
    }
    for about, text in verdicts.items():
        if text:
            note(text, about)
    if sealed := results.describe_test_part():
        note(sealed)


def _print_finished_folds(results: UnfinishedFoldsResults) -> None:
    if results.folds:
        print_table(
            ("fold", ">epochs", ">best epoch", ">best validation loss"),
            [(fold.fold, fold.total_epochs, fold.best_epoch, score(fold.best_val_loss)) for fold in results.folds],
        )
        print_line()
    print_fields([("status", results.status)])


def _print_evaluation(evaluation: Evaluation) -> None:
    columns = CLASS_COLUMNS if evaluation.class_names else NUMBER_COLUMNS
    print_table(
        ("", *(f">{title}" for title in columns)),
        [
            (name.replace("_", " "), *(score(column(scores)) for column in columns.values()))
            for name, scores in scores_by_name(evaluation)
        ],
        title=f"On {count(evaluation.samples)} {evaluation.adjective} samples",
    )
    print_line()


def scores_by_name(evaluation: Evaluation) -> Iterator[tuple[str, Scores]]:
    """The model's scores and its baselines'."""
    yield "model", evaluation
    yield from evaluation.baselines.items()


def _print_backtest(backtest: BacktestResult) -> None:
    print_table(
        ("", ">return", ">a year", ">Sharpe", ">drawdown", ">trades", ">costs"),
        [
            _performance("model", backtest.model),
            _performance("buy and hold", backtest.buy_and_hold),
            ("random, median", gain(backtest.random_entries.median), *[None] * 5),
        ],
        title=f"Backtest on {backtest.where}, {100 * backtest.costs_percent:g} bps a trade",
    )
    if backtest.rules:
        print_fields([("positions", backtest.rules)])
    print_line()


def _performance(name: str, performance: Performance) -> tuple[object, ...]:
    return (
        name,
        gain(performance.total_return),
        gain(performance.annual_return),
        with_error(performance.sharpe, performance.sharpe_standard_error),
        gain(performance.max_drawdown),
        performance.trades,
        gain(-performance.costs_paid),
    )


def _final_fields(final: FinalMetrics) -> list[tuple[str, object]]:
    losses = [f"{score(final.final_train_loss)} train", f"{score(final.final_val_loss)} validation"]
    fields: list[tuple[str, object]] = [
        ("best epoch", final.best_epoch),
        ("best validation loss", final.best_val_loss),
        ("final loss", losses if final.final_train_loss is not None else None),
        ("time", duration(final.training_duration_seconds)),
    ]
    return [(name, value) for name, value in fields if value is not None]


_BY_KIND: Mapping[str, Callable[[Any], None]] = {
    "training": print_training,
    "folds": print_folds,
    "unfinished_folds": _print_finished_folds,
    "search": print_search,
    "unfinished_search": print_search,
    "preflight": print_preflight,
    "audit": print_audit,
    "prediction": print_predictions,
    "export": print_export,
    "backtest": print_backtest,
    "explanation": print_explanation,
    "ablation": print_ablation,
    "unfinished_ablation": print_unfinished_ablation,
    "unsealing": print_unsealing,
    "data_load": print_load,
}
