"""How the trials of a search are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ktrdr.cli.output import note, number, print_fields, print_line, print_table, text, warn
from ktrdr.formatting import counted, with_error

if TYPE_CHECKING:
    from ktrdr.payloads.search import (
        ParameterImportance,
        SearchResults,
        SearchWinner,
        UnfinishedSearchResults,
    )

SHOWN = 10
"""Trials in a table; `--all` and `--json` show every one."""


def print_search(results: SearchResults | UnfinishedSearchResults, limit: int = SHOWN) -> None:
    if results.kind == "search":
        _print_finished(results, limit)
    else:
        _print_unfinished(results, limit)


def _print_finished(results: SearchResults, limit: int) -> None:
    """The trials, what decided their scores, the winner, and the verdict in words."""
    _print_trials(results, limit, f"{counted(len(results.trials), 'trial')}, by {results.objective}")
    if results.importance:
        print_line()
        _print_importance(results.importance)
    print_line()
    print_fields([*_about_winner(results.winner), *_about_spread(results)])
    note(results.verdict)
    for warning in results.warnings:
        warn(warning)


def _print_unfinished(results: UnfinishedSearchResults, limit: int) -> None:
    if results.trials:
        print_trials(results, limit)
        print_line()
    print_fields([("status", results.status)])


def print_trials(results: UnfinishedSearchResults, limit: int) -> None:
    """The trials that have ended before the search has."""
    _print_trials(results, limit, f"{counted(len(results.trials), 'trial')}, by {results.objective}")


def _print_trials(results: SearchResults | UnfinishedSearchResults, limit: int, title: str) -> None:
    """The best first; those without a score come last and have no rank."""
    from ktrdr.payloads.search import ranked

    trials = [*ranked(results.objective, results.trials), *(each for each in results.trials if each.score is None)]
    with_rungs = any(trial.rung > 1 for trial in trials)
    shown = trials[:limit]
    names = _brief_names({name for trial in trials for name in trial.parameters})
    print_table(
        ("rank", ">trial", ">score", *([">rung"] if with_rungs else []), ">epochs", "status", "parameters"),
        [
            (
                rank if trial.score is not None else None,
                trial.trial,
                None if trial.score is None else f"{trial.score:.4f}",
                *([trial.rung] if with_rungs else []),
                trial.epochs,
                trial.status,
                trial.reason or ", ".join(f"{names[name]} {_value(value)}" for name, value in trial.parameters.items()),
            )
            for rank, trial in enumerate(shown, start=1)
        ],
        title=title if len(shown) == len(trials) else f"{title}; {len(shown)} are shown",
    )


def _brief_names(parameters: Iterable[str]) -> dict[str, str]:
    """The names without their sections, where that leaves them different."""
    last = {name: name.rpartition(".")[2] for name in parameters}
    times = Counter(last.values())
    return {name: short if times[short] == 1 else name for name, short in last.items()}


def _value(value: object) -> str:
    if value is None:
        return "null"
    return f"{value:.4g}" if isinstance(value, float) else text(value)


def _print_importance(importance: Sequence[ParameterImportance]) -> None:
    print_table(
        ("parameter", ">share of the scores' spread"),
        [(each.parameter, with_error(each.importance, each.standard_error)) for each in importance],
    )


def _about_winner(winner: SearchWinner) -> list[tuple[str, object]]:
    bits = "the same bits as its trial" if winner.identical else "NOT the bits of its trial"
    return [("winner", f"trial {winner.trial}, {number(winner.score)}"), ("model", f"{winner.operation_id}, {bits}")]


def _about_spread(results: SearchResults) -> list[tuple[str, object]]:
    spread = results.spread
    if spread is None:
        return []
    ends = f"{spread.min:.4f} to {spread.max:.4f}"
    return [("scores", f"{ends}, mean {spread.mean:.4f}, standard deviation {spread.std:.4f}")]
