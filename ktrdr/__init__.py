"""ktrdr trains trading models on market bars, as operations that anyone can watch for free.

From Python, without a server: `ktrdr.load`, `ktrdr.bars`, `ktrdr.features`, `ktrdr.train`; see `ktrdr.workbench`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ktrdr.workbench import bars as bars
    from ktrdr.workbench import load as load
    from ktrdr.workbench import train as train

__version__: str


def __getattr__(name: str) -> Any:
    """Nothing is imported before somebody asks for it."""
    if name == "__version__":
        from importlib.metadata import version

        return version("ktrdr")
    if name in ("bars", "load", "train"):
        from ktrdr import workbench

        return getattr(workbench, name)
    if name == "features":
        from importlib import import_module

        return import_module("ktrdr.features")
    raise AttributeError(f"module 'ktrdr' has no attribute {name!r}")
