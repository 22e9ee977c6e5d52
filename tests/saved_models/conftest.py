"""Fixtures of small synthetic trainings."""

from tests.small_trainings import make_request, one_thread, read_bars, recorder

__all__ = ["make_request", "one_thread", "read_bars", "recorder"]
