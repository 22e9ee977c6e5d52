"""What idle workers of each lane do beforehand, so that a job starts at once."""

from __future__ import annotations

from contextlib import suppress


def training() -> None:
    import ktrdr.jobs.training  # noqa: F401
    from ktrdr.experiments.warm_up import warm_up

    warm_up()


def data() -> None:
    """The calendars, against which every load is checked, take as long to import as all the rest."""
    import ktrdr.jobs.data_load  # noqa: F401

    with suppress(ImportError):
        import exchange_calendars  # noqa: F401


def analysis() -> None:
    import ktrdr.jobs.analysis
    import ktrdr.jobs.folds  # noqa: F401
