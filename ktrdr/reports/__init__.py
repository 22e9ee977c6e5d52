"""The reports of a training, two plots and a text summary, and of its opened test part."""

from ktrdr.reports.equity_plot import plot_equity, plot_test_equity
from ktrdr.reports.metrics_plot import plot_metrics
from ktrdr.reports.report_data import TrainingReport
from ktrdr.reports.summary import summary
from ktrdr.reports.unsealing_summary import unsealing_summary

__all__ = ["TrainingReport", "plot_equity", "plot_metrics", "plot_test_equity", "summary", "unsealing_summary"]
