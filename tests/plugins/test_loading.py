"""Files of plugins: which are run, what becomes of their errors, and that no call reaches another."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ktrdr.errors import PluginError, PluginMismatch
from ktrdr.payloads.plugins import PluginFile
from ktrdr.plugins import describing
from ktrdr.plugins.describing import DescribedPlugins
from ktrdr.plugins.failures import TookTooLong, located, time_limit
from ktrdr.plugins.loading import find_plugin, load_plugins, loaded_plugins
from tests.plugin_files import EXAMPLE, Write, name_files, write

__all__ = ["write"]

GAP = "@feature(warmup=0)\ndef gap(bars):\n    return bars['open'] / bars['close']\n"


def loaded(path: Path) -> PluginFile:
    (file,) = load_plugins([path]).files
    return file


def test_a_file_declares_what_it_marks_in_its_order() -> None:
    file = loaded(EXAMPLE)

    assert file.error == ""
    assert [(each.kind, each.name) for each in file.plugins] == [
        ("feature", "gap"),
        ("feature", "channel"),
        ("label", "excursion"),
        ("network", "attention"),
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x = 1\n", "mine.py declares no plugin"),
        ("def f(:\n", "mine.py, line 6: invalid syntax"),
        ("x = 1\ny = nowhere\n", "mine.py, line 7: NameError: name 'nowhere' is not defined"),
        ("def f():\n    return 1 / 0\n\n\nf()\n", "mine.py, line 7, in f: ZeroDivisionError: division by zero"),
        ("raise SystemExit\n", "mine.py, line 6: SystemExit"),
        ("import mine_too\n", "mine.py, line 6: ModuleNotFoundError: No module named 'mine_too'"),
        ("@feature(warmup=0)\ndef gap(rows):\n    return 1\n", "mine.py, line 6: TypeError: its first parameters"),
        (GAP + "\n\nother = gap\n", "mine.py declares the feature gap twice"),
    ],
)
def test_a_file_that_cannot_be_used_says_why_in_one_line(text: str, error: str, write: Write) -> None:
    file = loaded(write(text))

    assert file.error.startswith(error)
    assert "\n" not in file.error
    assert file.plugins == ()


def test_a_file_that_others_can_change_is_refused(write: Write) -> None:
    path = write(GAP)
    path.chmod(0o646)
    assert loaded(path).error == f"the plugin file {path} can be written by everybody"

    path.chmod(0o644)
    path.parent.chmod(0o777)
    assert loaded(path).error == f"the folder of plugins {path.parent} can be written by everybody"

    path.parent.chmod(0o1777)  # sticky, as /tmp is
    assert loaded(path).error == ""


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read: No such file or directory" in loaded(tmp_path / "absent.py").error
    assert "cannot be read: Is a directory" in loaded(tmp_path).error

    (tmp_path / "large.py").write_bytes(b"#" * 1_000_001)
    assert "has more than 1,000,000 bytes" in loaded(tmp_path / "large.py").error


def test_nothing_that_a_module_remembers_reaches_another_call(write: Write) -> None:
    file = loaded(
        write("seen = []\n\n\n@label()\ndef count(bars, horizon):\n    seen.append(1)\n    return len(seen)\n")
    )
    plugin = find_plugin("label", "count", file.sha256)

    assert [plugin.fresh()[1](None, 1) for _ in range(3)] == [1, 1, 1]


def test_code_that_was_loaded_stays_when_its_file_changes(write: Write) -> None:
    first = loaded(write(GAP))
    second = loaded(write(GAP.replace("open", "high")))

    assert first.sha256 != second.sha256
    assert find_plugin("feature", "gap", first.sha256).file.sha256 == first.sha256
    assert loaded_plugins().files == (second,)


@pytest.mark.processes
def test_a_plugin_that_has_changed_or_is_gone_is_named(write: Write) -> None:
    now = loaded(write(GAP)).sha256

    with pytest.raises(PluginMismatch) as changed:
        find_plugin("feature", "gap", "0123456789abcdef")
    with pytest.raises(PluginMismatch) as gone:
        find_plugin("feature", "gaps", "0123456789abcdef")

    assert changed.value.detail == (
        f"the feature gap is not the one that was used: mine.py is now {now[:12]}…, and was 0123456789ab…"
    )
    assert gone.value.detail == "the feature gaps was used, and no file of KTRDR_PLUGINS declares it"
    assert "0123456789ab" in gone.value.hint


def test_no_other_file_runs_for_a_plugin_that_is_there(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hash_now = write(GAP), loaded(write(GAP)).sha256
    monkeypatch.setattr("ktrdr.plugins.loading._files_by_hash", {})
    (tmp_path / "dangerous.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    name_files(monkeypatch, tmp_path / "dangerous.py", path)

    assert find_plugin("feature", "gap", hash_now).declaration.name == "gap"
    assert not (tmp_path / "ran").exists()


@pytest.mark.processes
def test_another_process_describes_a_file_once_for_each_content(
    tmp_path: Path,
) -> None:
    path = tmp_path / "counted.py"
    text = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\nprint('hello')\n"
    body = GAP.replace("bars['open'] / bars['close']", "1")
    path.write_text(f"from ktrdr.plugins import feature\n{text}{body}", encoding="utf-8")
    described = DescribedPlugins([path])

    first, again = described(), described()

    assert first == again
    assert [each.name for each in first.files[0].plugins] == ["gap"]
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.processes
def test_a_file_that_ends_or_holds_up_its_process_is_described_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "_TIMEOUT_S", 3.0)
    (tmp_path / "ends.py").write_text("import os\nos._exit(0)\n", encoding="utf-8")
    (tmp_path / "hangs.py").write_text("import time\ntime.sleep(60)\n", encoding="utf-8")

    ends, hangs = DescribedPlugins([tmp_path / "ends.py", tmp_path / "hangs.py"])().files

    assert ends.error == "ends.py: its import ended the process that was to describe it"
    assert hangs.error == "hangs.py: its import took longer than 3 s"


def test_what_takes_too_long_is_interrupted_where_it_is(write: Write) -> None:
    path = write("import time\n\n\n@label()\ndef slow(bars, horizon):\n    time.sleep(60)\n")
    function = find_plugin("label", "slow", loaded(path).sha256).fresh()[1]
    began = time.monotonic()

    with pytest.raises(PluginError) as caught, located(path, "slow"), time_limit(0.05, "the label"):
        function(None, 1)

    assert caught.value.detail == "mine.py, line 11, in slow: the label took longer than 0.05 s"

    assert time.monotonic() - began < 5
    with pytest.raises(TookTooLong), time_limit(0.01, "a pause"):
        time.sleep(60)


def test_only_exceptions_of_plugins_are_turned_into_sentences() -> None:
    with pytest.raises(ZeroDivisionError), located():
        _ = 1 / 0
