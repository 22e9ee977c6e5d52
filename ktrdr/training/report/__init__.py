"""What people look at after a training: two plots and a page of plain text."""

from ktrdr.training.report.account import Account
from ktrdr.training.report.equity_plot import plot_equity
from ktrdr.training.report.metrics_plot import plot_metrics
from ktrdr.training.report.page import summary

__all__ = ["Account", "plot_equity", "plot_metrics", "summary"]
