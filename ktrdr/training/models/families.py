"""The model families: a new one is one file beside this one and one entry in `FAMILIES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from ktrdr.errors import InputError, nearest
from ktrdr.training.models.gru import GRUClassifier
from ktrdr.training.models.lstm import LSTMClassifier
from ktrdr.training.models.mlp import MLPClassifier

if TYPE_CHECKING:
    from ktrdr.strategy.spec import GRU, LSTM, MLP


@dataclass(frozen=True, slots=True)
class Family:
    """`build(spec, features, classes)` gives a module from [batch, window, features] to logits [batch, classes]."""

    type: str
    build: Callable[[Any, int, int], nn.Module]


FAMILIES: tuple[Family, ...] = (
    Family("lstm", LSTMClassifier),
    Family("gru", GRUClassifier),
    Family("mlp", MLPClassifier),
)


def build_model(spec: LSTM | GRU | MLP, features: int, classes: int) -> nn.Module:
    for family in FAMILIES:
        if family.type == spec.type:
            return family.build(spec, features, classes)
    known = [family.type for family in FAMILIES]
    raise InputError(
        f"model.type must be one of {', '.join(known)}; it is {spec.type!r}",
        hint=f"The nearest is {nearest(spec.type, known) or known[0]!r}.",
    )
