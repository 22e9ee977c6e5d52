"""Proposes the values of a search's trials: by chance, by grid, or by a tree-structured Parzen estimator (TPE)."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ktrdr.strategy.ranges import Choice, LogRange, Range, RealRange, rounded
from ktrdr.strategy.search_space import Proposal, Search

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STARTUP_TRIALS = 10
"""Successful trials that TPE must see; until then chance proposes."""

ATTEMPTS = 10
"""How often TPE may choose again where it repeats a trial."""


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """A trial that has ended.

    proposal: what it tried
    score: by the search's objective; None where it failed
    """

    proposal: Proposal
    score: float | None

    @property
    def succeeded(self) -> bool:
        return self.score is not None and math.isfinite(self.score)


def visible_trials(search: Search, number: int) -> int:
    """How many of the first trials must have ended before this one can be proposed."""
    return max(0, number - search.settings.lag) if search.settings.sampler == "tpe" else 0


def propose(search: Search, number: int, ended: Sequence[EndedTrial]) -> Proposal:
    """The proposal of one trial, the same wherever and whenever it is made.

    `ended` must hold the first `visible_trials(search, number)` trials; others in it and their order change nothing.
    """
    if search.settings.seeds is not None or search.settings.sampler == "grid":
        return search.on_grid(number, number)
    visible = _first_trials(ended, visible_trials(search, number))
    if sum(trial.succeeded for trial in visible) < STARTUP_TRIALS:
        return search.at_random(number)
    return _tpe(search, number, visible)


def _first_trials(ended: Sequence[EndedTrial], count: int) -> list[EndedTrial]:
    by_number = {trial.proposal.number: trial for trial in ended}
    return [by_number[number] for number in range(count)]


def _tpe(search: Search, number: int, visible: Sequence[EndedTrial]) -> Proposal:
    """Bergstra et al., "Algorithms for Hyper-Parameter Optimization", 2011, by Optuna's implementation."""
    import optuna  # takes a second, and only here is it needed

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=_seed(search, number), n_startup_trials=STARTUP_TRIALS)
    direction = "minimize" if search.settings.objective.is_least_best else "maximize"
    study = optuna.create_study(sampler=sampler, direction=direction)
    study.add_trials([_frozen(search, trial) for trial in visible])
    distributions = {each.name: _distribution(each.range) for each in search.parameters}
    tried = {repr(trial.proposal.values) for trial in visible}
    for _ in range(ATTEMPTS):
        trial = study.ask(distributions)
        values = [_value(each.range, trial.params[each.name]) for each in search.parameters]
        proposal = search.proposal(number, values)
        if repr(proposal.values) not in tried:
            break
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return proposal


def _seed(search: Search, number: int) -> int:
    return random.Random(f"tpe/{search.settings.seed}/{number}").getrandbits(32)


def _frozen(search: Search, trial: EndedTrial) -> FrozenTrial:
    import optuna

    states = optuna.trial.TrialState
    present = search.present(trial.proposal)
    return optuna.create_trial(
        state=states.COMPLETE if trial.succeeded else states.FAIL,
        value=trial.score if trial.succeeded else None,
        params={each.name: _coordinate(each.range, value) for each, value in present},
        distributions={each.name: _distribution(each.range) for each, _ in present},
    )


# A range in Optuna's terms. What has a list of values enters by the position in it.


def _distribution(own: Range) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(own, Choice):
        return CategoricalDistribution(range(len(own.values)))
    if (values := own.values) is not None:
        return IntDistribution(0, len(values) - 1)
    assert isinstance(own, RealRange)
    return FloatDistribution(*own.bounds, log=isinstance(own, LogRange))


def _coordinate(own: Range, value: Any) -> Any:
    return value if (values := own.values) is None else values.index(value)


def _value(own: Range, coordinate: Any) -> Any:
    if (values := own.values) is not None:
        return values[coordinate]
    assert isinstance(own, RealRange)
    return rounded(coordinate, own.bounds)
