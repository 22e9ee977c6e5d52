"""Seconds of the processor that vectorbt takes: `python vectorbt_signals.py ARRAYS.npz ROUNDS`, in its own Python."""

import json
import statistics
import sys
import time
import warnings

import numpy as np
import pandas as pd
import vectorbt as vbt

FEE = 0.0001


def main(path: str, rounds: int) -> None:
    arrays = np.load(path)
    index = pd.DatetimeIndex(arrays["stamps"])
    price, positions = pd.Series(arrays["price"], index), pd.Series(arrays["positions"], index)

    def signals() -> vbt.Portfolio:
        return vbt.Portfolio.from_signals(
            price,
            entries=positions > 0,
            exits=positions < 0,
            short_entries=positions < 0,
            short_exits=positions > 0,
            fees=FEE,
            freq="1min",
        )

    def stats() -> object:
        return signals().stats()

    found: dict[str, list[float]] = {"signals": [], "stats": []}
    stats()
    for _ in range(rounds):
        for name, act in (("signals", signals), ("stats", stats)):
            began = time.process_time()
            act()
            found[name].append(time.process_time() - began)
    print(json.dumps({name: statistics.median(taken) for name, taken in found.items()}))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1], int(sys.argv[2]))
