"""A registry as version 0.1.0 made it, which stored no version."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Types:
    """The names of a database's types."""

    instant: str
    double: str
    position: str


SQLITE = Types("DATETIME", "DOUBLE", "INTEGER")
POSTGRES = Types("TIMESTAMP WITH TIME ZONE", "DOUBLE PRECISION", "BIGINT")


def tables(types: Types = SQLITE, *, has_keys: bool = True) -> list[str]:
    """The statements that 0.1.0 made its tables by; its first registries knew no idempotency keys."""
    key, unique = ("idempotency_key VARCHAR(128), ", ", UNIQUE (idempotency_key)") if has_keys else ("", "")
    return [
        "CREATE TABLE operations (operation_id VARCHAR(64) NOT NULL, operation_type VARCHAR(32) NOT NULL,"
        f" status VARCHAR(16) NOT NULL, created_at {types.instant} NOT NULL, updated_at {types.instant} NOT NULL,"
        f" started_at {types.instant}, completed_at {types.instant}, parent_id VARCHAR(64), {key}worker_pid INTEGER,"
        f" worker_started_at {types.double}, details JSON NOT NULL, results JSON, PRIMARY KEY (operation_id){unique})",
        "CREATE INDEX operations_by_status ON operations (status)",
        "CREATE INDEX operations_by_creation ON operations (created_at, operation_id)",
        f"CREATE TABLE metrics (operation_id VARCHAR(64) NOT NULL, position {types.position} NOT NULL,"
        " record JSON NOT NULL, PRIMARY KEY (operation_id, position),"
        " FOREIGN KEY(operation_id) REFERENCES operations (operation_id))",
        "CREATE TABLE ping (at INTEGER)",
    ]


def insert(operation_id: str, kind: str, status: str, payload: dict[str, Any], results: dict[str, Any]) -> str:
    """The statement that 0.1.0 stored such an operation by."""
    progress = {"percentage": 100.0, "message": "Epoch 2/2", "current_step": 2, "items_processed": 9}
    error = {"code": "provider_error", "detail": "no answer", "hint": ""} if status == "FAILED" else None
    metadata = {"strategy": "two", "model_type": "mlp", "symbols": ["AAPL"], "timeframes": ["1d"], "epochs": 2}
    details = {"metadata": metadata, "progress": progress, "error": error, "payload": payload}
    instants = ", ".join(f"'2026-11-24 07:28:{second:02}.123456'" for second in (19, 21, 20, 21))
    return (
        "INSERT INTO operations (operation_id, operation_type, status, created_at, updated_at, started_at,"
        " completed_at, worker_pid, worker_started_at, details, results)"
        f" VALUES ('{operation_id}', '{kind}', '{status}', {instants}, 4711, 1764144800.25,"
        f" {_literal(details)}, {_literal(results)})"
    )


def _literal(document: dict[str, Any]) -> str:
    return "'" + json.dumps(document).replace("'", "''") + "'"


def write(path: Path, *inserts: str, has_keys: bool = True) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(";".join((*tables(has_keys=has_keys), *inserts)))
