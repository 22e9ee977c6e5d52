from __future__ import annotations

from tests.chaos.reference import Reference
from tests.chaos.run import Chaos
from tests.e2e.system import System


def test_kills_at_random_instants_lose_nothing_and_leave_nothing_untrue(
    system: System, references: dict[str, Reference]
) -> None:
    """One of each kind; `make chaos` kills 200 times."""
    chaos = Chaos(system, references, seed=20_261_124, queue=3)

    report = chaos.run(len(chaos.deeds))
    system.start()

    assert not report.faults
    assert report.kills.keys() == chaos.deeds.keys()
    assert report.bit_identical == report.operations["COMPLETED"] > 0
    assert report.epochs_told > 0
