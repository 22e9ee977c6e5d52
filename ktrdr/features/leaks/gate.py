"""The leak gate: proof, before a training begins, that nothing in it knows the future.

The gate computes everything again from truncated histories, by the functions of the training. The results must be the
same, bit for bit, and no feature may know the label. `check_leaks` does this at sampled instants and raises at the
first difference. `audit` does it at every bar and collects all differences.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ktrdr.features.assemble import Fit, assemble
from ktrdr.features.columns import Build, build_features
from ktrdr.features.dataset import Dataset
from ktrdr.features.labels.label import Measure
from ktrdr.features.labels.types import label_of
from ktrdr.features.leaks.counters import Tally
from ktrdr.features.leaks.inspection import Effort, Inspection
from ktrdr.features.leaks.leak import Leak
from ktrdr.features.panel import build_panel
from ktrdr.features.scaling import fit_scaler
from ktrdr.features.splits import fold_count
from ktrdr.payloads.leaks import AuditReport, LeakGateReport

if TYPE_CHECKING:
    from ktrdr.market.symbol_bars import SymbolBars
    from ktrdr.strategy.spec import Strategy

# For one symbol; several symbols share the same total.
GATE = Effort(instants=32, labels=8, symbols=6)
# For each symbol: the most bars that are audited one by one, and the bars for each label that is measured again.
AUDITED_INSTANTS, INSTANTS_PER_LABEL = 4000, 10


def check_leaks(
    strategy: Strategy,
    bars: Mapping[str, SymbolBars],
    dataset: Dataset,
    *,
    build: Build = build_features,
    fit: Fit = fit_scaler,
    measure: Measure | None = None,
    effort: Effort = GATE,
) -> LeakGateReport:
    """Check a dataset that these functions made from these bars. Raises LeakFound at the first leak."""
    began = time.perf_counter()
    symbols = len(dataset.symbols)
    share = replace(effort, instants=max(4, effort.instants // symbols), labels=max(2, effort.labels // symbols))
    inspection = Inspection(strategy, bars, dataset, build, fit, measure or label_of(strategy.labels).measure, share)
    for leak in inspection.leaks():
        raise leak.error()
    tally = inspection.tally
    return LeakGateReport(
        passed=True,
        verdict=_describe_pass(tally, dataset.symbols),
        checks=tally.to_checks(),
        seconds=time.perf_counter() - began,
    )


def audit(
    strategy: Strategy,
    bars: Mapping[str, SymbolBars],
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
    *,
    build: Build = build_features,
    fit: Fit = fit_scaler,
    measure: Measure | None = None,
    instants: int = AUDITED_INSTANTS,
) -> AuditReport:
    """Check every symbol and fold at every bar, or at `instants` bars where a symbol has more.

    `progress` receives the number of finished instants and their total. Raises TrainingDataError when nothing can be
    trained.
    """
    began, tally = time.perf_counter(), Tally()
    panel, audited = build_panel(strategy, bars, build), dict[str, None]()
    heights = {symbol: frames[strategy.timeframes[0]].height for symbol, frames in bars.items()}
    total = sum(min(instants, height) for height in heights.values())
    leaks_by_column: dict[tuple[str, str], Leak] = {}

    def goes_on() -> bool:
        progress(min(tally.instants, total), total)
        return not stop()

    for fold in range(fold_count(strategy)):
        # Folds share a symbol's features, so only the symbol's first fold audits them.
        effort = Effort(instants, -(-instants // INSTANTS_PER_LABEL), len(bars))
        measured_by = measure or label_of(strategy.labels).measure
        dataset = assemble(panel, fold, fit)
        inspection = Inspection(strategy, bars, dataset, build, fit, measured_by, effort, tally, goes_on, audited)
        for leak in inspection.leaks():
            leaks_by_column.setdefault((leak.symbol, leak.column or leak.kind), leak)
        audited |= dict.fromkeys(dataset.symbols)
        if stop():
            break
    tally.symbols = tally.inspected_symbols = len(audited)
    tally.bars = sum(heights[symbol] for symbol in audited)
    leaks, complete = tuple(leaks_by_column.values()), not stop()
    if complete:
        progress(total, total)
    verdict = _describe_leaks(leaks) if leaks else _describe_pass(tally, tuple(audited))
    if not complete:
        verdict = f"Stopped before its end. {verdict}"
    return AuditReport(
        passed=not leaks,
        verdict=verdict,
        checks=tally.to_checks(),
        seconds=time.perf_counter() - began,
        complete=complete,
        exhaustive=complete and max(heights.values()) <= instants,
        leaks=tuple(leak.to_payload() for leak in leaks),
    )


def _describe_pass(tally: Tally, symbols: tuple[str, ...]) -> str:
    named = ", ".join(symbols) if len(symbols) <= 3 else f"{len(symbols)} symbols"
    features = f"{tally.columns} features" if tally.columns != 1 else "1 feature"
    control = "there were too few samples to test whether a feature knows the label"
    if tally.strongest is not None:
        control = f"no feature knows the label (the nearest, {tally.strongest[1]}, by {tally.strongest[0]:.2f} of 1)"
    return (
        f"Nothing knows its future: {features} of {named}, truncated at {tally.instants:,} instants, {tally.labels:,} "
        f"labels and the scaling are identical to the bit, and {control}."
    )


def _describe_leaks(leaks: tuple[Leak, ...]) -> str:
    count = "1 leak" if len(leaks) == 1 else f"{len(leaks)} leaks"
    more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
    return f"{count} found: {leaks[0].message.removesuffix('.')}{more}."
