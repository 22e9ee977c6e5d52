"""`ktrdr models compare`: what went into models differently, what came out, and whether one is ahead beyond chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ktrdr.cli import completion
from ktrdr.cli.client import connect
from ktrdr.cli.options import AsJson
from ktrdr.cli.output import fitting, note, print_fields, print_json, print_line, print_table, say, text
from ktrdr.formatting import NOTHING, correlation, count, counted, gain, percentage, score, signed_score

if TYPE_CHECKING:
    from ktrdr.api.schemas.models import Model
    from ktrdr.payloads.backtest import BacktestResult
    from ktrdr.payloads.comparison import Comparison
    from ktrdr.payloads.evaluation import Evaluation
    from ktrdr.payloads.training import FinalMetrics

HASH_DIGITS = 10
_LEAST_SHOWN = 3


def compare(
    ctx: typer.Context,
    operation_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="A B …",
            help="Models, or one training in folds.",
            show_default=False,
            autocompletion=completion.operation_ids,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Set models side by side: the inputs that differ, the results, and a test.

    The test compares them on the rows that all have predicted: the test part
    where all have opened it, else their validation rows. A training in folds
    can be compared too, with another one or with a single training; alone, its
    folds are compared. Of many models a terminal shows the first few.

    Examples:
      ktrdr models compare k3x9ab p2c8de
      ktrdr models compare last
    """
    client = connect(ctx)
    comparison = client.compare(operation_ids)
    models = [client.model(each) for each in comparison.models]
    results = beside([figures(model) for model in models])
    if as_json:
        inputs = {each.name: each.values for each in comparison.inputs}
        values = {name: [each and each.value for each in row] for name, row in results.items()}
        print_json({**comparison.model_dump(mode="json"), "inputs": inputs, "results": values})
    else:
        _print(models, comparison, results)


def _print(models: Sequence[Model], comparison: Comparison, results: Mapping[str, Sequence[Figure | None]]) -> None:
    letters = [_letters(place) for place in range(len(models))]
    inputs = [[each.name, *(text(_short(value)) for value in each.values)] for each in comparison.inputs]
    figures = [[name, *(text(figure) for figure in row)] for name, row in results.items()]
    shown = slice(0, _columns_shown([*inputs, *figures], letters))
    print_fields(
        [(letter, f"{model.operation_id}  {_about(model)}") for letter, model in zip(letters, models, strict=True)]
    )
    print_line()
    if inputs:
        print_table(("input", *letters)[shown], [row[shown] for row in inputs])
    else:
        say("The inputs are the same.")
    print_line()
    print_table(("result", *(f">{letter}" for letter in letters))[shown], [row[shown] for row in figures])
    if shown.stop <= len(models):
        say(
            f"The tables show {shown.stop - 1} of {counted(len(models), 'model')}, and the verdict is on all; "
            "see all with --json, or rank them: ktrdr runs"
        )
    note(comparison.verdict)


def _columns_shown(rows: Sequence[Sequence[str]], letters: Sequence[str]) -> int:
    """As many columns, with that of the names, as a terminal has room for: two models at least."""
    places = fitting(["result", *letters], rows)
    together = next((count for count, place in enumerate(places) if count != place), len(places))
    return max(together, _LEAST_SHOWN)


def _letters(place: int) -> str:
    """`A`, `B`, … `Z`, `AA`, `AB`, …"""
    rest, last = divmod(place, len(ascii_uppercase))
    return (_letters(rest - 1) if rest else "") + ascii_uppercase[last]


def _about(model: Model) -> str:
    from ktrdr.payloads.training import FoldsResults

    place = f"{len(model.results.folds)} folds" if isinstance(model.results, FoldsResults) else ""
    if model.fold:
        place = f"fold {model.fold}"
    return " ".join([model.strategy, ",".join(model.symbols), *model.timeframes, place]).strip()


def _short(value: object) -> object:
    """A value that fits into a column; of a hash its beginning."""
    if isinstance(value, str) and len(value) == 64:
        return f"{value[:HASH_DIGITS]}…"
    if isinstance(value, list):
        return ", ".join(map(str, value)) if value else "none"
    return value


@dataclass(frozen=True, slots=True)
class Figure:
    """One result of a model, and how it is written."""

    value: float | None
    write: Callable[[Any], str]

    def __str__(self) -> str:
        return NOTHING if self.value is None else self.write(self.value)


def beside(figures: Sequence[Mapping[str, Figure]]) -> dict[str, list[Figure | None]]:
    """Each figure that at least one model has, in each model."""
    names = dict.fromkeys(name for each in figures for name, figure in each.items() if figure.value is not None)
    return {name: [each.get(name) for each in figures] for name in names}


def figures(model: Model) -> dict[str, Figure]:
    """What came of a model, by name."""
    from ktrdr.payloads.training import FoldsResults, TrainingResults

    results = model.results
    if not isinstance(results, TrainingResults | FoldsResults):
        return {}
    return {
        **_evaluated(results.evaluation, ""),
        **_evaluated(results.test_evaluation, "test "),
        **_traded(results.backtest, ""),
        **_traded(results.test_backtest, "test "),
        **_trained(results.final_metrics),
    }


_SCORES: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "samples": ("samples", count),
    "accuracy": ("accuracy", percentage),
    "balanced_accuracy": ("balanced accuracy", percentage),
    "mcc": ("MCC", correlation),
    "log_loss": ("log-loss", score),
    "mse": ("squared error", score),
    "r2": ("R²", signed_score),
    "ic": ("IC", correlation),
    "rank_ic": ("rank IC", correlation),
}


def _evaluated(evaluation: Evaluation | None, prefix: str) -> dict[str, Figure]:
    if evaluation is None:
        return {}
    from ktrdr.payloads.evaluation import NAIVE

    own = {prefix + title: Figure(getattr(evaluation, name, None), write) for name, (title, write) in _SCORES.items()}
    naive = [scores for name, scores in evaluation.baselines.items() if name in NAIVE]
    return own | (
        {f"{prefix}best naive accuracy": Figure(max(scores.accuracy for scores in naive), percentage)} if naive else {}
    )


def _traded(backtest: BacktestResult | None, prefix: str) -> dict[str, Figure]:
    if backtest is None:
        return {}
    own = backtest.model
    own_figures = {
        "return": Figure(own.total_return, gain),
        "buy and hold": Figure(backtest.buy_and_hold.total_return, gain),
        "Sharpe ratio": Figure(own.sharpe, "{:.2f}".format),
        "maximum drawdown": Figure(own.max_drawdown, gain),
        "trades": Figure(own.trades, count),
    }
    return {prefix + name: figure for name, figure in own_figures.items()}


def _trained(final: FinalMetrics) -> dict[str, Figure]:
    return {
        "best epoch": Figure(final.best_epoch, count),
        "best val loss": Figure(final.best_val_loss, score),
        "final train loss": Figure(final.final_train_loss, score),
        "final val loss": Figure(final.final_val_loss, score),
        "total epochs": Figure(final.total_epochs, count),
        "training duration seconds": Figure(final.training_duration_seconds, "{:.1f}".format),
    }
