"""All sources of bars by name; a new one is one file here and one entry below."""

from __future__ import annotations

from collections.abc import Callable

from ktrdr.errors import InputError, nearest
from ktrdr.market.provider import Provider
from ktrdr.market.providers.auto import AutoProvider
from ktrdr.market.providers.sample import SampleProvider
from ktrdr.market.providers.synthetic import SyntheticProvider
from ktrdr.market.providers.yahoo import YahooProvider

PROVIDERS: dict[str, Callable[[], Provider]] = {
    "auto": AutoProvider,
    "yahoo": YahooProvider,
    "sample": SampleProvider,
    "synthetic": SyntheticProvider,
}


def create_provider(name: str) -> Provider:
    if name in PROVIDERS:
        return PROVIDERS[name]()
    known = ", ".join(PROVIDERS)
    similar = nearest(name, PROVIDERS)
    raise InputError(
        f"provider {name[:64]!r} is not one of {known}",
        hint=f"did you mean {similar!r}?" if similar else f"choose one of {known}",
        provider=name[:64],
    )
