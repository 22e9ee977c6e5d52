"""Whether predictions agree with outcomes more than their frequencies explain (Pesaran and Timmermann 1992).

Whoever always says the same has timed nothing, however often that came true. Means are taken within each symbol, so
that to know one symbol from another is no timing either.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ktrdr.evaluation.sampling import within

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def class_agreement(labels: Integers, predicted: Integers, symbols: Integers, classes: int) -> Floats:
    """[samples], sum over the classes k of (1[label = k] - its share) (1[predicted = k] - its share).

    The mean is the share of hits minus the share that independent predictions of the same frequencies would have. Its
    test with a variance that allows for dependence is Pesaran and Timmermann's of 2009.
    """
    products = np.zeros(len(labels))
    for one in range(classes):
        products += within((labels == one).astype(np.float64), symbols) * within(
            (predicted == one).astype(np.float64), symbols
        )
    return products


def number_agreement(targets: Floats, predicted: Floats, symbols: Integers) -> Floats:
    """[samples], products of deviations from the means; their mean is the correlation within symbols."""
    sides = [within(side, symbols) for side in (targets, predicted)]
    products = sides[0] * sides[1]
    scale = float(sides[0].std() * sides[1].std())
    return products / scale if scale > 0 else np.zeros_like(products)
