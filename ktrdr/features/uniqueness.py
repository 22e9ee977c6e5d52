"""Average uniqueness of overlapping labels (López de Prado, Advances in Financial Machine Learning, ch. 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def average_uniqueness(rows: NDArray[np.int64], settled: NDArray[np.int64], bars: int) -> NDArray[np.float64]:
    """[samples], the mean of 1 / concurrency over the bars that each label spans; one symbol with `bars` bars.

    A label spans the bars rows + 1 to settled. Concurrency counts the labels that span a bar. The value is in (0, 1],
    and 1 where no other label overlaps.
    """
    begun = np.bincount(rows + 1, minlength=bars + 1)
    ended = np.bincount(settled + 1, minlength=bars + 1)
    concurrency = np.cumsum(begun - ended)
    shares = np.zeros(bars + 2)  # shares[row + 1] sums 1 / concurrency of the bars up to `row`
    np.cumsum(1 / np.maximum(concurrency, 1), out=shares[1:])
    return np.minimum((shares[settled + 1] - shares[rows + 1]) / (settled - rows), 1.0)
