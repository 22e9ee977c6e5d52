"""How long a person waits for `ktrdr --help`, and a program for `import ktrdr`, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from benchmarks.outcome import Figure, below
from benchmarks.system import environment

ROUNDS = 15
_IMPORT = "import time; began = time.perf_counter(); import ktrdr; print(time.perf_counter() - began)"


def run(rounds: int = ROUNDS) -> list[Figure]:
    help_s, import_s, python_s = [], [], []
    for _ in range(rounds + 1):
        help_s.append(_seconds([sys.executable, "-m", "ktrdr.cli", "--help"]))
        python_s.append(_seconds([sys.executable, "-c", "pass"]))
        import_s.append(float(_output([sys.executable, "-c", _IMPORT])))
    return [
        Figure("ktrdr --help", median(help_s[1:]), "s", below(0.35)),
        Figure("python -c pass, for comparison", median(python_s[1:]), "s"),
        Figure("import ktrdr", median(import_s[1:]), "s", below(0.1)),
    ]


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    _output(command)
    return time.perf_counter() - began


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, env=environment(), check=True, capture_output=True).stdout
