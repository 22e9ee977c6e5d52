"""The trainings of `benchmarks/plain_search.py` by Ray Tune, as many at once as there are cores.

`python -m benchmarks.ray_search CLOSES_FILE TRIALS EPOCHS` prints the seconds from the call of the tuner to its answer,
and 0 for the processor time, which Ray spends in processes of its own. Ray itself is started before the clock.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray import tune

from benchmarks.plain_search import samples_of, train


def run_trial(config: dict[str, Any], closes: NDArray[np.float64], epochs: int) -> dict[str, float]:
    torch.set_num_threads(1)
    return {"validation_loss": train(*samples_of(closes), config["seed"], epochs)}


def main() -> None:
    closes_file, trials, epochs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    closes = np.load(closes_file)
    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_parameters(run_trial, closes=closes, epochs=epochs),
            param_space={"seed": tune.grid_search(list(range(trials)))},
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        began = time.perf_counter()
        results = tuner.fit()
        seconds = time.perf_counter() - began
    if results.num_errors:
        raise SystemExit(f"{results.num_errors} trials failed")
    print(seconds, 0.0)


if __name__ == "__main__":
    main()
