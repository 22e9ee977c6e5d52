"""What an import may bring along, and which room may call which."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]

HEAVY = (
    *(
        "torch",
        "numpy",
        "polars",
        "pandas",
        "matplotlib",
        "talib",
        "scipy",
        "sklearn",
        "lightgbm",
        "exchange_calendars",
    ),
    *("yfinance", "ccxt", "fastapi", "sqlalchemy"),
)


def heavy_modules_after(statement: str) -> list[str]:
    """Those of HEAVY that a fresh interpreter holds after `statement`."""
    script = f"import json, sys\n{statement}\nprint(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_probe_sees_what_is_imported() -> None:
    assert heavy_modules_after("import numpy") == ["numpy"]


@pytest.mark.parametrize(
    "statement",
    [
        "import ktrdr; ktrdr.__version__",
        "from ktrdr.cli import main; main(['--help'])",
        "from ktrdr.cli import main; main(['models', 'train', '--help'])",
        "import ktrdr.operations.bridge",
        "import ktrdr.api.services.training",
        "import ktrdr.errors, ktrdr.settings",
        "import ktrdr.payloads.reading",
    ],
)
def test_light_imports_stay_light(statement: str) -> None:
    assert heavy_modules_after(statement) == []


def test_the_server_starts_without_what_only_workers_need() -> None:
    imported = heavy_modules_after(
        "from ktrdr.bootstrap import build_services; from ktrdr.settings import Settings; "
        "import ktrdr.api.app; build_services(Settings(ktrdr_home='unused'))"
    )

    assert imported == ["numpy", "polars", "fastapi", "sqlalchemy"]


def test_the_bridge_needs_nothing_but_the_standard_library() -> None:
    script = (
        "import sys, ktrdr.operations.bridge\n"
        "print(*sorted({n.partition('.')[0] for n in sys.modules} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)

    assert set(done.stdout.split()) <= {"__main__", "ktrdr"}


def test_the_training_bridge_is_synchronous() -> None:
    source = (ROOT / "ktrdr/jobs/training_bridge.py").read_text(encoding="utf-8")

    assert not [word for word in ("async", "await", "callback", "create_task", "import logging") if word in source]


def test_rooms_keep_their_contracts() -> None:
    lint_imports = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert lint_imports, "import-linter belongs to the development tools"

    done = subprocess.run([lint_imports, "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)

    assert done.returncode == 0, done.stdout
