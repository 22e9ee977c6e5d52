"""A proposal follows from the search, its number and the trials it may see, and from nothing else."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.strategy.proposals import EndedTrial, propose, visible_trials
from ktrdr.strategy.search_loading import load_search
from ktrdr.strategy.search_space import Proposal, Search
from tests.strategy.test_search_loading import BASE, SEARCH
from tests.strategy.test_search_space import SMALL


def load(text: str) -> Search:
    return load_search(text, IndicatorCatalogue())


def distance(search: Search, proposal: Proposal) -> float:
    """A score that is least with 64 units, a rate of 0.003 and the second indicator."""
    values = search.named(proposal)
    away: float = abs(values["model.hidden_size"] - 64) / 64 + abs(values["training.learning_rate"] - 0.003) * 100
    return away + (not values["indicators[1].include"])


def run(search: Search, count: int, *, failing: int = 0) -> list[EndedTrial]:
    ended: list[EndedTrial] = []
    for number in range(count):
        proposal = propose(search, number, ended)
        failed = failing and number % failing == failing - 1
        ended.append(EndedTrial(proposal, None if failed else distance(search, proposal)))
    return ended


def test_order_of_arrival_and_trials_not_yet_visible_change_nothing() -> None:
    search = load(SEARCH)
    ended = run(search, 20)
    arrived = random.Random(3).sample(ended, len(ended))

    for number in (12, 16, 19):
        enough = ended[: visible_trials(search, number)]
        assert propose(search, number, arrived) == propose(search, number, enough) == ended[number].proposal


def test_tpe_learns_from_what_it_sees_and_from_failures_nothing() -> None:
    search = load(SEARCH)

    ended = run(search, 40, failing=7)

    scores = [trial.score for trial in ended if trial.score is not None]
    assert sum(scores[-10:]) < 0.6 * sum(scores[:10])


def test_it_sees_results_only_as_far_as_the_lag_lets_it() -> None:
    search = load(SEARCH.replace("lag: 1", "lag: 4"))
    ended = run(search, 20)
    worst = [EndedTrial(trial.proposal, 1e6) for trial in ended]

    assert visible_trials(search, 18) == 14
    assert propose(search, 18, [*ended[:14], *worst[14:]]) == propose(search, 18, ended)
    assert propose(search, 18, [*worst[:13], ended[13]]) != propose(search, 18, ended)


@pytest.mark.parametrize(("sampler", "seed"), [("random", 3), ("tpe", 3), ("tpe", 4)])
def test_a_seed_decides_everything(sampler: str, seed: int) -> None:
    search = load(SEARCH.replace("seed: 7", f"seed: {seed}").replace("tpe", sampler))

    assert run(search, 14) == run(search, 14)
    assert run(search, 14) != run(load(search.text.replace(f"seed: {seed}", "seed: 99")), 14)


def test_a_grid_and_seeds_need_no_history() -> None:
    seeds = load(f"{BASE}search: {{seeds: 3}}\n")

    assert [propose(load(SMALL), number, ()).number for number in range(8)] == list(range(8))
    assert [propose(seeds, number, ()).values for number in range(3)] == [(42,), (43,), (44,)]


def test_tpe_avoids_what_was_tried_in_a_small_space() -> None:
    search = load(f"{BASE}  layers: {{int: [1, 16]}}\nsearch: {{trials: 16, sampler: tpe, lag: 0}}\n")
    ended: list[EndedTrial] = []
    for number in range(16):
        proposal = propose(search, number, ended)
        ended.append(EndedTrial(proposal, float(proposal.values[0])))

    assert len({trial.proposal.values for trial in ended}) > 10


def test_a_score_that_is_no_number_is_a_failure() -> None:
    search = load(SEARCH)
    ended = run(search, 16)

    broken = [EndedTrial(ended[0].proposal, float("nan")), *ended[1:]]
    failed = [EndedTrial(ended[0].proposal, None), *ended[1:]]

    assert propose(search, 16, broken) == propose(search, 16, failed)


@pytest.mark.processes
def test_optuna_is_imported_only_for_a_proposal_that_needs_it() -> None:
    code = "import sys, ktrdr.strategy.proposals, ktrdr.strategy.search_loading; sys.exit('optuna' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
