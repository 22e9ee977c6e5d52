from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.features.dataset import Part
from ktrdr.training.windows import Samples, TrainingTensors, balanced_weights, view_of_windows


@given(rows=st.integers(1, 40), features=st.integers(1, 5), data=st.data())
def test_a_window_is_its_rows_and_shares_their_memory(rows: int, features: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, rows))
    values = torch.arange(rows * features, dtype=torch.float32).reshape(rows, features)

    windows = view_of_windows(values, length)

    assert windows.shape == (rows - length + 1, length, features)
    assert torch.equal(windows, torch.stack([values[i : i + length] for i in range(rows - length + 1)]))
    assert windows.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()


def part_of(ends: Any, labels: Any, weights: Any) -> Part:
    rows = np.asarray(ends, np.int64)
    return Part(
        ends=rows,
        labels=np.asarray(labels),
        persistence=np.asarray(labels),
        timestamps=rows.astype("datetime64[us]"),
        symbols=np.zeros_like(rows),
        rows=rows,
        settled=rows + 1,
        measures=np.zeros(len(rows)),
        weights=np.asarray(weights, np.float32),
    )


def test_samples_are_a_parts_windows_labels_and_weights() -> None:
    samples = Samples.of(part_of([4, 6], [1, 0], [0.5, 1.5]), 3)

    assert samples.starts.tolist() == [2, 4]
    assert (samples.labels.tolist(), samples.labels.dtype) == ([1, 0], torch.int64)
    assert samples.weights is not None
    assert samples.weights.tolist() == [0.5, 1.5]
    assert Samples.of(part_of([4, 6], [1, 0], [1, 1]), 3).weights is None


def test_balanced_weights_give_every_class_the_same_say() -> None:
    samples = Samples(torch.arange(4), torch.tensor([0, 0, 0, 1]))

    weights = balanced_weights(samples, 3)

    assert weights.tolist() == [pytest.approx(2 / 3), 2.0, 0.0]
    assert weights[samples.labels].mean().item() == pytest.approx(1.0)


def test_balanced_weights_count_what_samples_weigh_and_multiply_it() -> None:
    samples = Samples(torch.arange(4), torch.tensor([0, 0, 0, 1]), torch.tensor([0.25, 0.25, 0.5, 3.0]))
    data = TrainingTensors(torch.zeros(4, 1, 1), samples, samples, balanced_weights(samples, 2))

    weights = data.loss_weights(samples)

    assert weights is not None
    assert weights[:3].sum().item() == pytest.approx(weights[3].item())
    assert weights.mean().item() == pytest.approx(1.0)
