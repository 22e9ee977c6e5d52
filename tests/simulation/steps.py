"""Steps of the simulation: rules of hypothesis, which can also be drawn without it, fifty times as fast."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule


@dataclass(frozen=True, slots=True)
class Step:
    """What may happen.

    name: the method that lets it happen
    choices: the values that each of its arguments is drawn from
    when: whether it can happen now
    """

    name: str
    choices: Mapping[str, Sequence[Any]]
    when: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """A step with its arguments."""

    step: Step
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        return f"state.{self.step.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


STEPS: list[Step] = []


def step(when: Callable[[Any], Any] = lambda machine: True, **choices: Sequence[Any]) -> Callable[[Any], Any]:
    """Make a method a rule, each of whose arguments is one of some values, possible while `when` is true."""

    def decorate(function: Callable[..., None]) -> Any:
        STEPS.append(Step(function.__name__, choices, when))
        strategies: dict[str, Any] = {name: st.sampled_from(values) for name, values in choices.items()}
        as_rule: Callable[[Any], Any] = rule(**strategies)
        return precondition(when)(as_rule(function))

    return decorate


def play(machine: type[RuleBasedStateMachine], schedule: Sequence[Taken]) -> str:
    """Take these steps, except those that cannot happen, and come to an end; the broken promise, or empty."""
    state = machine()
    try:
        for taken in schedule:
            _take(state, taken)
    except AssertionError as broken:
        state.teardown()
        return str(broken)
    return _end(state)


def explore(machine: type[RuleBasedStateMachine], chosen: random.Random, count: int) -> tuple[list[Taken], str]:
    """Take so many steps at random; them, and the broken promise, or empty."""
    state, schedule = machine(), list[Taken]()
    try:
        while len(schedule) < count:
            drawn = chosen.choice(STEPS)
            if drawn.when(state):
                arguments = {name: chosen.choice(values) for name, values in drawn.choices.items()}
                schedule.append(Taken(drawn, arguments))
                _take(state, schedule[-1])
    except AssertionError as broken:
        state.teardown()
        return schedule, str(broken)
    return schedule, _end(state)


def shrink(machine: type[RuleBasedStateMachine], schedule: list[Taken]) -> list[Taken]:
    """The schedule without the steps that its broken promise does not need."""
    size = len(schedule) // 2
    while size:
        for start in range(0, len(schedule), size):
            shorter = schedule[:start] + schedule[start + size :]
            if play(machine, shorter):
                schedule = shorter
                break
        else:
            size //= 2
    return schedule


def _take(state: Any, taken: Taken) -> None:
    if taken.step.when(state):
        getattr(state, taken.step.name)(**taken.arguments)
        state.check_invariants()


def _end(state: RuleBasedStateMachine) -> str:
    try:
        state.teardown()
    except AssertionError as broken:
        return str(broken)
    return ""
