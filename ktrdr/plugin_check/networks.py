"""The contracts of networks, which are those of the shipped model families."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from ktrdr.plugin_check.contract import Contract, ContractBroken
from ktrdr.plugins.loading import Plugin
from ktrdr.strategy.sections.base import PluginModel
from ktrdr.strategy.sections.training import Training
from ktrdr.training.architectures.model import copy_weights, predict
from ktrdr.training.checkpoint import Checkpoint, read, write
from ktrdr.training.families import build_model, build_trainer
from ktrdr.training.fingerprint import Fingerprint
from ktrdr.training.loop import TrainingState, train
from ktrdr.training.network_trainer import sum_losses
from ktrdr.training.observer import SilentObserver
from ktrdr.training.windows import Samples, TrainingTensors, view_of_windows

if TYPE_CHECKING:
    from ktrdr.training.observer import EpochMetrics

WINDOWS, FEATURES, OUTPUTS = (6, 20), 4, (1, 3)
_TRAINING, _VALIDATION = 60, 30
_SETTINGS = Training(epochs=3, batch_size=20, learning_rate=0.01)


@dataclass(frozen=True, slots=True)
class NetworkContracts:
    """The contracts of one network, at its default parameters: a regression and three classes, two window lengths."""

    plugin: Plugin

    def contracts(self) -> Iterator[Contract]:
        yield Contract("shapes", self.check_shapes, is_needed=True)
        yield Contract("separate", self.check_samples_do_not_mix)
        yield Contract("gradient", self.check_gradient)
        yield Contract("same bits", self.check_same_bits, is_needed=True)
        yield Contract("state dict", self.check_state_dict)
        yield Contract("resume", self.check_resume)

    def check_shapes(self) -> None:
        """Raises PluginError, or ContractBroken where outputs are not finite."""
        for window in WINDOWS:
            for outputs in OUTPUTS:
                model = build_model(self._spec(window), FEATURES, outputs).eval()
                for samples in (1, 7):
                    found = model(_data(window, outputs).windows[:samples])
                    if found.shape != (samples, outputs):
                        raise ContractBroken(f"it maps {samples} windows to {list(found.shape)}")
                    if not torch.isfinite(found).all():
                        raise ContractBroken("its outputs are not finite")

    def check_samples_do_not_mix(self) -> None:
        data, model = _data(WINDOWS[0], 3), self._new(WINDOWS[0], 3).eval()
        with torch.no_grad():
            together, alone = model(data.windows[:5]), model(data.windows[2:3])
        if not torch.allclose(together[2:3], alone, rtol=1e-4, atol=1e-5):
            raise ContractBroken("the outputs of a window depend on the other windows of its batch")

    def check_gradient(self) -> None:
        data, model = _data(WINDOWS[0], 3), self._new(WINDOWS[0], 3)
        outputs = model(data.windows[:_TRAINING])
        sum_losses(outputs, data.train.labels, None, None).backward()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and (parameter.grad is None or not parameter.grad.abs().sum() > 0):
                raise ContractBroken(f"no gradient reaches the parameter {name}")

    def check_same_bits(self) -> None:
        one, other = self._trained(3), self._trained(3)
        if not _same(copy_weights(one.model), copy_weights(other.model)):
            raise ContractBroken("trained twice with the same seed it has other weights")

    def check_state_dict(self) -> None:
        for outputs in OUTPUTS:
            data, state = _data(WINDOWS[0], outputs), self._trained(outputs)
            loaded = self._new(WINDOWS[0], outputs)
            loaded.load_state_dict(load(save(copy_weights(state.model))))
            found, expected = (predict(each, data.windows, data.validation.starts) for each in (loaded, state.model))
            if not torch.equal(found, expected):
                raise ContractBroken("its outputs are others once its weights were saved and loaded: it keeps a state")

    def check_resume(self) -> None:
        whole, boundary = self._new_state(3), []

        def keep(state: TrainingState) -> None:
            if state.epoch == 1:
                boundary.append(Checkpoint.capture(state, Fingerprint({}, 0, {})))

        train(whole, _SETTINGS, SilentObserver(), lambda: False, keep)
        resumed = self._new_state(3)
        with tempfile.TemporaryDirectory(prefix="ktrdr-plugins-") as folder:
            read(write(Path(folder), boundary[0])).restore(resumed)
        train(resumed, _SETTINGS, SilentObserver(), lambda: False, lambda _: None)
        same_weights = _same(copy_weights(resumed.model), copy_weights(whole.model))
        if not (same_weights and _figures(resumed.history) == _figures(whole.history)):
            raise ContractBroken("a training that goes on from a checkpoint does not come to the same bits")

    def _trained(self, outputs: int) -> TrainingState:
        state = self._new_state(outputs)
        train(state, _SETTINGS, SilentObserver(), lambda: False, lambda _: None)
        return state

    def _new_state(self, outputs: int) -> TrainingState:
        torch.manual_seed(_SETTINGS.seed)
        return TrainingState(build_trainer(self._spec(WINDOWS[0]), _SETTINGS, _data(WINDOWS[0], outputs), outputs))

    def _new(self, window: int, outputs: int) -> nn.Module:
        return build_model(self._spec(window), FEATURES, outputs)

    def _spec(self, window: int) -> PluginModel:
        declared = self.plugin.declaration
        spec = PluginModel(type=declared.name, sequence_length=window, sha256=self.plugin.file.sha256)
        return spec.model_copy(update={"parameters": declared.resolved({})})


def _data(window: int, outputs: int) -> TrainingTensors:
    """Windows whose first and last bar say something of the label."""
    random = torch.Generator().manual_seed(7)
    values = torch.randn(_TRAINING + _VALIDATION + window - 1, FEATURES, generator=random)
    windows = view_of_windows(values, window)
    targets = windows[:, -1, 0] + windows[:, 0, 1]
    cuts = targets.quantile(torch.linspace(0, 1, outputs + 1)[1:-1])
    labels = targets if outputs == 1 else torch.bucketize(targets, cuts)
    starts = torch.arange(len(windows))
    return TrainingTensors(
        windows,
        train=Samples(starts[:_TRAINING], labels[:_TRAINING]),
        validation=Samples(starts[_TRAINING:], labels[_TRAINING:]),
    )


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def _figures(history: list[EpochMetrics]) -> list[EpochMetrics]:
    return [replace(metrics, duration=0.0, ended_at=0.0) for metrics in history]
