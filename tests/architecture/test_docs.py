"""The documentation names everything that a user can type: routes, commands, settings, keys of a strategy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from fastapi import FastAPI
from starlette.routing import Route

from ktrdr.api.app import create_app
from ktrdr.bootstrap import build_services
from ktrdr.cli import command_line
from ktrdr.features.expressions.functions import FUNCTIONS
from ktrdr.features.expressions.series import SERIES
from ktrdr.settings import Settings
from ktrdr.strategy.loading import strategy_schema

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def routes(app: FastAPI) -> Iterator[str]:
    """`GET /api/v1/health`, and what is served beside the documented API."""
    for path, methods in app.openapi()["paths"].items():
        yield from (f"{method.upper()} {path}" for method in methods)
    yield from (
        f"GET {route.path}" for route in app.routes if isinstance(route, Route) and not route.path.startswith("/api/")
    )


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its whole name."""
    subcommands = getattr(command, "commands", {})
    if not subcommands:
        yield name, command
    for key, subcommand in subcommands.items():
        yield from commands(subcommand, f"{name} {key}")


def keys(schema: dict[str, Any], part: dict[str, Any]) -> Iterator[str]:
    """Every key that a strategy may hold, in any part of it."""
    if reference := part.get("$ref"):
        yield from keys(schema, schema["$defs"][reference.rsplit("/", 1)[-1]])
    for key, value in part.get("properties", {}).items():
        yield key
        yield from keys(schema, value)
    for name in ("anyOf", "oneOf", "allOf"):
        for choice in part.get(name, []):
            yield from keys(schema, choice)
    if isinstance(items := part.get("items"), dict):
        yield from keys(schema, items)


def names(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def test_every_route_is_in_api_md(tmp_path: Path) -> None:
    app = create_app(build_services(Settings(ktrdr_home=tmp_path)), version="0", token="", allowed_hosts=[])
    page = names("api.md")

    assert not [route for route in routes(app) if route not in page]


def test_every_command_and_option_is_in_cli_md() -> None:
    page = names("cli.md")

    every = dict(commands(typer.main.get_command(command_line()), "ktrdr"))

    assert len(every) > 15
    assert not [name for name in every if not re.search(rf"^## .*`{re.escape(name)}\b", page, re.MULTILINE)]
    options = {option for command in every.values() for parameter in command.params for option in parameter.opts}
    assert not [option for option in options if option.startswith("--") and option not in page]


@pytest.mark.parametrize("page", ["docs/settings.md", ".env.example"])
def test_every_setting_is_in(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")

    named = set(re.findall(r"^(?:#|\| `)?([A-Z][A-Z_]{3,})(?==|`)", text, re.MULTILINE))

    assert named == {name.upper() for name in Settings.model_fields}


def test_env_example_states_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    copied = Settings(_env_file=ROOT / ".env.example")

    assert copied == Settings(_env_file=None)


def test_every_key_of_a_strategy_is_in_strategies_md() -> None:
    page, schema = names("strategies.md"), strategy_schema()

    every = set(keys(schema, schema))

    assert {"epochs", "patience", "hidden_size", "period", "threshold", "scaling"} <= every
    assert not [key for key in every if f"`{key}`" not in page]


def test_every_name_of_expressions_is_in_strategies_md() -> None:
    page = (DOCS / "strategies.md").read_text(encoding="utf-8")

    assert not [name for name in SERIES if f"`{name}`" not in page]
    assert not [each.signature for each in FUNCTIONS.values() if f"| `{each.signature}` |" not in page]


def test_links_between_pages_lead_somewhere() -> None:
    pages = (ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.glob("*.md"))
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))]

    broken = [f"{page.name}: {link}" for page, link in links if "://" not in link and not (page.parent / link).exists()]

    assert not broken
