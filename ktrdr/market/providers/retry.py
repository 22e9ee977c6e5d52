"""Asking again: what failed in a way that may pass is tried a few times more, with longer and longer pauses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ktrdr.errors import ProviderError
from ktrdr.market.provider import Wait

ATTEMPTS = 4
FIRST_PAUSE_S = 1.0
FIRST_PAUSE_WHEN_REFUSED_S = 5.0

Answer = TypeVar("Answer")


class TransientError(Exception):
    """A failure that may be over the next time; `error` is how it is told when it is not."""

    def __init__(self, error: ProviderError, *, refused: bool = False) -> None:
        super().__init__(error.detail)
        self.error = error
        self.first_pause_s = FIRST_PAUSE_WHEN_REFUSED_S if refused else FIRST_PAUSE_S


def with_retries(ask: Callable[[], Answer], wait: Wait) -> Answer:
    """The answer, or after ATTEMPTS failures that might have passed, the last one's error."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return ask()
        except TransientError as failure:
            wait(failure.first_pause_s * 2**attempt)
    try:
        return ask()
    except TransientError as failure:
        last = failure.error
    raise type(last)(f"{last.detail} (asked {ATTEMPTS} times)", hint=last.hint, **last.context)
