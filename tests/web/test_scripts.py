"""The unit tests of the dashboard's scripts, by Node.js's own test runner; `make lint` installs a Node.js."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))
NODE = shutil.which("node", path=str(Path(sys.executable).parent))


@pytest.mark.processes
@pytest.mark.skipif(NODE is None, reason="there is no Node.js in this environment")
def test_scripts_pass_their_unit_tests() -> None:
    assert NODE
    done = subprocess.run([NODE, "--test", *map(str, TESTS)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
