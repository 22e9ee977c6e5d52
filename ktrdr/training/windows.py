"""Windows of consecutive rows as a view: no row is ever copied to stand in two windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ktrdr.features.matrix import Part


def view_of_windows(values: Tensor, length: int) -> Tensor:
    """[rows, features] → [rows - length + 1, length, features], sharing memory: window i starts at row i."""
    rows, features = values.shape
    return values.as_strided((rows - length + 1, length, features), (features, features, 1))


@dataclass(frozen=True, slots=True)
class Samples:
    """Where each sample's window starts, and its class."""

    starts: Tensor
    labels: Tensor

    @classmethod
    def of(cls, part: Part, sequence_length: int) -> Samples:
        return cls(torch.from_numpy(part.ends) - (sequence_length - 1), torch.from_numpy(part.labels))

    def __len__(self) -> int:
        return len(self.labels)
