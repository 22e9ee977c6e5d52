from __future__ import annotations

import logging

import pytest

from ktrdr.experiments.warm_up import warm_up


def test_warming_up_says_nothing_and_leaves_logging_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        warm_up()

    assert not caplog.records
    assert logging.getLogger("ktrdr").isEnabledFor(logging.ERROR)
