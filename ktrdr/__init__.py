"""ktrdr trains trading models on market bars, as operations that anyone can watch for free.

From Python, without a server: `ktrdr.load`, `ktrdr.import_table`, `ktrdr.bars`, `ktrdr.tables`, `ktrdr.build_features`,
`ktrdr.train`, `ktrdr.search`, `ktrdr.backtest`, `ktrdr.explain`, `ktrdr.follow`, `ktrdr.verify_follow`,
`ktrdr.follow_report`, `ktrdr.unseal`, `ktrdr.runs` and `ktrdr.looks`, all of them in `ktrdr.python_api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ktrdr.python_api import backtest as backtest
    from ktrdr.python_api import bars as bars
    from ktrdr.python_api import build_features as build_features
    from ktrdr.python_api import explain as explain
    from ktrdr.python_api import follow as follow
    from ktrdr.python_api import follow_report as follow_report
    from ktrdr.python_api import import_table as import_table
    from ktrdr.python_api import load as load
    from ktrdr.python_api import looks as looks
    from ktrdr.python_api import runs as runs
    from ktrdr.python_api import search as search
    from ktrdr.python_api import tables as tables
    from ktrdr.python_api import train as train
    from ktrdr.python_api import unseal as unseal
    from ktrdr.python_api import verify_follow as verify_follow

__version__: str

_PYTHON_API = (
    "backtest",
    "bars",
    "build_features",
    "explain",
    "follow",
    "follow_report",
    "import_table",
    "load",
    "looks",
    "runs",
    "search",
    "tables",
    "train",
    "unseal",
    "verify_follow",
)


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that `import ktrdr` alone costs nothing."""
    if name == "__version__":
        from importlib.metadata import version

        return version("ktrdr")
    if name in _PYTHON_API:
        from ktrdr import python_api

        return getattr(python_api, name)
    raise AttributeError(f"module 'ktrdr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return ["__version__", *_PYTHON_API]
