"""Measure what is promised: `python -m benchmarks [NAME …]`, the names in `BENCHMARKS`; without one, all of it."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import re
import sys
import time
import traceback
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.outcome import Figure

BENCHMARKS = (
    "bridge",
    "torn_reads",
    "api",
    "pollers",
    "dashboard",
    "store",
    "quality",
    "calendars",
    "features",
    "factors",
    "labels",
    "fills",
    "leak_gate",
    "verdicts",
    "forward",
    "follow",
    "ledger",
    "luck",
    "honesty",
    "backtest",
    "wide_backtest",
    "training",
    "latency",
    "worker_start",
    "waiting_plan",
    "waiting",
    "variants",
    "runs",
    "search_bits",
    "search",
    "restart",
    "startup",
    "ownership",
)
RESULTS = Path(__file__).with_name("results")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of: {', '.join(BENCHMARKS)}")
    names = parser.parse_args().names or BENCHMARKS
    machine = describe_machine()
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    found: dict[str, list[Figure]] = {}
    for name in names:
        began = time.perf_counter()
        sys.stderr.write(f"{name} …\n")
        try:
            found[name] = importlib.import_module(f"benchmarks.{name}").run()
        except Exception:  # noqa: BLE001
            traceback.print_exc()
        sys.stderr.write(f"{name} took {time.perf_counter() - began:.0f} s\n")
    show(found, machine)
    save(found, machine)
    return 0 if len(found) == len(names) else 1


def describe_machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}",
        "load average before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", described.read_text()) if described.exists() else None
    return model[1] if model else platform.processor()


def show(found: dict[str, list[Figure]], machine: dict[str, Any]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title="ktrdr, measured", caption=", ".join(f"{key}: {value}" for key, value in machine.items()))
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("", justify="left")
    table.add_column("aim", justify="right")
    table.add_column("reached")
    for figures in found.values():
        for figure in figures:
            colour = {True: "green", False: "red", None: "default"}[figure.is_reached]
            name, value, unit, aim, reached = cells(figure)
            table.add_row(name, value, unit, aim, f"[{colour}]{reached}[/]")
        table.add_section()
    console.print(table)


def cells(figure: Figure) -> tuple[str, str, str, str, str]:
    aim = f"{figure.aim.relation} {shown(figure.aim.value)}" if figure.aim else ""
    return figure.name, shown(figure.value), figure.unit, aim, {True: "yes", False: "no", None: ""}[figure.is_reached]


def markdown(found: dict[str, list[Figure]], machine: dict[str, Any]) -> str:
    """The table as docs/performance.md shows it."""
    rows = [("what", "measured", "", "aim", "reached"), ("---", "---:", "---", "---:", "---")]
    rows += [cells(figure) for figures in found.values() for figure in figures]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{table}\n\n{', '.join(f'{key}: {value}' for key, value in machine.items())}\n"


def shown(value: float) -> str:
    """Three figures that count, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def save(found: dict[str, list[Figure]], machine: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    instant = datetime.now(UTC)
    figures = {
        name: [{**asdict(figure), "is_reached": figure.is_reached} for figure in figures]
        for name, figures in found.items()
    }
    path = RESULTS / f"{instant:%Y%m%d-%H%M%S}.json"
    content = {"measured_at": instant.isoformat(), "machine": machine, "figures": figures}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(markdown(found, machine), encoding="utf-8")
    sys.stderr.write(f"Written to {path} and {path.with_suffix('.md').name}\n")


if __name__ == "__main__":
    sys.exit(main())
