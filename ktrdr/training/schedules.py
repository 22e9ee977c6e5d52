"""Learning-rate schedules: how the step size of an optimiser changes in the course of a training."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, ReduceLROnPlateau

from ktrdr.strategy.sections.training import OneCycle, Plateau

if TYPE_CHECKING:
    from ktrdr.strategy.sections.training import RateByStep, Training

_RATE = "learning_rate"


class ConstantRate:
    """The schedule of a training that has none; the base of all others."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def after_step(self) -> None:
        """The optimiser has made a step."""

    def after_validation(self, loss: float) -> None:
        """An epoch has ended with this validation loss."""

    def capture(self) -> dict[str, Tensor]:
        """The state, for a checkpoint."""
        return {}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Restore the state that `capture` gave."""


class _ChangingRate(ConstantRate):
    def __init__(self, optimizer: Optimizer, scheduler: LRScheduler) -> None:
        super().__init__(optimizer)
        self._scheduler = scheduler

    def capture(self) -> dict[str, Tensor]:
        numbers = _numbers(self._scheduler) | {_RATE: self.learning_rate}
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in numbers.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        own = {name: type(value)(tensors[name].item()) for name, value in _numbers(self._scheduler).items()}
        self._scheduler.load_state_dict(self._scheduler.state_dict() | own)
        for group in self.optimizer.param_groups:
            group["lr"] = tensors[_RATE].item()


class _RateBySteps(_ChangingRate):
    def after_step(self) -> None:
        self._scheduler.step()


class _RateByLoss(_ChangingRate):
    _scheduler: ReduceLROnPlateau

    def after_validation(self, loss: float) -> None:
        self._scheduler.step(loss)


def build_schedule(settings: Training, optimizer: Optimizer, steps: int) -> ConstantRate:
    """The schedule of a training whose `settings.epochs` take `steps` steps of the optimiser.

    It follows these epochs, however many of them are trained, so that a trial that stops early and goes on later has
    the rates of one that does not stop.
    """
    schedule = settings.schedule
    if schedule is None:
        return ConstantRate(optimizer)
    if isinstance(schedule, Plateau):
        scheduler = ReduceLROnPlateau(
            optimizer,
            factor=schedule.factor,
            patience=schedule.patience - 1,  # torch counts the epochs that it lets pass, not the one that is too many
            threshold=schedule.min_delta,
            threshold_mode="abs",
            min_lr=schedule.min_factor * settings.learning_rate,
            eps=0,
        )
        return _RateByLoss(optimizer, scheduler)
    return _RateBySteps(optimizer, LambdaLR(optimizer, partial(rate_factor, schedule, steps)))


def rate_factor(schedule: RateByStep, steps: int, step: int) -> float:
    """The rate of one of `steps` steps, counted from 0, as a share of the learning rate.

    Cosine: Loshchilov and Hutter, SGDR (2017), without restarts, after a linear rise. One cycle: Smith and Topin,
    Super-Convergence (2018), with two halves of cosines as in fastai and torch.
    """
    rise = round(schedule.warmup_ratio * steps)
    if step >= rise:
        # 1 at the first step after the rise, `final_factor` at the last one.
        return _half_cosine(1.0, schedule.final_factor, (step - rise) / max(1, steps - 1 - rise))
    if isinstance(schedule, OneCycle):
        return _half_cosine(schedule.initial_factor, 1.0, step / rise)
    return (step + 1) / (rise + 1)


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _numbers(scheduler: LRScheduler) -> dict[str, Any]:
    """The numbers in a scheduler's state: all of it that changes, but for the rate."""
    return {name: value for name, value in scheduler.state_dict().items() if isinstance(value, int | float)}
