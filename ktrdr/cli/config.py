"""`ktrdr config`: show; and the reading of the settings for all other commands."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import typer

from ktrdr.cli.options import AsJson
from ktrdr.cli.output import print_json, print_table
from ktrdr.errors import InputError

if TYPE_CHECKING:
    from ktrdr.settings import Settings

SECRET = re.compile("token|password|secret", re.IGNORECASE)
MASK = "********"

app = typer.Typer(no_args_is_help=True, help="See the settings.")


@app.command()
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show every setting, its value and where that comes from: the environment, .env or the default."""
    rows = described(read_settings(), str(ctx.find_root().params.get("api_url") or ""))
    if as_json:
        print_json(rows)
        return
    columns = ("setting", "value", "source", "description")
    print_table(columns, [tuple(str(row[column]) for column in columns) for row in rows])


def read_settings() -> Settings:
    """The settings.

    Raises:
        InputError: naming each variable that is wrong and its value.
    """
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from ktrdr.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(_fault(dict(entry)) for entry in error.errors())
        raise InputError(faults, hint="correct it in the environment or in .env") from None
    except (SettingsError, UnicodeDecodeError) as error:
        raise InputError(f"the settings cannot be read: {error}") from None


def _fault(entry: dict[str, Any]) -> str:
    name = "_".join(str(part) for part in entry["loc"]).upper()
    return f"{name} is {_masked(name, entry['input'])!r}: {str(entry['msg']).lower()}"


def described(settings: Settings, api_url: str = "") -> list[dict[str, Any]]:
    sources = _sources()
    effective = {"ktrdr_api_url": api_url or settings.api_url, "ktrdr_database_url": settings.database_url}
    rows = []
    for name, field in type(settings).model_fields.items():
        value = effective.get(name, getattr(settings, name))
        source = "--api-url" if api_url and name == "ktrdr_api_url" else sources.get(name, "default")
        rows.append(
            {
                "setting": name.upper(),
                "value": _masked(name, value if isinstance(value, int | float) else str(value)),
                "source": source,
                "description": field.description or "",
            }
        )
    return rows


def _sources() -> dict[str, str]:
    from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource

    from ktrdr.settings import Settings

    return {
        **dict.fromkeys(DotEnvSettingsSource(Settings)(), ".env"),
        **dict.fromkeys(EnvSettingsSource(Settings)(), "environment"),
    }


def _masked(name: str, value: object) -> object:
    if SECRET.search(name) and value:
        return MASK
    if not isinstance(value, str) or "://" not in value:
        return value
    try:
        password = urlsplit(value).password
    except ValueError:
        return value
    return value.replace(f":{password}@", f":{MASK}@") if password else value
