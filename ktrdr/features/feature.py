"""A feature: one column that an entry of `indicators` makes, and how its values enter a model."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from ktrdr.features.sources import Series


class Scale(Enum):
    """How an indicator's values scale with prices, and the formula that makes a scale-free feature of them.

    LEVEL: doubles when prices double, and TA-Lib flags it as on its input's scale (averages, bands)
    SIZE: doubles when prices double, without that flag (ranges, differences, deviations)
    SQUARE: quadruples when prices double (variances)
    OWN: anything else (oscillators, patterns, functions of volume alone)
    """

    LEVEL = "{} / close - 1"
    SIZE = "{} / close"
    SQUARE = "{} / close ** 2"
    OWN = "{}"

    def apply(self, values: Series, close: Series) -> Series:
        with np.errstate(divide="ignore", invalid="ignore"):
            if self is Scale.LEVEL:
                ratios = values / close
                ratios -= 1
                return ratios
            if self is Scale.SIZE:
                return values / close
            if self is Scale.SQUARE:
                return values / close**2
            return values


@dataclass(frozen=True, slots=True)
class Feature:
    """One column that an indicator makes."""

    name: str
    scale: Scale
