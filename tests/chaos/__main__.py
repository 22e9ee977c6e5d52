"""Prove that nothing is lost: `python -m tests.chaos --kills 200 --seed 1`."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from benchmarks import restart
from benchmarks.__main__ import describe_machine, save, show
from benchmarks.outcome import Figure, at_least, below
from tests.chaos import resume
from tests.chaos.ledger import EPOCHS, TORN, UNTRUE
from tests.chaos.reference import train_undisturbed
from tests.chaos.run import Chaos, Report
from tests.chaos.surroundings import Surroundings
from tests.chaos.tools import ToolReport, Tools
from tests.e2e.system import System

NONE = below(1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often something is killed")
    parser.add_argument("--faults", type=int, default=0, help="how often the disk of a process fails")
    parser.add_argument("--tools", type=int, default=0, help="how often an import, a prune or a repair is killed")
    parser.add_argument("--resumes", type=int, default=20, help="how many trainings are ended and resumed")
    parser.add_argument("--seed", type=int, default=None, help="what is drawn at random; one that is drawn is told")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no kill after so many")
    chosen = parser.parse_args()
    seed = random.randrange(2**16) if chosen.seed is None else chosen.seed
    _say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="ktrdr-chaos-") as folder:
        surroundings = Surroundings(Path(folder) / "surroundings")
        settings = {"LOG_LEVEL": "INFO", "KTRDR_MAX_CONCURRENT": "2", "OPERATIONS_CACHE_TTL": "0"}
        system = System(Path(folder) / "chaos", **settings, **surroundings.settings)
        system.wrapper = surroundings.wrapper
        try:
            system.start()
            system.load_sample("--start-date", "2023-06-01")
            references = train_undisturbed(system)
            trials = resume.prove(system, references, chosen.resumes, seed, _say)
            chaos = Chaos(system, surroundings, references, seed, others=chosen.faults > 0)
            report = chaos.run(chaos.plan(chosen.kills, chosen.faults), chosen.minutes * 60, _say)
        except BaseException:
            _say(system.log()[-5000:])
            raise
        finally:
            system.close()
        tools = _kill_tools(Path(folder) / "tools", chosen.tools, seed)
    for problem in (*report.faults, *tools.faults, *(trial for trial in trials if trial.differing)):
        _say(f"{problem}")
    figures = {
        "chaos": [Figure("seed", seed, ""), *_figures(report)],
        "tools": _tools_figures(tools),
        "resume": _resume_figures(trials),
        "restart": restart.run(),
    }
    machine = describe_machine()
    show(figures, machine)
    save(figures, machine)
    is_reached = all(figure.is_reached is not False for rows in figures.values() for figure in rows)
    return 0 if is_reached else 1


def _figures(report: Report) -> list[Figure]:
    ended = report.operations
    return [
        Figure("kills", report.kills.total(), ""),
        *(Figure(f"  {what}", times, "") for what, times in sorted(report.kills.items())),
        Figure("storage faults", report.injected.total(), ""),
        *(
            Figure(f"  {what}, {report.failed_calls[what]} calls", times, "")
            for what, times in sorted(report.injected.items())
        ),
        Figure("cancels", report.cancels, ""),
        Figure("operations in an untrue state", report.count(UNTRUE), "", NONE),
        Figure("reported epochs lost or doubled", report.count(EPOCHS), "", NONE),
        Figure("torn reads", report.count(TORN), "", NONE),
        Figure("reads of views", report.reads["views"], ""),
        Figure("reads of metrics", report.reads["metrics"], ""),
        Figure("epochs told", report.epochs_told, ""),
        Figure("trainings started", ended.total(), ""),
        Figure("  COMPLETED", ended["COMPLETED"], ""),
        Figure("  bit-identical to the uninterrupted ones", report.bit_identical, "", at_least(ended["COMPLETED"])),
        Figure("  FAILED, with the true reason", ended["FAILED"], ""),
        Figure("  CANCELLED, as was asked", ended["CANCELLED"], ""),
        Figure("  resumed from one that had ended early", report.resumed, ""),
        Figure("  started again, since their worker had not got its job", report.started_again, ""),
        *(Figure(f"besides, {what}", count, "") for what, count in sorted(report.others.items())),
        Figure("requests repeated, since no answer came", report.repeated_requests, ""),
        Figure("killed worker to FAILED, slowest", max(report.failed_after_s, default=0.0), "s", below(2)),
        Figure("server started to serving, slowest", max(report.served_after_s, default=0.0), "s"),
        Figure("took", report.seconds, "s"),
    ]


def _kill_tools(folder: Path, kills: int, seed: int) -> ToolReport:
    system = System(folder, LOG_LEVEL="INFO")
    try:
        system.start()
        return Tools(system, seed).prove(kills, _say)
    finally:
        system.close()


def _tools_figures(tools: ToolReport) -> list[Figure]:
    killed = (
        Figure(f"{name} killed, {tools.in_time[name]} before its end", times, "") for name, times in tools.kills.items()
    )
    return [*killed, Figure("untrue afterwards", len(tools.faults), "", NONE)]


def _resume_figures(trials: list[resume.Trial]) -> list[Figure]:
    identical = sum(not trial.differing for trial in trials)
    return [
        Figure("trainings ended at a random point and resumed", len(trials), ""),
        Figure("  ended again, and resumed in their turn", sum(trial.generations > 1 for trial in trials), ""),
        Figure("  weights and metrics bit-identical", identical, "", at_least(len(trials))),
    ]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
