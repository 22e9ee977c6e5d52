"""The way back from JSON to results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, TypeAdapter

from ktrdr.errors import StorageError
from ktrdr.payloads.ablations import AblationResults, UnfinishedAblationResults
from ktrdr.payloads.backtests import BacktestResults
from ktrdr.payloads.data import DataLoadResults
from ktrdr.payloads.explanations import ExplanationResults
from ktrdr.payloads.leaks import AuditResults
from ktrdr.payloads.predictions import ExportResults, PredictionResults
from ktrdr.payloads.preflight import PreflightResults
from ktrdr.payloads.results import VERSION, OtherResults
from ktrdr.payloads.search import SearchResults, UnfinishedSearchResults
from ktrdr.payloads.training import FoldsResults, TrainingResults, UnfinishedFoldsResults
from ktrdr.payloads.unsealing import UnsealingResults

AnyResults = (
    TrainingResults
    | FoldsResults
    | UnfinishedFoldsResults
    | SearchResults
    | UnfinishedSearchResults
    | PreflightResults
    | AuditResults
    | PredictionResults
    | ExportResults
    | BacktestResults
    | ExplanationResults
    | AblationResults
    | UnfinishedAblationResults
    | UnsealingResults
    | DataLoadResults
    | OtherResults
)

_adapter: TypeAdapter[AnyResults] = TypeAdapter(Annotated[AnyResults, Field(discriminator="kind")])

# Results of 0.1.0 have no kind: the first of these fields that they have names it. What ended early may have none.
_KINDS_OF_0_1_0: Mapping[str, str] = {
    "ending": "training",
    "spread": "folds",
    "parts": "preflight",
    "exhaustive": "audit",
    "predictions": "prediction",
    "windows_compared": "export",
    "rows_fetched": "data_load",
    "folds": "unfinished_folds",
}


def parse_results(document: Mapping[str, Any]) -> AnyResults:
    """Results as JSON holds them, those of 0.1.0 included.

    Raises:
        StorageError: a newer ktrdr wrote them.
        pydantic.ValidationError: they are no results, or damaged.
    """
    version = document.get("version", VERSION)
    if isinstance(version, int) and version > VERSION:
        raise StorageError(
            f"the results were written by a newer ktrdr (version {version}; this one reads {VERSION})",
            hint="use the newer ktrdr",
        )
    if "kind" not in document:
        kind = next((kind for field, kind in _KINDS_OF_0_1_0.items() if field in document), "other")
        document = {**document, "kind": kind}
    return _adapter.validate_python(document)


def _parse(value: Any) -> Any:
    return parse_results(value) if isinstance(value, Mapping) else value


ParsedResults = Annotated[AnyResults, BeforeValidator(_parse)]
"""A field of results, read by `parse_results`."""
