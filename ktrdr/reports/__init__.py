"""The reports of trainings, opened test parts, backtests, explanations and ablations: plots, text and a page."""

from ktrdr.reports.ablation_plot import plot_ablation
from ktrdr.reports.backtest_html import backtest_report
from ktrdr.reports.backtest_text import backtest_summary
from ktrdr.reports.equity_plot import plot_backtest, plot_equity, plot_test_equity
from ktrdr.reports.importance_plot import plot_importance
from ktrdr.reports.metrics_plot import plot_metrics
from ktrdr.reports.report_data import TrainingReport
from ktrdr.reports.stress_plot import plot_stress
from ktrdr.reports.summary import summary
from ktrdr.reports.unsealing_summary import unsealing_summary

__all__ = [
    "TrainingReport",
    "backtest_report",
    "backtest_summary",
    "plot_ablation",
    "plot_backtest",
    "plot_equity",
    "plot_importance",
    "plot_metrics",
    "plot_stress",
    "plot_test_equity",
    "summary",
    "unsealing_summary",
]
