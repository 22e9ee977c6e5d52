"""What the OpenAPI document says beyond what the routes declare: examples, who may call, headers, media types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from ktrdr.api.access import OPEN_PATH
from ktrdr.api.examples import EXAMPLES

_TEXT = {"type": "string"}
_REQUEST_ID = {"description": "The id by which the log names this request.", "schema": _TEXT}
_LOCATION = {"description": "The operation's path.", "required": True, "schema": _TEXT}
_CHALLENGE = {"description": "Bearer", "required": True, "schema": _TEXT}
_TOKEN = {"type": "http", "scheme": "bearer", "description": "The server's KTRDR_API_TOKEN."}


class KtrdrFastAPI(FastAPI):
    asks_for_token = False

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            for schema, example in EXAMPLES.items():
                document["components"]["schemas"][schema.__name__]["examples"] = [example]
            for path, operation in _operations(document):
                _complete(operation["responses"])
                if self.asks_for_token and path != OPEN_PATH:
                    operation["security"] = [{"token": []}]
            if self.asks_for_token:
                document["components"]["securitySchemes"] = {"token": _TOKEN}
            self.openapi_schema = document
        return self.openapi_schema


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            yield path, operation


def _complete(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        headers: dict[str, Any] = {"x-request-id": _REQUEST_ID}
        if status == "202":
            headers["location"] = _LOCATION
        if status == "401":
            headers["www-authenticate"] = _CHALLENGE
        response["headers"] = headers
        content = response.get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if schema.get("$ref", "").endswith("/Problem"):
            content["application/problem+json"] = content.pop("application/json")
