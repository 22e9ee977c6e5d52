from __future__ import annotations

from typing import Any

import pytest
import torch

from ktrdr.errors import InputError
from ktrdr.strategy.sections.model import LSTM, TCN
from ktrdr.training.families import FAMILIES, build_model


def test_an_unknown_family_is_refused_with_the_nearest_name() -> None:
    spec = LSTM(type="lstm").model_copy(update={"type": "lstn"})

    with pytest.raises(InputError, match=r"model\.type must be one of lstm, gru, .*; it is 'lstn'") as refused:
        build_model(spec, 3, 2)

    assert "'lstm'" in refused.value.hint


def test_every_family_of_the_schema_is_here() -> None:
    from typing import get_args

    from ktrdr.strategy.sections.model import ShippedModel

    declared = {get_args(spec.model_fields["type"].annotation)[0] for spec in get_args(get_args(ShippedModel)[0])}

    assert declared == {family.type for family in FAMILIES}


def test_a_dilation_beyond_the_window_costs_neither_weights_nor_padding() -> None:
    spec = TCN(type="tcn", layers=16, hidden_size=4, sequence_length=5, kernel_size=64)
    model: Any = build_model(spec, 4, 2)

    assert model(torch.randn(2, 5, 4)).shape == (2, 2)
    assert [layer.first.kernel_size[0] for layer in model.layers][:4] == [5, 3, 2, 1]
    assert max(layer.reach for layer in model.layers) < 5
