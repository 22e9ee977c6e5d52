from __future__ import annotations

from tests.chaos.reference import Reference
from tests.chaos.run import Chaos
from tests.chaos.surroundings import Surroundings
from tests.e2e.system import System

DEEDS = [
    "clock step",
    "older registry",
    "server, then worker",
    "lock removed",
    "server while it starts",
    "read fault",
]


def test_kills_at_random_instants_lose_nothing_and_leave_nothing_untrue(
    system: System, surroundings: Surroundings, references: dict[str, Reference]
) -> None:
    """With cancels among them; `make chaos` does 200 things, of every kind that there is."""
    chaos = Chaos(system, surroundings, references, seed=20_261_124, queue=3)
    deeds = [deed for deed in DEEDS if deed in chaos.deeds]

    report = chaos.run(deeds)
    system.start()

    assert not report.faults
    assert report.kills.total() == len(deeds)
    assert report.bit_identical == report.operations["COMPLETED"] > 0
    assert report.epochs_told > 0
