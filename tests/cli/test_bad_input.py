"""Bad input gets a clear error with the right exit code, and leaves nothing half-made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.api.live import Live, with_a_year
from tests.refusals import check_refusal, stored

if TYPE_CHECKING:
    from tests.cli.conftest import Run

STRATEGY = Path(__file__).parents[2] / "config" / "strategies" / "test_e2e.yaml"
ON_AAPL = ("--symbols", "AAPL", "--timeframes", "1d")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with with_a_year(tmp_path_factory.mktemp("bad_input") / "home") as running:
        yield running


@pytest.fixture(autouse=True)
def server(running: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real one, that KTRDR_API_URL points to; what it is refused leaves nothing half-made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KTRDR_API_URL", running.url)
    before = stored(running.home)
    yield
    assert stored(running.home) == before
    assert not running.unfinished()


def test_all_faults_of_a_strategy_are_told_at_once(ktrdr: Run, tmp_path: Path) -> None:
    wrong = STRATEGY.read_text(encoding="utf-8")
    for right, mistaken in (("name: rsi", "name: rsx"), ("type: lstm", "type: lstn"), ("epochs: 10", "epochs: -1")):
        assert right in wrong
        wrong = wrong.replace(right, mistaken)
    path = tmp_path / "wrong.yaml"
    path.write_text(wrong, encoding="utf-8")

    checked = ktrdr("strategies", "validate", str(path))
    refused = ktrdr("models", "train", "--strategy", str(path), *ON_AAPL)

    assert checked.code == 2
    for told in (checked.out, refused.err):
        assert all(word in told for word in ("rsx", "lstn", "-1", "'rsi'", "'lstm'")), told
    check_refusal(refused, 2)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", ["empty"]), (b"\xff\xfe\x00", ["UTF-8"]), (b"#" * 1_000_001, ["1,000,001", "1,000,000"])],
    ids=["empty", "binary", "huge"],
)
def test_no_strategy_in_the_file(ktrdr: Run, tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "strategy.yaml"
    path.write_bytes(content)

    check_refusal(ktrdr("models", "train", "--strategy", str(path), *ON_AAPL), 2, *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--symbols", "APPL", "--timeframes", "1d"], ["APPL", "ktrdr data load APPL 1d"]),
        (["--symbols", "../../x", "--timeframes", "1d"], ["../../x"]),
        ([*ON_AAPL, "--start-date", "31.12.2023"], ["31.12.2023", "YYYY-MM-DD"]),
        ([*ON_AAPL, "--start-date", "2023-12-31", "--end-date", "2023-01-01"], ["2023-12-31", "2023-01-01"]),
        ([*ON_AAPL, "--end-date", "2023-01-31"], ["20", "need"]),
    ],
    ids=["unknown symbol", "traversal", "no date", "reversed dates", "too few bars"],
)
def test_an_impossible_training_is_refused(ktrdr: Run, arguments: list[str], words: list[str]) -> None:
    check_refusal(ktrdr("models", "train", "--strategy", str(STRATEGY), *arguments), 2, *words)


def test_files_that_cannot_be_imported(ktrdr: Run, tmp_path: Path) -> None:
    (tmp_path / "bars.xlsx").touch()

    check_refusal(ktrdr("data", "import", str(tmp_path / "absent.csv"), "AAPL", "1d"), 2, "absent.csv")
    check_refusal(ktrdr("data", "import", str(tmp_path / "bars.xlsx"), "AAPL", "1d"), 2, ".csv")


@pytest.mark.parametrize("command", ["show", "load"])
def test_no_name_leads_out_of_its_folder(ktrdr: Run, command: str) -> None:
    check_refusal(ktrdr("data", command, "../../x", "1d"), 2, "../../x")


def test_an_unknown_operation(ktrdr: Run) -> None:
    unknown = "op_training_20250123_abc123"

    check_refusal(ktrdr("operations", "show", unknown), 2, unknown)


def test_a_load_of_what_the_provider_does_not_have(ktrdr: Run) -> None:
    check_refusal(ktrdr("data", "load", "NOPE", "1d", "--provider", "sample"), 1, "NOPE", "AAPL")
    check_refusal(ktrdr("data", "load", "AAPL", "1x"), 2, "1x", "1d")
