"""What a shell offers when Tab is pressed: names that the server has, and nothing where none answers soon."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import typer

from ktrdr.cli.client import connect
from ktrdr.cli.output import shortened
from ktrdr.errors import KtrdrError
from ktrdr.payloads.references import LAST
from ktrdr.timeframe import Timeframe

if TYPE_CHECKING:
    from ktrdr.api.schemas.operations import Operation
    from ktrdr.cli.client import Client

Offer = tuple[str, str]
"""A word, and what it stands for; the shells of which that is known show it."""

# A shell evaluates what it is offered.
_UNPLAIN = re.compile(r"[^\w .,:/+-]")
PATIENCE_S = 0.5
_OFFERED = 50


def operation_ids(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Endings of ids, newest first; whole ids once one is begun."""

    def offers(client: Client) -> Iterator[Offer]:
        yield LAST, "the newest"
        for operation in client.operations(limit=_OFFERED).operations:
            whole = operation.operation_id
            yield whole if incomplete.startswith("op_") else whole.rpartition("_")[2], _about(operation)

    return _offered(ctx, incomplete, offers)


def symbols(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Those with stored bars; of several with commas the last one is completed."""

    def offers(client: Client) -> Iterator[Offer]:
        timeframes: dict[str, list[str]] = {}
        for each in client.series().series:
            timeframes.setdefault(each.symbol, []).append(each.timeframe)
        yield from ((symbol, " ".join(own)) for symbol, own in timeframes.items())

    return _after_commas(incomplete, lambda last: _offered(ctx, last, offers))


def series(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Symbols and timeframes, as commands take them one after the other."""
    return [*symbols(ctx, incomplete), *timeframes(incomplete)]


def timeframes(incomplete: str) -> list[Offer]:
    return _after_commas(incomplete, lambda last: _matching(((each, "") for each in Timeframe), last))


def indicators(ctx: typer.Context, incomplete: str) -> list[Offer]:
    return _offered(
        ctx, incomplete, lambda client: ((each.name, each.title) for each in client.indicators().indicators)
    )


def _offered(ctx: typer.Context, incomplete: str, offers: Callable[[Client], Iterable[Offer]]) -> list[Offer]:
    try:
        return _matching(offers(connect(ctx, patience_s=PATIENCE_S)), incomplete)
    except KtrdrError:  # a word is typed without help then
        return []


def _matching(offers: Iterable[Offer], incomplete: str) -> list[Offer]:
    return [(word, about) for word, about in offers if word.startswith(incomplete)]


def _after_commas(incomplete: str, complete: Callable[[str], list[Offer]]) -> list[Offer]:
    before, comma, last = incomplete.rpartition(",")
    return [(before + comma + word, about) for word, about in complete(last)]


def _about(operation: Operation) -> str:
    metadata = operation.metadata
    about = (metadata.get("strategy"), ",".join(metadata.get("symbols") or ()), operation.status.lower())
    return _UNPLAIN.sub("?", shortened(" ".join(str(each) for each in about if each)))
