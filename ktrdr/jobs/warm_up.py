"""Prepares idle workers of each lane, or their template, so that a job starts at once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from ktrdr.jobs.kinds import ANALYSIS_LANE, DATA_LANE, TRAINING_LANE

PRELOADED: Mapping[str, tuple[str, ...]] = {
    TRAINING_LANE: (
        "ktrdr.jobs.entry",
        "ktrdr.jobs.training",
        # Modules that a training imports lazily, at the latest when it draws its plots.
        "ktrdr.saved_models.predict",
        "talib.abstract",
        "torch._dynamo",
        "lightgbm",
        "scipy.stats",
        "sklearn.linear_model",
        "sklearn.pipeline",
        "empyrical",
        "matplotlib.backends.backend_agg",
        "matplotlib.dates",
        "matplotlib.figure",
    ),
    DATA_LANE: ("ktrdr.jobs.data_load", "ktrdr.jobs.start_check", "talib.abstract", "exchange_calendars"),
    ANALYSIS_LANE: (
        "ktrdr.jobs.ablation",
        "ktrdr.jobs.analysis",
        "ktrdr.jobs.backtest",
        "ktrdr.jobs.explanation",
        "ktrdr.jobs.folds",
        "ktrdr.jobs.unsealing",
    ),
}
"""The modules that the template of workers imports, by lane."""


def training() -> None:
    import ktrdr.jobs.training  # noqa: F401
    from ktrdr.experiments.warm_up import warm_up

    warm_up()


def data() -> None:
    """Import the data load and the calendars, which take as long to import as everything else together."""
    import ktrdr.jobs.data_load
    import ktrdr.jobs.start_check  # noqa: F401

    with suppress(ImportError):
        import exchange_calendars  # noqa: F401


def analysis() -> None:
    import ktrdr.jobs.analysis
    import ktrdr.jobs.backtest
    import ktrdr.jobs.folds
    import ktrdr.jobs.unsealing  # noqa: F401
