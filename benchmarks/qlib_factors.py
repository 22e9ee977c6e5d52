"""The factors of benchmarks/factors.py by Qlib, without its caches, for a Python that has `pyqlib` and not ktrdr."""

from __future__ import annotations

import json
import resource
import sys
import time

import qlib
from qlib.data import D


def main(folder: str, expressions: list[str]) -> dict[str, float]:
    qlib.init(provider_uri=folder, region="us", kernels=1, expression_cache=None, dataset_cache=None)
    instruments = D.instruments("all")
    D.features([D.list_instruments(instruments, as_list=True)[0]], ["$close"], freq="day", disk_cache=0)  # imports
    began, busy = time.perf_counter(), time.process_time()
    D.features(instruments, expressions, start_time="2007-01-01", end_time="2020-12-31", freq="day", disk_cache=0)
    return {
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - busy,
        "memory": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], json.loads(sys.argv[2]))))
