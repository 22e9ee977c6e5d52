from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from ktrdr.training.windows import view_of_windows


@given(rows=st.integers(1, 40), features=st.integers(1, 5), data=st.data())
def test_a_window_is_its_rows_and_shares_their_memory(rows: int, features: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, rows))
    values = torch.arange(rows * features, dtype=torch.float32).reshape(rows, features)

    windows = view_of_windows(values, length)

    assert windows.shape == (rows - length + 1, length, features)
    assert torch.equal(windows, torch.stack([values[i : i + length] for i in range(rows - length + 1)]))
    assert windows.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()
