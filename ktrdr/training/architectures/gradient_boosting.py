"""LightGBM's boosted trees on the flattened window, as a module whose weights are the trees' text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import lightgbm

    from ktrdr.strategy.sections.model import GradientBoosting

# torch stores the result of `get_extra_state` under this key.
TREES = "_extra_state"


class GradientBoostingModel(nn.Module):
    def __init__(self, spec: GradientBoosting, features: int, outputs: int) -> None:
        super().__init__()
        self.spec = spec
        self.outputs = outputs
        self.booster: lightgbm.Booster | None = None

    @property
    def rounds(self) -> int:
        return self.booster.current_iteration() if self.booster else 0

    def forward(self, windows: Tensor) -> Tensor:
        if self.booster is None:
            return windows.new_zeros(len(windows), self.outputs)
        inputs = windows.flatten(start_dim=1).cpu().numpy()
        scores = self.booster.predict(inputs, raw_score=True, num_threads=torch.get_num_threads())
        # With two classes LightGBM gives the log-odds of the second. As logits those are (0, log-odds).
        columns = [np.zeros_like(scores), scores] if self.outputs == 2 else [scores]
        return torch.from_numpy(np.column_stack(columns).astype(np.float32)).to(windows.device)

    def weights_of_first(self, rounds: int) -> dict[str, Tensor]:
        """The weights of the first `rounds` rounds, as `load_state_dict` takes them."""
        text = self.booster.model_to_string(num_iteration=rounds) if self.booster and rounds else ""
        return {TREES: torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8) if text else torch.empty(0)}

    def get_extra_state(self) -> Tensor:
        return self.weights_of_first(self.rounds)[TREES]

    def set_extra_state(self, state: Tensor) -> None:
        import lightgbm

        text = state.cpu().numpy().tobytes().decode()
        try:
            self.booster = lightgbm.Booster(model_str=text) if text else None
        except lightgbm.basic.LightGBMError as error:
            raise ValueError(f"these are no trees of LightGBM's: {error}") from error
