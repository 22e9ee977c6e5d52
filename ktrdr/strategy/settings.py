"""A strategy's settings by their paths."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue


def settings_by_path(value: JsonValue, path: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Nested values under their paths: `{"model": {"layers": 2}}` as `model.layers`; nulls are left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from settings_by_path(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from settings_by_path(item, f"{path}[{index}]")
    elif value is not None:
        yield path, value
