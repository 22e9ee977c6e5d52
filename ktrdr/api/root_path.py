"""The path below which a reverse proxy serves this server, such as /ktrdr."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class UnderRootPath:
    """Outermost, so that all others find what ASGI promises: the root path at the start of `path`.

    Proxies may leave it there or cut it off; who asks the server itself, as a health check does, need not know it. A
    `Location` that begins with a slash gets it.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["root_path"] = self._root_path
        path: str = scope["path"]
        if path != self._root_path and not path.startswith(f"{self._root_path}/"):
            scope["path"] = self._root_path + path

        async def send_with_root(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [self._rooted(*header) for header in message["headers"]]
            await send(message)

        await self._app(scope, receive, send_with_root)

    def _rooted(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        return name, self._root_path.encode() + value if name == b"location" and value.startswith(b"/") else value


def path_below_root(scope: Scope) -> str:
    """The request's path without the root path."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
