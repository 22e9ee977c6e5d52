"""`ktrdr config`: show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from ktrdr.cli.options import AsJson
from ktrdr.cli.output import print_json, print_table

if TYPE_CHECKING:
    from ktrdr.settings import Settings

app = typer.Typer(no_args_is_help=True, help="See the settings.")


@app.command()
def show(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show every setting, its value and where that comes from: the environment, .env or the default."""
    from ktrdr.settings import read_settings

    rows = described(read_settings(), str(ctx.find_root().params.get("api_url") or ""))
    if as_json:
        print_json(rows)
        return
    columns = ("setting", "value", "source", "description")
    print_table(columns, [tuple(str(row[column]) for column in columns) for row in rows])


def described(settings: Settings, api_url: str = "") -> list[dict[str, Any]]:
    sources = _sources()
    effective = {"ktrdr_api_url": api_url or settings.api_url}
    rows = []
    for name, field in type(settings).model_fields.items():
        value = effective.get(name, getattr(settings, name))
        source = "--api-url" if api_url and name == "ktrdr_api_url" else sources.get(name, "default")
        rows.append(
            {
                "setting": name.upper(),
                "value": _shown(name, value),
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


def _shown(name: str, value: Any) -> object:
    from ktrdr.settings import shown

    secret = getattr(value, "get_secret_value", None)
    plain = secret() if secret else value
    return shown(name, plain if isinstance(plain, int | float) else str(plain))
