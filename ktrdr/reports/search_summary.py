"""The summary of a search in words and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from ktrdr.payloads.search import SearchResults, TrialResult, ranked

SHOWN_TRIALS = 20


def summarise_in_words(results: SearchResults, title: str) -> str:
    lines = [f"Search: {title}", "", results.verdict, *(f"Warning: {text}" for text in results.warnings), ""]
    lines += [*_winner(results), "", *_best(results), "", *_importance(results)]
    return "\n".join(lines).rstrip() + "\n"


def _winner(results: SearchResults) -> Iterator[str]:
    winner = results.winner
    same = "the same bits as its trial" if winner.identical else "NOT the bits of its trial"
    yield f"Winner: trial {winner.trial}, trained again in full as {winner.operation_id}, {same}."
    yield from (f"  {name} = {_shown(value)}" for name, value in results.trials[winner.trial].parameters.items())


def _best(results: SearchResults) -> Iterator[str]:
    yield f"Best trials by {results.objective}, of {len(results.trials)}; {results.epochs_trained} epochs trained:"
    rows: list[Sequence[str]] = [("trial", "rung", "epochs", str(results.objective), "parameters")]
    rows += [_row(trial) for trial in ranked(results.objective, results.trials)[:SHOWN_TRIALS]]
    yield from _table(rows)


def _row(trial: TrialResult) -> tuple[str, ...]:
    chosen = ", ".join(f"{name}={_shown(value)}" for name, value in trial.parameters.items())
    return str(trial.trial), str(trial.rung), str(trial.epochs), f"{trial.score:.5g}", chosen


def _importance(results: SearchResults) -> Iterator[str]:
    if not results.importance:
        return
    yield "Share of the scores' spread that each parameter explains, with its standard error:"
    for each in results.importance:
        yield f"  {each.parameter:40} {each.importance:5.2f} ± {each.standard_error:.2f}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _shown(value: JsonValue) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
