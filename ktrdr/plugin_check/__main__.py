"""The program `python -m ktrdr.plugin_check`, which `ktrdr plugins check` becomes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ktrdr.errors import InputError, KtrdrError
from ktrdr.home import Home
from ktrdr.launch import PluginCheck
from ktrdr.market.store import BarStore
from ktrdr.plugin_check import report
from ktrdr.plugin_check.check import check_file
from ktrdr.plugin_check.series import CheckedSeries, made_up, stored
from ktrdr.settings import read_settings
from ktrdr.terminal import write_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a file; the exit code is 0 where all contracts are kept, 1 where one is not, 2 for wrong use."""
    chosen = PluginCheck.parse(arguments)
    try:
        return run(chosen)
    except KtrdrError as error:
        write_error(error, as_json=chosen.json)
        return 2


def run(chosen: PluginCheck) -> int:
    if chosen.file is None:
        raise InputError("no file is named", hint="ktrdr plugins check FILE")
    path = chosen.file.absolute()
    findings = tuple(check_file(path, _series(chosen)))
    write = report.as_json if chosen.json else report.as_text
    sys.stdout.write(write(path, findings) + "\n")
    return 0 if all(each.is_kept for each in findings) else 1


def _series(chosen: PluginCheck) -> list[CheckedSeries]:
    symbols = [each.strip() for each in (chosen.symbols or "").split(",") if each.strip()]
    store = BarStore(Home(read_settings().ktrdr_home).bars)
    return [made_up(), *stored(store, symbols, chosen.timeframe or "1d")]


if __name__ == "__main__":
    sys.exit(main())
