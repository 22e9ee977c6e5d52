"""The program `python -m ktrdr.follows`, which `ktrdr models follow` becomes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import timedelta

from ktrdr.errors import InputError, KtrdrError
from ktrdr.follows.outcomes import report
from ktrdr.follows.receivers import parse_receivers
from ktrdr.follows.request import (
    EVERY,
    EVERY_LOOK,
    FollowRequest,
    folder_of,
    make_signal,
    open_follow,
    open_model,
    source_of,
)
from ktrdr.follows.text import report_lines, signal_line, verification_lines
from ktrdr.follows.verification import verify
from ktrdr.formatting import counted
from ktrdr.home import Home, keep_files_private
from ktrdr.launch import Follow
from ktrdr.ledger.store import Ledger
from ktrdr.market.providers import Sources
from ktrdr.masking import masked
from ktrdr.payloads.follows import FollowReport, FollowVerification, PredictionRow
from ktrdr.settings import Settings, read_settings
from ktrdr.terminal import escaped, json_text, write_error


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow a model; the exit code is 0 when that was ended, 2 for wrong use, and 1 when it failed."""
    chosen = Follow.parse(arguments)
    try:
        return run(chosen)
    except KtrdrError as error:
        write_error(error, as_json=chosen.json)
        return 2 if isinstance(error, InputError) else 1


def run(chosen: Follow) -> int:
    if chosen.model is None:
        raise InputError("no model is named", hint="ktrdr models follow ID")
    keep_files_private()
    settings = read_settings(**({"ktrdr_home": chosen.home} if chosen.home else {}))
    home = Home(settings.ktrdr_home)
    if chosen.verify or chosen.show:
        return _look(chosen, home)
    request = FollowRequest(
        model=home.models / chosen.model,
        symbols=tuple(filter(None, (chosen.symbols or "").split(","))),
        every=_every(chosen),
        loads=not chosen.no_load and chosen.replay is None,
        receivers=tuple(parse_receivers(chosen.exec, chosen.url, chosen.signals)),
        replay=chosen.replay,
    )
    return _follow(request, home, settings, as_json=chosen.json)


def _every(chosen: Follow) -> timedelta:
    if chosen.every is not None:
        return timedelta(seconds=chosen.every)
    return EVERY_LOOK if chosen.no_load else EVERY


def _look(chosen: Follow, home: Home) -> int:
    model = open_model(home.models / (chosen.model or ""))
    folder, source = folder_of(model, home, chosen.replay), source_of(model, home)
    if not folder.is_dir():
        raise InputError(f"{model.model_id} is not followed", hint=f"begin with: ktrdr models follow {model.model_id}")
    if chosen.verify:
        verification = verify(folder, model, source)
        _print(verification, verification_lines(verification), as_json=chosen.json)
        return 0 if verification.is_sound else 1
    with closing(Ledger(home.ledger)) as ledger:
        found = report(folder, model, source, ledger)
    _print(found, report_lines(found), as_json=chosen.json)
    return 0


def _follow(request: FollowRequest, home: Home, settings: Settings, *, as_json: bool) -> int:
    speech, rows = _Speech(), 0
    try:
        with open_follow(request, home, Sources.of(settings), speech.say_once) as following:
            model, symbols = following.follower.model, following.follower.symbols
            speech.say(f"Following {model.model_id} on {', '.join(symbols)}; Ctrl-C ends it")
            for stored in following.live() if request.replay is None else following.replay():
                rows += 1
                speech.forget()
                assert isinstance(stored.row, PredictionRow)
                signal = make_signal(model, stored)
                _write(stored.row.model_dump_json() if as_json else signal_line(signal, late=stored.row.late))
    except KeyboardInterrupt:
        pass
    speech.say(f"Ended; {counted(rows, 'row')} {'was' if rows == 1 else 'were'} written")
    return 0


class _Speech:
    """Sentences on stderr; a trouble that goes on is told once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, sentence: str) -> None:
        sys.stderr.write(f"{escaped(masked(sentence))}\n")
        sys.stderr.flush()

    def say_once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            self.say(sentence)

    def forget(self) -> None:
        self._said.clear()


def _print(value: FollowReport | FollowVerification, lines: Iterable[str], *, as_json: bool) -> None:
    for line in [json_text(value.model_dump(mode="json"), indent=2)] if as_json else map(escaped, lines):
        sys.stdout.write(f"{line}\n")


def _write(line: str) -> None:
    sys.stdout.write(f"{escaped(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
