"""The class weights of a saved model's training, which are taken out of the probabilities that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class ClassWeights:
    """The weights of a training's loss.

    values: [classes]; None where there are none, or where they are unknown
    are_known: False for a model of an earlier version whose card does not show them
    """

    values: tuple[float, ...] | None = None
    are_known: bool = True

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Self:
        """Read a model's card. Those of 0.1.0 have no weights, and most of them have the classes' shares instead."""
        if "class_weights" in card:
            weights = card["class_weights"]
            return cls(None if weights is None else tuple(weights))
        training = card["strategy"]["training"]
        if training["class_weights"] == "none" or not card["class_names"]:
            return cls()
        if training["sample_weights"] != "none":
            return cls(are_known=False)
        return cls._from_shares(card)

    @classmethod
    def _from_shares(cls, card: Mapping[str, Any]) -> Self:
        """n / (classes present * samples in the class), from the training part in the card's results."""
        try:
            train = card["results"]["preflight"]["parts"][0]
            shares = [float(train["shares"][name]) for name in card["class_names"]]
        except (KeyError, TypeError, IndexError):
            return cls(are_known=False)
        present = sum(share > 0 for share in shares)
        return cls(tuple(1 / (present * share) if share else 0.0 for share in shares))
