"""`ktrdr serve`: becomes the server."""

from __future__ import annotations

from typing import Annotated

import typer

from ktrdr.launch import Server


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on.", show_default="KTRDR_API_HOST")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port; 0 picks a free one.", show_default="KTRDR_API_PORT"),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without a token (KTRDR_API_TOKEN).")
    ] = False,
) -> None:
    """Run the server until Ctrl-C.

    Example:
      ktrdr serve --port 8000
    """
    from ktrdr.settings import read_settings

    read_settings()
    Server(host=host, port=port, insecure=insecure).launch()
