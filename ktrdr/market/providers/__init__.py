"""All sources of bars by name; a new one is one file here and one entry below."""

from __future__ import annotations

from collections.abc import Callable

from ktrdr.errors import InputError, nearest
from ktrdr.market.provider import Provider
from ktrdr.market.providers.auto import AutoProvider, yahoo_is_reachable
from ktrdr.market.providers.sample import SampleProvider
from ktrdr.market.providers.synthetic import SyntheticProvider
from ktrdr.market.providers.yahoo import YahooProvider
from ktrdr.market.series_file import SeriesInfo
from ktrdr.market.store import check_provider

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


def provider_for(name: str, stored: SeriesInfo | None) -> Provider:
    """The provider `name`, as it may serve a series of which something is stored already: `auto` asks its own again.

    Raises:
        InputError: there is no provider of that name.
        ProviderConflict: the stored bars are of another provider, or of none that can be asked.
    """
    provider = create_provider(name)
    if stored is None:
        return provider
    if name != AutoProvider.name or stored.provider not in PROVIDERS:
        check_provider(stored, name)
        return provider
    own = create_provider(stored.provider)
    reachable = yahoo_is_reachable if isinstance(own, YahooProvider) else lambda: True
    return AutoProvider(first=own, fallback=None, first_is_reachable=reachable)
