"""The test part of a training: sealed until somebody opens it, and what comes of that."""

from __future__ import annotations

import getpass
import socket
from typing import Literal

from pydantic import Field

from ktrdr.payloads.backtest import BacktestResult
from ktrdr.payloads.evaluation import Evaluation
from ktrdr.payloads.looks import Opening
from ktrdr.payloads.payload import BarInstant, Payload
from ktrdr.payloads.results import FileResults

MOST_OF_WHO = 200
"""Letters of the text that says who opens a test part."""


def this_user() -> str:
    """User and machine, as `ada@desk`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # the user of a container may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:MOST_OF_WHO]


class SealedPart(Payload):
    """The test part of a training, which no training evaluates."""

    samples: int = Field(description="Number of its samples.")
    first: BarInstant = Field(alias="from", description="Opening of the first sample's last bar.")
    last: BarInstant = Field(alias="to", description="Opening of the last sample's last bar.")
    opening: Opening | None = Field(None, description="When and by whom it was opened; null while it is sealed.")

    @property
    def is_sealed(self) -> bool:
        return self.opening is None

    def sentence(self, model: str) -> str:
        """Whether the test part of `model`, an operation's id, is sealed, in words."""
        if self.opening:
            return self.opening.sentence()
        samples = f"{self.samples:,} test samples from {self.first:%Y-%m-%d} to {self.last:%Y-%m-%d} are sealed"
        return f"{samples}. To open them, which is counted: ktrdr models unseal {model}"


class UnsealingResults(FileResults):
    """Results of an unsealing: the model on its test part."""

    kind: Literal["unsealing"] = Field("unsealing", description="The kind of results.")
    model: str = Field(description="Operation that trained the model.")
    opening: Opening = Field(description="The opening, as it was recorded before.")
    evaluation: Evaluation = Field(description="How good the model is on the test part.")
    backtest: BacktestResult = Field(
        alias="money", description="What trading on its predictions earned on the test part."
    )
