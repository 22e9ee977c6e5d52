"""End trainings at random points, resume them, and compare what they come to with what nothing ever happened to."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.reference import Reference, request
from tests.e2e.system import TERMINAL, System

_INTERRUPTED_AGAIN = 0.25
"""Share of the resumed trainings that are ended as well, and resumed in their turn."""


@dataclass(frozen=True, slots=True)
class Trial:
    """`epochs_before` were reported when it was ended first."""

    strategy: str
    how: str
    epochs_before: int
    generations: int
    differing: list[str]


def interrupted(
    system: System, reference: Reference, how: str, chosen: random.Random, symbol: str = "AAPL"
) -> tuple[str, int]:
    """A training that was ended at a random point by `how`, "SIGKILL" or "cancel", and its epochs until then."""
    while True:
        operation_id = system.post("/training/start", request(reference.strategy, symbol)).json()["operation_id"]
        if interrupt(system, operation_id, chosen.randint(1, reference.epochs - 1), how):
            return operation_id, system.metrics(operation_id)["new_cursor"]


def interrupt(system: System, operation_id: str, epochs: int, how: str) -> bool:
    """End it once it has reported so many epochs; False when it came to its own end before that."""
    while (reported := system.metrics(operation_id)["new_cursor"]) < epochs:
        if system.operation(operation_id)["status"] in TERMINAL:
            return False
        time.sleep(0.002 if reported else 0.02)
    if how == "cancel":
        system.post(f"/operations/{operation_id}/cancel")
    elif worker := dict(system.at_work()).get(operation_id):
        worker.kill()
    system.wait_for_end(operation_id)
    return bool(system.operation(operation_id)["status"] == {"cancel": "CANCELLED", "SIGKILL": "FAILED"}[how])


def resume(system: System, operation_id: str) -> str:
    answer = system.post(f"/operations/{operation_id}/resume")
    assert answer.status_code == 202, answer.text
    child: str = answer.json()["operation_id"]
    assert system.operation(child)["parent_id"] == operation_id
    return child


def attempt(
    system: System,
    reference: Reference,
    how: str,
    chosen: random.Random,
    between: Callable[[str], None] = lambda operation_id: None,
) -> Trial:
    """`between` may do something to what was ended before it is resumed."""
    operation_id, before = interrupted(system, reference, how, chosen)
    between(operation_id)
    generations = 1
    child = resume(system, operation_id)
    while before < reference.epochs and chosen.random() < _INTERRUPTED_AGAIN:
        if not interrupt(system, child, chosen.randint(before, reference.epochs), how):
            break
        child = resume(system, child)
        generations += 1
    system.ended(child)
    return Trial(reference.name, how, before, generations, reference.differences(system, child))


def prove(
    system: System,
    references: dict[str, Reference],
    points: int,
    seed: int,
    said: Callable[[str], None] = lambda _: None,
) -> list[Trial]:
    """As many trials, over all strategies in turn; every fifth is a cancel, the others are kills."""
    chosen, trials = random.Random(seed), list[Trial]()
    names = list(references)
    for number in range(points):
        how = "cancel" if number % 5 == 4 else "SIGKILL"
        trials.append(attempt(system, references[names[number % len(names)]], how, chosen))
        said(f"{number + 1} of {points} resumed, last: {trials[-1]}")
    return trials


def tear_newest_checkpoint(models: Path, operation_id: str, chosen: random.Random) -> None:
    """Cut it off at a random byte, as a disk does that lied about what it had written."""
    newest = max((models / operation_id / "checkpoints").glob("*.safetensors"))
    content = newest.read_bytes()
    newest.write_bytes(content[: chosen.randrange(len(content))])
