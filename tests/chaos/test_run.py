from __future__ import annotations

from tests.chaos.reference import Reference
from tests.chaos.run import Chaos
from tests.e2e.system import System

DEEDS = [
    "idle worker SIGKILL",
    "server SIGTERM",
    "server, then worker",
    "server while it starts",
]


def test_kills_at_random_instants_lose_nothing_and_leave_nothing_untrue(
    system: System, references: dict[str, Reference]
) -> None:
    """With a cancel among them; `make chaos` kills 200 times, in every way that there is."""
    chaos = Chaos(system, references, seed=20_261_124, queue=3)

    report = chaos.run(DEEDS)
    system.start()

    assert not report.faults
    assert report.kills.total() == len(DEEDS)
    assert report.bit_identical == report.operations["COMPLETED"] > 0
    assert report.epochs_told > 0
