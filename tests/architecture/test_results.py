"""Results are read through their models, never by keys."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("api", "cli", "experiments", "reports")

# What these names hold is a model; what is read from them by a literal key is read past it.
RESULTS = {
    *("results", "outcome", "evaluation", "test_evaluation", "final", "final_metrics", "scores", "baselines"),
    *("backtest", "test_backtest", "money", "lead", "spread", "fold", "leak_gate", "preflight", "reproduction"),
}

# Bars have results of their own.
LOADS = {"cli/loads.py"}


# What has names that no model can know is a mapping: of baselines, of measures, of files.
BY_NAME = {"artifacts", "baselines", "spread"}


def reads_by_key(source: str) -> list[int]:
    """Lines in which `.get("…")` or `["…"]` reads what one of RESULTS names."""
    return sorted(line for node in ast.walk(ast.parse(source)) for line in _line_of_key(node))


def _line_of_key(node: ast.AST) -> Iterator[int]:
    match node:
        case ast.Call(func=ast.Attribute(value=read, attr="get"), args=[ast.Constant(value=str()), *_], lineno=line):
            yield from [line] if _is_results(read) else []
        case ast.Subscript(value=read, slice=ast.Constant(value=str()), ctx=ast.Load(), lineno=line):
            yield from [line] if _is_results(read) else []


def _is_results(node: ast.AST) -> bool:
    names = list(_names(node))
    return not RESULTS.isdisjoint(names) and names[0] not in BY_NAME


def _names(node: ast.AST) -> Iterator[str]:
    """`results` and `evaluation` of `model.results["evaluation"]`."""
    while True:
        match node:
            case ast.Name(id=name):
                yield name
                return
            case ast.Attribute(value=inner, attr=name):
                yield name
                node = inner
            case ast.Subscript(value=inner) | ast.Call(func=inner):
                node = inner
            case ast.BoolOp(values=[inner, *_]):
                node = inner
            case _:
                return


def test_the_probe_sees_keys() -> None:
    assert reads_by_key('a = results.get("evaluation") or {}') == [1]
    assert reads_by_key('a = model.results["final_metrics"]["best_epoch"]') == [1, 1]
    assert reads_by_key('a = (results.get("x") or {}).get("y")') == [1, 1]
    assert reads_by_key('a = results.evaluation.baselines["majority"].accuracy; b = headers.get("etag")') == []


def test_no_results_are_read_by_their_keys() -> None:
    files = [path for room in ROOMS for path in (ROOT / "ktrdr" / room).rglob("*.py")]
    named = {path.relative_to(ROOT / "ktrdr").as_posix(): path for path in files}

    found = {
        name: lines
        for name, path in named.items()
        if name not in LOADS and (lines := reads_by_key(path.read_text(encoding="utf-8")))
    }

    assert len(named) > 50
    assert found == {}
