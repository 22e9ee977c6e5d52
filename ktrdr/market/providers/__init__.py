"""All sources of bars by name; a new one is one file here and one entry below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Self

from ktrdr.errors import InputError, nearest
from ktrdr.market.provider import Capabilities, Provider
from ktrdr.market.providers.auto import AutoProvider, yahoo_is_reachable
from ktrdr.market.providers.ccxt import PREFIX, SYMBOLS, CcxtProvider, exchanges
from ktrdr.market.providers.ib import IbProvider
from ktrdr.market.providers.sample import SampleProvider
from ktrdr.market.providers.synthetic import SyntheticProvider
from ktrdr.market.providers.yahoo import YahooProvider
from ktrdr.market.series_file import SeriesInfo
from ktrdr.market.store import check_provider
from ktrdr.settings import Settings
from ktrdr.timeframe import Timeframe


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the sources are that can be elsewhere for each user; an empty `yahoo_url` means Yahoo's own hosts."""

    ib_host: str = "127.0.0.1"
    ib_port: int = 7497
    yahoo_url: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.ktrdr_ib_host, settings.ktrdr_ib_port, settings.ktrdr_yahoo_url)


def _yahoo(sources: Sources) -> YahooProvider:
    return YahooProvider(sources.yahoo_url)


def _reachable(sources: Sources) -> Callable[[], bool]:
    return partial(yahoo_is_reachable, sources.yahoo_url) if sources.yahoo_url else yahoo_is_reachable


PROVIDERS: dict[str, Callable[[Sources], Provider]] = {
    "auto": lambda sources: AutoProvider(first=_yahoo(sources), first_is_reachable=_reachable(sources)),
    "yahoo": _yahoo,
    "ib": lambda sources: IbProvider(sources.ib_host, sources.ib_port),
    "sample": lambda sources: SampleProvider(),
    "synthetic": lambda sources: SyntheticProvider(),
}


def create_provider(name: str, sources: Sources | None = None) -> Provider:
    """Raises InputError when there is none of that name."""
    if name in PROVIDERS:
        return PROVIDERS[name](sources or Sources())
    family, colon, exchange = name.partition(":")
    if f"{family}:" == PREFIX:
        return CcxtProvider(exchange if colon else "")
    known = f"{', '.join(PROVIDERS)}, {PREFIX}EXCHANGE"
    similar = nearest(name, [*PROVIDERS, *(f"{PREFIX}{exchange}" for exchange in exchanges())])
    raise InputError(
        f"provider {name[:64]!r} is not one of {known}",
        hint=f"did you mean {similar!r}?" if similar else f"choose one of {known}",
        provider=name[:64],
    )


def is_provider(name: str) -> bool:
    return name in PROVIDERS or name.startswith(PREFIX)


def provider_for(name: str, stored: SeriesInfo | None, sources: Sources | None = None) -> Provider:
    """The provider `name`, as it may serve a series of which something is stored already: `auto` asks its own again.

    Raises:
        InputError: there is no provider of that name.
        ProviderConflict: the stored bars are of another provider, or of none that can be asked.
    """
    provider = create_provider(name, sources)
    if stored is None:
        return provider
    if name != AutoProvider.name or not is_provider(stored.provider):
        check_provider(stored, name)
        return provider
    own = create_provider(stored.provider, sources)
    reachable = _reachable(sources or Sources()) if isinstance(own, YahooProvider) else lambda: True
    return AutoProvider(first=own, fallback=None, first_is_reachable=reachable)


def all_capabilities() -> dict[str, Capabilities]:
    """Those of every provider by its name; those of ccxt's exchanges differ and are told by each of them."""
    built = {name: create(Sources()).capabilities for name, create in PROVIDERS.items()}
    return {
        **built,
        f"{PREFIX}EXCHANGE": Capabilities(
            source=f"{PREFIX}EXCHANGE",
            timeframes=tuple(Timeframe),
            adjusted="no",
            symbols=f"{SYMBOLS}; {len(exchanges())} exchanges such as {PREFIX}binance, each with its own timeframes",
        ),
    }
