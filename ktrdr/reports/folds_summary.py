"""summary.txt of a training in folds: the folds together, then each by itself, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterator

from ktrdr.formatting import count, gain, score
from ktrdr.payloads.training import FoldScores, FoldsResults, Spread
from ktrdr.reports.evaluation_text import backtest_lines, evaluation_lines
from ktrdr.reports.text import pairs, sections, sentence, table, wrap

MEASURES = ("accuracy", "balanced_accuracy", "mcc", "log_loss", "mse", "ic", "rank_ic")
_SHORT = {
    "balanced_accuracy": "balanced",
    "mcc": "MCC",
    "log_loss": "log-loss",
    "mse": "error",
    "ic": "IC",
    "rank_ic": "rank IC",
}


def summarise_in_words(results: FoldsResults, title: str) -> str:
    return sections(
        {
            "": [*wrap(title), ""],
            "Verdict": _verdicts(results),
            "All folds together, each on its own validation rows": evaluation_lines(results.evaluation),
            "Backtest of all folds in order of time": backtest_lines(results.backtest),
            "Each fold": _folds(results),
            "Operations of the folds": pairs({str(fold.fold): fold.operation_id for fold in results.folds}),
        }
    )


def _verdicts(results: FoldsResults) -> Iterator[str]:
    verdicts = {
        "Folds": results.verdict,
        "Test": results.sealed and results.sealed.sentence(results.folds[-1].operation_id),
        "Backtest": results.backtest and results.backtest.verdict,
        "Note": results.note,
        "Preflight": " ".join(map(sentence, results.warnings)),
    }
    yield from pairs({name: text for name, text in verdicts.items() if text})


def _folds(results: FoldsResults) -> Iterator[str]:
    measures = [name for name in MEASURES if name in results.spread]
    names = [_SHORT.get(name, name.replace("_", " ")) for name in measures]
    yield from table(
        ["fold", "from", "to", "samples", "epoch", *names, "baseline", "return", "holding"],
        [
            *(_fold(fold, measures) for fold in results.folds),
            *([name, *[""] * 4, *_spread(results, name, measures), *[""] * 3] for name in Spread.model_fields),
        ],
    )
    yield ""
    yield from wrap(
        "The baseline is the naive one that is hardest to beat in the fold, in "
        f"{'squared error' if results.folds[0].baseline_mse is not None else 'accuracy'}."
    )


def _fold(fold: FoldScores, measures: list[str]) -> list[str]:
    return [
        str(fold.fold),
        f"{fold.first:%Y-%m-%d}",
        f"{fold.last:%Y-%m-%d}",
        count(fold.samples),
        str(fold.best_epoch),
        *(score(getattr(fold, name)) for name in measures),
        score(fold.baseline_accuracy if fold.baseline_mse is None else fold.baseline_mse),
        gain(fold.total_return),
        gain(fold.held_return),
    ]


def _spread(results: FoldsResults, name: str, measures: list[str]) -> list[str]:
    return [score(getattr(results.spread[measure], name)) for measure in measures]
