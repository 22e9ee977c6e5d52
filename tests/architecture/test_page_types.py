"""The dashboard's types of the API's JSON are those that OpenAPI documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ktrdr.api.app import create_app
from ktrdr.bootstrap import build_services
from ktrdr.settings import Settings

TYPES = Path(__file__).parents[2] / "ktrdr" / "web" / "static" / "js" / "types.d.ts"
SCHEMAS = {
    "ChartPage": ["Chart"],
    "Evaluation": ["Classification", "Regression"],
    "FoldScores": ["FoldScores", "FinishedFold"],
    "Quality": ["QualityReport"],
    "Results": ["TrainingResults"],
    "Scores": ["Classification", "Regression", "FoldScores"],
    "TrainingData": ["TrainingStart"],
    "TrainingResults": ["TrainingResults", "FoldsResults"],
}
"""The schemas that one of the dashboard's types stands for, where it is not the one of its own name."""
UNDOCUMENTED = {
    "DataRange", "EpochMetrics", "JsonSchema", "ModelCard", "OperationMetadata", "Point", "TrialMetrics", "ViewContext",
    "Workers",
}  # fmt: skip
"""What differs by kind of operation, is a file, or is the dashboard's own."""


@pytest.fixture
def schemas(tmp_path: Path) -> dict[str, Any]:
    app = create_app(build_services(Settings(ktrdr_home=tmp_path)), version="0", token="", allowed_hosts=[])
    documented: dict[str, Any] = app.openapi()["components"]["schemas"]
    return documented


def interfaces() -> Iterator[tuple[str, set[str]]]:
    """The name of each exported interface, and its own fields."""
    text = TYPES.read_text(encoding="utf-8")
    for found in re.finditer(r"^export interface (\w+)[^\n]*\{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        yield found[1], set(re.findall(r"^  (\w+)\??:", found[2], re.MULTILINE))


def test_the_page_reads_only_what_is_documented(schemas: dict[str, Any]) -> None:
    types = dict(interfaces())

    assert len(types) > 30
    unknown = {
        f"{name}.{field}"
        for name, fields in types.items()
        if name not in UNDOCUMENTED
        for field in fields - {key for each in SCHEMAS.get(name, [name]) for key in schemas[each]["properties"]}
    }
    assert unknown == set()
