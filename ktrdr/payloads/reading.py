"""The way back from JSON to results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

from ktrdr.errors import StorageError
from ktrdr.payloads.data import DataLoadResults
from ktrdr.payloads.leaks import AuditResults
from ktrdr.payloads.predictions import ExportResults, PredictionResults
from ktrdr.payloads.preflight import PreflightResults
from ktrdr.payloads.results import VERSION, OtherResults, Results
from ktrdr.payloads.training import FoldsResults, TrainingResults, UnfinishedFoldsResults

AnyResults = (
    TrainingResults
    | FoldsResults
    | UnfinishedFoldsResults
    | PreflightResults
    | AuditResults
    | PredictionResults
    | ExportResults
    | DataLoadResults
    | OtherResults
    | Results
)

# Stored results name no kind; the first of these fields that they have tells it. Those that ended early may have none.
_KINDS: Mapping[str, type[AnyResults]] = {
    "ending": TrainingResults,
    "spread": FoldsResults,
    "parts": PreflightResults,
    "exhaustive": AuditResults,
    "predictions": PredictionResults,
    "windows_compared": ExportResults,
    "rows_fetched": DataLoadResults,
    "folds": UnfinishedFoldsResults,
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
    kind = next((model for field, model in _KINDS.items() if field in document), OtherResults)
    return kind.model_validate(document)


def _parse(value: Any) -> Any:
    return parse_results(value) if isinstance(value, Mapping) else value


ParsedResults = Annotated[AnyResults, BeforeValidator(_parse)]
"""A field of results, read by `parse_results`."""
