"""Learning rates in the course of a training, as its optimiser used them."""

from __future__ import annotations

from typing import Any

import pytest

from ktrdr.strategy.sections.training import Training
from ktrdr.training.loop import TrainingState, train
from ktrdr.training.network_trainer import NetworkTrainer
from ktrdr.training.observer import SilentObserver
from ktrdr.training.schedules import rate_factor
from tests.training.test_loop import state_of, tensors_of

RATE, EPOCHS, BATCHES = 0.01, 10, 4


def rates_of(schedule: dict[str, Any] | None, *, stop_after: int | None = None) -> tuple[list[float], TrainingState]:
    """The rate of each step, as a share of the learning rate."""
    stopping = None if stop_after is None else {"patience": stop_after, "min_delta": 10.0}
    document = {"epochs": EPOCHS, "batch_size": 16, "learning_rate": RATE, "early_stopping": stopping}
    settings = Training.model_validate({**document, "schedule": schedule})
    state = state_of(settings, tensors_of(training=50))
    rates: list[float] = []
    assert isinstance(state.trainer, NetworkTrainer)
    state.trainer.optimizer.register_step_post_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"] / RATE)
    )
    train(state, settings, SilentObserver(), lambda: False, lambda _: None)
    return rates, state


def test_without_a_schedule_the_rate_stays() -> None:
    assert set(rates_of(None)[0]) == {1.0}


def test_cosine_rises_in_a_line_and_falls_to_its_final_factor() -> None:
    rates, state = rates_of({"type": "cosine", "warmup_ratio": 0.2, "final_factor": 0.1})

    assert len(rates) == EPOCHS * BATCHES
    assert rates[:9] == pytest.approx([step / 9 for step in range(1, 10)])
    assert rates[8:] == sorted(rates[8:], reverse=True)
    assert (rates[8], rates[-1]) == pytest.approx((1.0, 0.1))
    # 31 steps of a fall: after one third of its way a cosine has lost a quarter of the distance.
    assert rates_of({"type": "cosine"})[0][13] == pytest.approx(0.75)
    assert [metrics.learning_rate / RATE for metrics in state.history] == pytest.approx(rates[::BATCHES])


def test_one_cycle_goes_up_from_its_initial_factor_and_down_to_nothing() -> None:
    rates, _ = rates_of({"type": "one_cycle", "warmup_ratio": 0.5, "initial_factor": 0.2})

    assert (rates[0], rates[10], rates[20], rates[-1]) == pytest.approx((0.2, 0.6, 1.0, 0.0))
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_plateau_falls_when_early_stopping_of_the_same_patience_would_stop() -> None:
    schedule = {"type": "plateau", "patience": 2, "factor": 0.5, "min_delta": 10.0, "min_factor": 0.2}

    rates, state = rates_of(schedule)

    assert [metrics.learning_rate / RATE for metrics in state.history] == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]
    assert rates[::BATCHES] == rates[BATCHES - 1 :: BATCHES]
    assert rates_of(None, stop_after=2)[1].epoch == 3


@pytest.mark.parametrize("epochs", [1, 2, 3, 10])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_no_rate_of_a_short_training_is_out_of_bounds(schedule: str, ratio: float, epochs: int) -> None:
    spec = Training.model_validate({"schedule": {"type": schedule, "warmup_ratio": ratio}}).schedule
    assert spec is not None
    assert spec.type != "plateau"

    rates = [rate_factor(spec, epochs, step) for step in range(epochs)]

    assert all(0 <= rate <= 1 for rate in rates)
    assert max(rates) > 0
