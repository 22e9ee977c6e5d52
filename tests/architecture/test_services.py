"""The files for systemd are such as systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
ANALYZE = shutil.which("systemd-analyze")


@pytest.mark.processes
@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize(("name", "scope"), [("ktrdr.service", "--system"), ("ktrdr.user.service", "--user")])
def test_systemd_finds_nothing_wrong(name: str, scope: str, tmp_path: Path) -> None:
    unit = tmp_path / "ktrdr.service"
    text = (DEPLOY / name).read_text(encoding="utf-8")
    # The program that it names is not installed here.
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text), encoding="utf-8")

    checked = subprocess.run(
        ["env", f"XDG_RUNTIME_DIR={tmp_path}", str(ANALYZE), scope, "verify", unit],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.returncode, [line for line in checked.stderr.splitlines() if str(unit) in line]) == (0, [])
