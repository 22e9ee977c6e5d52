"""Every refusal, provoked where it is raised and read on the command line, in text and as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import typer.main

from ktrdr import bootstrap
from ktrdr.backup import __main__ as backup
from ktrdr.cli import main
from ktrdr.doctor import __main__ as doctor
from ktrdr.launch import Backup, Doctor, PluginCheck, RegistryMove, Server
from ktrdr.plugin_check import __main__ as plugin_check
from ktrdr.registry import __main__ as registry
from ktrdr.strategy import validation_errors
from tests.api.live import START, Live, with_a_year
from tests.cli.conftest import BROKEN, FakeServer, Ran, serving
from tests.cli.refusal_cases import STORED, Case, cases, files
from tests.raise_sites import Line, raise_sites, reached_lines
from tests.refusals import check_refusal, stored

CASES = tuple(cases())
ELSEWHERE = {
    "api/problems.py": "of a disk that fails while a request is answered: tests/api/test_app.py",
    "api/routes/": "over HTTP alone: tests/api/test_results.py",
    "api/schemas/base.py": "over HTTP alone; options read dates first: tests/api/test_bad_input.py",
    "api/services/ablation_service.py": "of bars that have changed: tests/api/test_ablations.py",
    "api/services/analysis_service.py AnalysisService.export 2": "without packages: tests/api/test_analysis.py",
    "api/services/bundle": "of bundles that are no more what was packed: tests/api/test_bundles.py",
    "cli/cache.py": "of a folder that may not be changed: tests/cli/test_cache.py",
    "backup/copying.py": "of places and disks: tests/backup/test_copying.py",
    "backup/__main__.py": "of a folder that the command line always names: tests/backup/test_copying.py",
    "bundles.py": "of bundles that are no more what was packed: tests/api/test_bundles.py",
    "cli/bundles.py": "of a file that vanishes, or arrives damaged: tests/cli/test_bundles.py",
    "api/services/chart_service.py": "for the dashboard alone: tests/api/test_charts.py",
    "api/services/data_service.py DataService.start_import": "options read names first: tests/api/test_loads.py",
    "api/services/uploads.py": "of a full disk: tests/api/test_loads.py",
    "api/services/log_service.py": "for the dashboard alone: tests/api/test_operations.py",
    "api/services/reference_service.py": "of ids that end alike, and of an empty home: tests/api/test_references.py",
    "api/services/result_service.py": "of a damaged record: tests/api/test_results.py",
    "api/services/retention_service.py": "of a damaged record: tests/api/test_retention.py",
    "api/services/run_service.py _changed": "of more tags than one command can add: tests/api/test_runs.py",
    "api/services/training_service.py": "of folds, and of bars that go: tests/api/test_training.py",
    "bootstrap.py _listen": "of a port in use: tests/test_bootstrap.py",
    "cli/__init__.py": "of what nobody expects: tests/cli/test_main.py",
    "cli/client.py Client._nobody 1": "of a wrong certificate: tests/cli/test_client.py",
    "cli/imports.py _send": "of a file that vanishes: tests/cli/test_data.py",
    "cli/models.py": "of a server of another version: tests/cli/test_models.py",
    "cli/search.py _save": "of a disk that fails: tests/cli/test_search.py",
    "cli/search.py _finished": "of a search without a winner: tests/cli/test_search.py",
    "cli/watch.py": "of a server that goes away: tests/cli/test_watch.py",
    "doctor/": "of a damaged home: tests/doctor/test_doctor.py",
    "evaluation/fills/portfolio.py": "of bars without volumes: tests/evaluation/positions/test_rules.py",
    "evaluation/signals.py": "of bars that change meanwhile: tests/api/test_comparison.py",
    "executors/": "of a worker or a disk that fails: tests/executors/test_settlement.py",
    "api/services/analysis_service.py AnalysisService.backtest": "options refuse it first: tests/api/test_backtests.py",
    "experiments/ablation.py": "of bars and rows that change meanwhile: tests/experiments/test_ablation.py",
    "experiments/backtest_model.py": "the server refuses it first: tests/experiments/test_backtest.py",
    "experiments/backtest_rows.py": "of bars that it has seen: tests/experiments/test_backtest.py",
    "experiments/remade_training.py": "of bars that change meanwhile: tests/experiments/test_unseal.py",
    "experiments/joined_folds.py": "of bars that change meanwhile: tests/experiments/test_folds.py",
    "features/assemble.py": "of numbers beyond float32: tests/features/test_assemble.py",
    "features/checks.py check_fold": "of folds: tests/features/test_panel.py",
    "features/checks.py check_other_series": "of other symbols' bars: tests/experiments/test_other_inputs.py",
    "features/inputs.py": "of other symbols' bars and of tables: tests/features/test_other_series.py",
    "features/talib_functions.py _range_faults 2": "of two parameters together: tests/features/test_indicators.py",
    "features/expressions/calls.py": "of parts of a formula: tests/features/expressions/test_reading.py",
    "features/expressions/reading.py": "of parts of a formula: tests/features/expressions/test_reading.py",
    "features/expressions/terms.py": "of parts of a formula: tests/features/expressions/test_units.py",
    "features/plugin_features.py": "of files of one's own: tests/features/test_plugin_features.py",
    "features/leaks/": "of a leak, which no strategy can make: tests/features/test_leaks.py",
    "features/panel.py": "without symbols, which options refuse: tests/features/test_panel.py",
    "findings.py": "of an interrupted repair: tests/test_findings.py",
    "follows/": "of models and files in a home: tests/follows/test_program.py",
    "home.py": "of two servers: tests/test_home.py",
    "jobs/": "of what else goes on, and of a disk that fails: tests/api/test_training.py",
    "ledger/": "of a damaged ledger, and of looks that a bundle brings: tests/ledger/test_store.py",
    "logs.py": "of a folder that cannot be written: tests/test_logs.py",
    "market/bars.py check_": "of a provider's bars: tests/market/test_bars.py",
    "market/days.py": "of days in several zones: tests/market/test_days.py",
    "market/exchanges.py": "of a library that fails: tests/market/test_calendars.py",
    "market/files/frames.py": "of a provider's bars: tests/market/test_csv.py",
    "market/files/size.py": "of a huge file: tests/market/files/test_size.py",
    "market/files/table.py read_table 1": "options read names first: tests/market/files/test_reader.py",
    "market/loading.py": "of prices that are adjusted anew: tests/market/test_loading.py",
    "market/provider.py": "of a provider's answers: tests/market/test_loading.py",
    "market/providers/auto.py": "of a provider's answers: tests/market/test_auto.py",
    "market/providers/ccxt.py": "of a provider's answers: tests/market/test_ccxt.py",
    "market/providers/csv.py": "of a file that goes meanwhile: tests/market/test_csv.py",
    "market/providers/ib.py": "of a provider's answers: tests/market/test_ib.py",
    "market/providers/sample.py": "of what the sample lacks: tests/contracts/test_providers.py",
    "market/providers/synthetic.py": "of a made-up symbol: tests/contracts/test_providers.py",
    "market/providers/yahoo.py": "of a provider's answers: tests/market/test_yahoo.py",
    "market/quality/check.py": "without bars, which the store refuses: tests/market/test_quality.py",
    "market/resample.py": "of a guess: tests/market/test_resample.py",
    "market/series_file.py": "of a damaged file: tests/market/test_store.py",
    "market/tables/": "of what is wrong in a table's file: tests/market/tables/test_store.py",
    "market/store.py BarStore.merge": "without bars, which are refused before: tests/market/test_store.py",
    "operations/": "of an operation that runs: tests/operations/test_service.py",
    "payloads/": "of a newer version: tests/payloads/test_jobs.py",
    "plugin_check/": "of plugins that break a contract: tests/plugin_check/test_planted_leaks.py",
    "plugins/": "of files of one's own: tests/plugins/test_loading.py",
    "plot_style.py": "of fonts that cannot be read: tests/reports/test_reports.py",
    "python_api/": "in Python alone: tests/test_python_api.py",
    "registry/": "of a damaged or foreign registry: tests/registry/test_ownership.py",
    "run_table/home.py": "in Python alone: tests/test_python_api.py",
    "saved_models/": "of a damaged model: tests/saved_models/test_reproduce.py",
    "settings.py read_settings 2": "of a damaged .env: tests/test_settings.py",
    "strategy/document.py read_document 1": "options read sizes first: tests/strategy/test_loading.py",
    "strategy/plugin_sections.py": "of files of one's own: tests/strategy/test_plugin_sections.py",
    "training/": "of checkpoints, and of a disk that fails: tests/training/test_checkpoint.py",
}
"""Places that the command lines here do not reach, with what they need and the tests of that part."""


@dataclass(frozen=True, slots=True)
class Walk:
    """What all command lines came to.

    ran: by the case, in text and as JSON
    names: what the placeholders of the cases stand for
    lines: of the source that made errors meanwhile
    changed: bars and models that a refused command left behind or changed
    unfinished: operations that a refused command left running
    rules: of the strategy schema that were broken
    """

    ran: Mapping[Case, tuple[Ran, Ran]]
    names: Mapping[str, str]
    lines: set[Line]
    changed: set[tuple[str, str]]
    unfinished: Sequence[Any]
    rules: set[str]

    def named(self, text: str) -> str:
        return named(text, self.names)


def named(text: str, names: Mapping[str, str]) -> str:
    for placeholder, name in names.items():
        text = text.replace(placeholder, name)
    return text


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("refusals")
    for name, content in files():
        (folder / name).write_bytes(content)
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        live = stack.enter_context(with_a_year(folder / "home"))
        patch.chdir(folder)
        patch.setenv("COLUMNS", "80")
        patch.setenv("KTRDR_API_URL", live.url)
        patch.setenv("KTRDR_HOME", str(folder / "other"))
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        patch.setattr("ktrdr.cli.watch.FASTEST_S", 0.01)
        # These become other programs, whose refusals are theirs.
        patch.setattr(Doctor, "launch", lambda chosen: _end(doctor.main([*chosen.arguments()])))
        patch.setattr(PluginCheck, "launch", lambda chosen: _end(plugin_check.main([*chosen.arguments()])))
        patch.setattr(Backup, "launch", lambda chosen: _end(backup.main([*chosen.arguments()])))
        patch.setattr(RegistryMove, "launch", lambda chosen: _end(registry.main([*chosen.arguments()])))
        patch.setattr(Server, "launch", lambda chosen: _end(bootstrap.main([*chosen.arguments()])))
        lines = stack.enter_context(reached_lines())
        patch.setattr(validation_errors, "RULES", rules := _Noted(validation_errors.RULES))
        names = {**_prepared(live), "STRANGER": stack.enter_context(serving(_stranger())).url}
        before = stored(live.home)
        ran = {case: (_run(case, names), _run(case, names, "--json")) for case in CASES}
        changed = set(before.items()) ^ set(stored(live.home).items())
        yield Walk(ran, names, lines, changed, live.unfinished(), rules.asked)


class _Noted(dict[str, str]):
    """Notes the keys that are asked for."""

    def __init__(self, content: Mapping[str, str]) -> None:
        super().__init__(content)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


def _end(code: int) -> None:
    raise SystemExit(code)


def _stranger() -> FakeServer:
    fake = FakeServer()
    for path in ("/models", "/strategies/schema"):
        fake.on("GET", path, (200, b"<html>"))
    fake.on("GET", "/operations/op_training_20230630_k3x9ab/results", {"status": []})
    fake.on("GET", "/indicators", BROKEN)
    return fake


def _prepared(live: Live) -> dict[str, str]:
    """Ids by their placeholders."""
    for series in STORED:
        assert not _ran("data", "import", f"{series}.csv", *series.split()).code
    return {
        "TRAINING": live.complete("/training/start", START),
        "BOOSTED": _started("boosted.yaml", 0),
        "DIVERGED": _started("diverging.yaml", 1),
        "BROKEN": _started("cuda.yaml", 1),
        "REFUSED": _refused_load(live),
        "LOAD": live.load,
    }


def _started(strategy: str, code: int) -> str:
    train = ("models", "train", "--symbols", "AAPL", "--timeframes", "1d", "--follow", "--strategy", strategy)
    ran = _ran(*train)
    assert ran.code == code, ran.err
    return ran.err.partition("Operation ID: ")[2].split()[0]


def _refused_load(live: Live) -> str:
    assert _ran("data", "import", "f1.csv", "ACME", "1d").code == 1
    newest: str = live.get("/operations").json()["operations"][0]["operation_id"]
    return newest


def _run(case: Case, names: Mapping[str, str], *more: str) -> Ran:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in case.env:
            patch.setenv(name, value)
        return _ran(*named(case.line, names).split(), *more)


def _ran(*arguments: str) -> Ran:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(arguments)
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.line)
def test_a_refusal_says_what_is_wrong_and_what_mends_it(case: Case, walk: Walk) -> None:
    text, _ = walk.ran[case]

    check_refusal(text, case.code, *map(walk.named, case.words))
    assert re.search(r"^hint: \S", text.err, re.MULTILINE), text.err
    assert not re.search(r"<class|<function|object at 0x|\bNone\b|ValidationError", text.err), text.err
    assert len(text.err) < 4000


@pytest.mark.parametrize("case", [case for case in CASES if case.has_json], ids=lambda case: case.line)
def test_a_refusal_is_one_object_of_json(case: Case, walk: Walk) -> None:
    text, as_json = walk.ran[case]

    assert as_json.code == case.code
    content = json.loads(as_json.err.splitlines()[-1])["error"]
    assert content.keys() == {"code", "detail", "hint", "context"}
    assert content["detail"]
    assert content["hint"]
    assert content["hint"] in text.err
    assert "Traceback" not in as_json.err


def test_every_rule_of_a_strategy_is_broken(walk: Walk) -> None:
    assert set(validation_errors.RULES) - walk.rules == set()


def test_what_is_refused_leaves_nothing_behind(walk: Walk) -> None:
    assert walk.changed == set()
    assert not walk.unfinished


def test_every_place_that_refuses_is_provoked_here_or_elsewhere(walk: Walk) -> None:
    missed = [site.name for site in raise_sites() if not site.is_among(walk.lines)]

    assert [name for name in missed if not any(map(name.startswith, ELSEWHERE))] == []
    assert [place for place in ELSEWHERE if not any(name.startswith(place) for name in missed)] == []
    for reason in ELSEWHERE.values():
        assert Path(__file__).parents[2].joinpath(reason.rpartition(": ")[2]).exists(), reason
