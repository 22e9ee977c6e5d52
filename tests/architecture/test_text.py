"""The project's text is true on every machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A home or a workplace of one person or machine; examples of paths inside containers and system folders are not.
ONE_MACHINE = re.compile(r"(?<![\w.~-])/(?:home/(?!user\b|models\b)|Users/|root/|work/|tmp/[a-z])|[A-Z]:\\Users\\")


def own_files() -> list[Path]:
    """Tracked files, and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [path for line in done.stdout.splitlines() if (path := ROOT / line).is_file()]


@pytest.mark.processes
def test_no_text_names_paths_of_one_machine() -> None:
    named = []
    for path in own_files():
        if path == Path(__file__) or path.suffix == ".png":
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if ONE_MACHINE.search(line):
                named.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")

    assert not named


def test_every_room_has_its_page() -> None:
    pages = {"market", "strategies", "training", "operations", "api", "cli", "settings", "extending", "running"}

    assert not [page for page in pages if not (ROOT / "docs" / f"{page}.md").is_file()]
