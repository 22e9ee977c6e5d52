"""The contract that every model family keeps."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ktrdr.errors import InputError
from ktrdr.strategy.spec import Model, Network
from ktrdr.training.loop import weights_of
from ktrdr.training.models.families import FAMILIES, build_model

WINDOW, FEATURES, CLASSES = 6, 4, 3


def spec_of(family: str, **changes: Any) -> Any:
    document = {"type": family, "layers": 2, "hidden_size": 16, "sequence_length": WINDOW} | changes
    return TypeAdapter[Network](Model).validate_python(document)


def build(family: str, **changes: Any) -> nn.Module:
    torch.manual_seed(3)
    return build_model(spec_of(family, **changes), FEATURES, CLASSES)


def batch_of(samples: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(7)
    windows = torch.randn(samples, WINDOW, FEATURES, generator=random)
    return windows, torch.randint(CLASSES, (samples,), generator=random)


every_family = pytest.mark.parametrize("family", [family.type for family in FAMILIES])


@every_family
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("samples", [1, 5])
def test_windows_become_logits(family: str, layers: int, samples: int) -> None:
    logits = build(family, layers=layers, dropout=0.3)(batch_of(samples)[0])

    assert logits.shape == (samples, CLASSES)
    assert torch.isfinite(logits).all()


@every_family
def test_a_gradient_reaches_every_parameter(family: str) -> None:
    model = build(family)
    windows, labels = batch_of(8)

    cross_entropy(model(windows), labels).backward()  # type: ignore[no-untyped-call]

    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@every_family
def test_the_first_and_the_last_bar_of_a_window_matter(family: str) -> None:
    windows, _ = batch_of(4)
    windows.requires_grad_()

    build(family)(windows).sum().backward()

    reach = cast(Tensor, windows.grad).abs().sum(dim=(0, 2))
    assert (reach > 0).all()


@every_family
def test_samples_of_a_batch_do_not_mix(family: str) -> None:
    model = build(family).eval()
    windows, _ = batch_of(6)

    torch.testing.assert_close(model(windows)[2:3], model(windows[2:3]))


@every_family
def test_it_can_learn_32_samples_by_heart(family: str) -> None:
    model = build(family)
    windows, labels = batch_of(32)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    for _ in range(150):
        optimizer.zero_grad()
        cross_entropy(model(windows), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    assert (model(windows).argmax(1) == labels).all()


@every_family
def test_saved_and_loaded_it_says_the_same_bits(family: str) -> None:
    model, other = build(family).eval(), build_model(spec_of(family), FEATURES, CLASSES).eval()
    windows, _ = batch_of(9)
    assert not torch.equal(model(windows), other(windows))

    other.load_state_dict(load(save(weights_of(model))))

    assert torch.equal(model(windows), other(windows))


@every_family
def test_the_seed_decides_the_weights_and_the_dropout(family: str) -> None:
    windows, _ = batch_of(9)

    assert torch.equal(build(family, dropout=0.5)(windows), build(family, dropout=0.5)(windows))


def test_an_unknown_family_is_refused_with_the_nearest_name() -> None:
    spec = spec_of("lstm").model_copy(update={"type": "lstn"})

    with pytest.raises(InputError, match=r"model\.type must be one of lstm, gru, mlp; it is 'lstn'") as refused:
        build_model(spec, FEATURES, CLASSES)

    assert "'lstm'" in refused.value.hint
