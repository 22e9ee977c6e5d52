"""A leak, and how it is described."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from ktrdr.errors import LeakFound
from ktrdr.payloads.leaks import FoundLeak


class Kind(StrEnum):
    """The ways in which a training can know its future, as far as they can be distinguished from outside."""

    OPEN_BAR = "unshifted timeframe"
    OTHER_SYMBOL = "unclosed bar of another symbol"
    UNRELEASED_ROW = "unreleased row of a table"
    LOOK_AHEAD = "look-ahead"
    BACK_FILL = "back-fill"
    WHOLE_HISTORY = "whole-history statistics"
    LABEL_IN_FEATURES = "label in features"
    WHOLE_SAMPLE_SCALING = "whole-sample scaling"
    WHOLE_SAMPLE_LABELS = "whole-sample classes"
    UNPURGED_SPLIT = "unpurged split"
    LABEL = "label beyond its horizon"
    FOREIGN_VALUES = "values of unknown origin"


MEANING = {
    Kind.OPEN_BAR: "a bar of a longer timeframe is read before it has closed",
    Kind.OTHER_SYMBOL: "a bar of another symbol is read before it has closed",
    Kind.UNRELEASED_ROW: "a row of a table is read before it was known, as in a join by period",
    Kind.LOOK_AHEAD: "it reads bars after its own, as a centred window does",
    Kind.BACK_FILL: "a later value is filled in where there was none",
    Kind.WHOLE_HISTORY: "it is made with statistics of the whole history",
    Kind.LABEL_IN_FEATURES: "it is made from what the model should predict",
    Kind.WHOLE_SAMPLE_SCALING: "it is scaled with rows that are not training rows",
}


@dataclass(frozen=True, slots=True)
class Leak:
    """One value that depends on later bars.

    instant: ISO 8601, UTC
    whole: value with the whole history; None where undefined
    known: value with the bars known then; None where undefined
    """

    kind: Kind
    symbol: str
    column: str
    instant: str
    whole: float | None
    known: float | None
    message: str

    @classmethod
    def of(cls, kind: Kind, symbol: str, column: str, instant: str, values: tuple[float, float], detail: str) -> Leak:
        whole, known = (None if math.isnan(value) else float(value) for value in values)
        return cls(kind, symbol, column, instant, whole, known, f"{kind}: {detail}")

    def to_payload(self) -> FoundLeak:
        return FoundLeak(
            kind=self.kind,
            symbol=self.symbol,
            column=self.column,
            instant=datetime.fromisoformat(self.instant),
            whole=self.whole,
            known=self.known,
            message=self.message,
        )

    def error(self) -> LeakFound:
        context = self.to_payload().model_dump(mode="json", exclude={"message"})
        return LeakFound(
            self.message,
            hint="Nothing was trained, because its result would not hold. Make the values of a bar from that bar and "
            "from bars that had closed before it, and from nothing else.",
            **context,
        )


def shown(whole: float, known: float) -> tuple[str, str]:
    """Both values, with as few digits as show the difference."""
    for digits in (4, 8, 12):
        texts = f"{whole:.{digits}g}", f"{known:.{digits}g}"
        if texts[0] != texts[1]:
            break
    else:
        texts = repr(float(whole)), repr(float(known))
    one, other = ("nothing" if text == "nan" else text for text in texts)
    return one, other


def instant_text(instant: np.datetime64) -> str:
    return f"{instant.astype('datetime64[s]')}Z"
