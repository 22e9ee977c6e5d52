"""ktrdr in Python without a server, for notebooks and scripts; gives the same bits as the API."""

from ktrdr.python_api.following import follow, follow_report, verify_follow
from ktrdr.python_api.models import backtest, explain, unseal
from ktrdr.python_api.records import looks, runs
from ktrdr.python_api.searching import Search, search
from ktrdr.python_api.stored_data import bars, build_features, import_table, load, tables
from ktrdr.python_api.training import Training, train

__all__ = [
    "Search",
    "Training",
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
]
