"""What the poll path is measured against: one plain Starlette route that hands out fixed bytes.

`python -m benchmarks.bare_server PORT BODY_FILE`, under the server settings of `ktrdr serve`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def build(body: bytes) -> Starlette:
    async def operation(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/api/v1/operations/{operation_id}", operation)])


def main() -> None:
    port, body_file = sys.argv[1:]
    app = build(Path(body_file).read_bytes())
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_config=None, access_log=False, server_header=False)


if __name__ == "__main__":
    main()
