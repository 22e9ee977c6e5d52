"""Fixtures of small synthetic trainings, whose pictures are not drawn."""

from collections.abc import Iterator

import pytest

from tests.small_trainings import make_request, one_thread, read_bars, recorder

__all__ = ["make_request", "one_thread", "read_bars", "recorder"]


@pytest.fixture(autouse=True, scope="module")
def _undrawn() -> Iterator[None]:
    """Drawing takes half of a small training's time; `tests/reports` looks at what is drawn."""
    with pytest.MonkeyPatch.context() as patch:
        for picture in ("plot_metrics", "plot_equity", "plot_test_equity"):
            patch.setattr(f"ktrdr.reports.{picture}", lambda *_: b"a picture")
        yield
