"""Run the simulation for long: `python -m tests.simulation --steps 1000000 --seed 1`."""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.simulation.machine import Simulation
from tests.simulation.steps import explore, play, shrink

_STEPS_AT_ONCE = 200
_SAY_EVERY = 100


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000, help="how many steps to take at least")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn at random")
    parser.add_argument("--no-shrink", action="store_true", help="show a failing schedule as it was found")
    chosen = parser.parse_args()
    began, steps, episode = time.monotonic(), 0, 0
    while steps < chosen.steps:
        schedule, broken = explore(Simulation, random.Random(f"{chosen.seed}/{episode}"), _STEPS_AT_ONCE)
        steps += len(schedule)
        episode += 1
        if broken:
            if not chosen.no_shrink:
                schedule = shrink(Simulation, schedule)
                broken = play(Simulation, schedule) or broken
            print(f"after {steps:,} steps: {broken}", *schedule, sep="\n")  # noqa: T201
            return 1
        if episode % _SAY_EVERY == 0 or steps >= chosen.steps:
            rate = steps / (time.monotonic() - began)
            print(f"{steps:,} steps, {rate:,.0f} a second, 0 violations", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
