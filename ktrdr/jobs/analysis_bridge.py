"""The bridge of predictions, exports, backtests, explanations, preflights, audits and unsealings: the current step."""

from __future__ import annotations

from pathlib import Path

from ktrdr.operations.bridge import BridgeLayout, ProgressBridge

PREDICTION = "PREDICTION"
EXPORT = "EXPORT"
PREFLIGHT = "PREFLIGHT"
AUDIT = "AUDIT"
UNSEALING = "UNSEALING"
BACKTEST = "BACKTEST"
EXPLANATION = "EXPLANATION"

_STEPS = {
    PREDICTION: ("Reading bars and making features", "Predicting {items} bars", "Predicted {items} bars"),
    EXPORT: ("Reading model and bars", "Writing the graph", "Comparing {items} windows", "Exported and compared"),
    PREFLIGHT: ("Reading bars and making samples", "Timing batches: {items} samples", "Checked"),
    BACKTEST: (
        "Reading bars and making samples",
        "Predicting and trading {items} bars",
        "Writing the report",
        "Predicted and traded {items} bars",
    ),
    EXPLANATION: (
        "Reading bars and making samples",
        "Shuffling features: {items} indicators",
        "Drawing the plot",
        "Explained by {items} indicators",
    ),
    UNSEALING: (
        "Reading bars and making samples",
        "Training the control on shuffled labels",
        "Evaluating {items} test samples",
        "Opened the test part",
    ),
    AUDIT: ("Reading bars", "Recomputing truncated histories: {items} instants", "Audited"),
}


class AnalysisProgressBridge(ProgressBridge):
    @staticmethod
    def create_for(path: Path, operation_type: str, what: str) -> None:
        waiting = f"Waiting for {what.replace('{', '{{').replace('}', '}}')}"
        steps = _STEPS[operation_type]
        ProgressBridge.create(path, BridgeLayout(phases=(waiting, *steps), total_steps=len(steps)))

    def on_step(self, step: int, part: int = 0, parts: int = 1, items: int = 0) -> None:
        """Report that `part` of `parts` of step `step`, counted from 1, is done."""
        self._update_state(step, step, part, parts, items)
