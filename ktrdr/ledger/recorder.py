"""What a training needs of the ledger, and what stands in where no look is to be recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ktrdr.ledger.account import Account
from ktrdr.ledger.footprint import Footprint
from ktrdr.ledger.series import LookSeries
from ktrdr.payloads.looks import LookFigures, LookKind, Opening


@dataclass(frozen=True, slots=True, eq=False)
class LookRequest:
    """A look that is about to happen.

    operation_id: its operation, of an unsealing the training; or the folder's name of a training without a server
    part: the rows, `validation` or `test`, or `other` for predicted bars
    strategy_name: its slug
    inputs_sha256: see `Fingerprint.inputs_sha256`
    label: type of the label
    timeframe: of the bars that samples end on
    symbols: names of the evaluated symbols, which are only shown
    samples: number of samples
    footprint: the evaluated bars
    whole_sha256: of a fold and of its whole, the same without the fold; None of anything else
    """

    operation_id: str
    kind: LookKind
    part: str
    strategy_name: str
    inputs_sha256: str
    label: str
    timeframe: str
    symbols: tuple[str, ...]
    samples: int
    footprint: Footprint
    whole_sha256: str | None = None


class LookRecorder(Protocol):
    """Records looks, from one thread or process at a time; what it has returned from is durable."""

    def open_look(self, request: LookRequest) -> str:
        """Record a look before any of its figures is shown, and return its id. Raises StorageError."""

    def close_look(self, look_id: str, figures: LookFigures, series: LookSeries | None) -> None:
        """Record what a look came to, before any of it is written elsewhere. Raises StorageError."""

    def account_of(self, rows: Footprint | str) -> Account:
        """All looks whose bars overlap with a footprint's, or with those of the look with this id.

        Raises NotFoundError and StorageError.
        """


class OpeningRecorder(LookRecorder, Protocol):
    """Records looks that open a sealed test part as well."""

    def record_opening(self, request: LookRequest, by: str) -> Opening:
        """Record the opening before any of its figures is shown; the same inputs again are the same opening.

        Raises StorageError.
        """


class Unrecorded:
    """Records nothing: for made-up bars, whose figures nobody reads."""

    def open_look(self, request: LookRequest) -> str:
        return ""

    def close_look(self, look_id: str, figures: LookFigures, series: LookSeries | None) -> None:
        pass

    def account_of(self, rows: Footprint | str) -> Account:
        return Account((), (), {})
