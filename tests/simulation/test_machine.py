"""A short simulation, the same one each time; the long one is `python -m tests.simulation`."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.simulation.machine import Simulation

TestSimulation = Simulation.TestCase
TestSimulation.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
