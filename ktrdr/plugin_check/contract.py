"""Contracts, and how they are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ktrdr.errors import KtrdrError
from ktrdr.plugins.failures import located, time_limit

TIMEOUT_S = 120.0


class ContractBroken(Exception):
    """A plugin does not keep a contract; the message says how."""


@dataclass(frozen=True, slots=True)
class Contract:
    """One promise of a plugin.

    name, series: as the report shows them; the series of bars that it is tried on
    check: raises ContractBroken, or the plugin's own error
    is_needed: whether the contracts after it mean nothing where it is broken
    """

    name: str
    check: Callable[[], None]
    is_needed: bool = False
    series: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one contract.

    plugin, contract, series: their names
    fault: how it is broken; empty where it is kept
    is_tried: false where an earlier contract is broken that it needs
    """

    plugin: str
    contract: str
    series: str
    fault: str = ""
    is_tried: bool = True

    @property
    def is_kept(self) -> bool:
        return self.is_tried and not self.fault


def try_contracts(plugin: str, path: Path, contracts: Sequence[Contract]) -> Iterator[Finding]:
    """Try them in order; after a broken one that is needed, the others of the same series are not tried."""
    ended: set[str] = set()
    for contract in contracts:
        if contract.series in ended:
            yield Finding(plugin, contract.name, contract.series, is_tried=False)
            continue
        fault = _fault(contract, path)
        yield Finding(plugin, contract.name, contract.series, fault)
        if fault and contract.is_needed:
            ended.add(contract.series)


def _fault(contract: Contract, path: Path) -> str:
    try:
        with located(path), time_limit(TIMEOUT_S, f"the check of {contract.name}"):
            try:
                contract.check()
            except ContractBroken as broken:
                return str(broken)
    except KtrdrError as error:
        return error.detail
    return ""
