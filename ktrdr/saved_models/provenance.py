"""The versions that decide the bits of a training besides its inputs: libraries and this package."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("ktrdr", "torch", "numpy", "scipy", "scikit-learn", "lightgbm", "polars", "TA-Lib", "exchange-calendars")
_ROOMS = ("market", "strategy", "features", "training", "experiments")


@cache
def libraries() -> Mapping[str, str]:
    """Versions of the libraries, Python and machine that decide the bits of a training."""
    installed = {name: version(name) for name in _LIBRARIES}
    return installed | {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}


@cache
def code_version() -> Mapping[str, str]:
    """The package's version, and a SHA-256 of the code between bars and weights."""
    return {"version": version("ktrdr"), "sha256": code_sha256(_ROOMS)}


@cache
def code_sha256(rooms: tuple[str, ...]) -> str:
    """SHA-256 of the code of these rooms, as it was when this process first asked."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted(path for room in rooms for path in (package / room).rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
