"""ktrdr trains trading models on market bars, as operations that anyone can watch for free."""

from __future__ import annotations

__version__: str


def __getattr__(name: str) -> str:
    if name != "__version__":
        raise AttributeError(f"module 'ktrdr' has no attribute {name!r}")
    from importlib.metadata import version

    return version("ktrdr")
