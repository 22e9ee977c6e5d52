"""Tries all contracts of all plugins of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ktrdr.errors import InputError
from ktrdr.payloads.plugins import PluginDeclaration
from ktrdr.plugin_check.contract import Contract, ContractBroken, Finding, try_contracts
from ktrdr.plugin_check.features import FeatureContracts
from ktrdr.plugin_check.labels import LabelContracts
from ktrdr.plugin_check.networks import NetworkContracts
from ktrdr.plugin_check.series import CheckedSeries
from ktrdr.plugins.describing import IMPORT_TIMEOUT_S
from ktrdr.plugins.failures import time_limit
from ktrdr.plugins.loading import Plugin, find_plugin, load_plugins
from ktrdr.strategy.sections.base import members_by_type
from ktrdr.strategy.sections.labels import ShippedLabels
from ktrdr.strategy.sections.model import ShippedModel
from ktrdr.training.determinism import make_repeatable

_SEED = 42
# A strategy names a feature as a plugin, so that any name is free.
_SHIPPED = {"label": ShippedLabels, "network": ShippedModel}


def check_file(path: Path, series: Sequence[CheckedSeries]) -> Iterator[Finding]:
    """What came of each contract, plugin by plugin. Raises InputError for a file that cannot be loaded."""
    with time_limit(IMPORT_TIMEOUT_S, "its import"):
        (file,) = load_plugins([path]).files
    if file.error:
        raise InputError(file.error, hint="correct the file, then check it again")
    for declared in file.plugins:
        plugin = find_plugin(declared.kind, declared.name, file.sha256)
        yield from try_contracts(declared.name, path, [*_contracts(plugin, series)])


def _contracts(plugin: Plugin, series: Sequence[CheckedSeries]) -> Iterator[Contract]:
    """Those of its kind; of features and labels on every series."""
    declared = plugin.declaration
    if declared.kind in _SHIPPED:
        yield _name_is_free(declared)
    if declared.kind == "network":
        make_repeatable(_SEED, 1)
        yield from NetworkContracts(plugin).contracts()
        return
    contracts = FeatureContracts if declared.kind == "feature" else LabelContracts
    for each in series:
        yield from (replace(contract, series=str(each)) for contract in contracts(plugin, each).contracts())


def _name_is_free(declared: PluginDeclaration) -> Contract:
    def check() -> None:
        if declared.name in members_by_type(_SHIPPED[declared.kind]):
            raise ContractBroken(f"ktrdr has a {declared.kind} of this name, which strategies get; choose another")

    return Contract("name", check)
