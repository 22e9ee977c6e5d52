"""Schemathesis over the whole OpenAPI document: `python -m tests.api.survey --examples 300`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.known_requests import known_requests
from tests.api.live import API, Live, furnished

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# What answers at once, and asks no one outside this machine.
_QUICK = {"wait": 0.01}


@dataclass
class Survey:
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def survey(server: Live, *, examples: int, number: int = 0) -> Survey:
    """Each operation's known right request, then so many made-up ones, right and wrong."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    found = Survey()
    with requests.Session() as session:
        session.trust_env = False
        for operation in _removing_last(schema):
            for known in known_requests(server).get(operation.label, [{}]):
                _check(found, session, operation.Case(**known))
            _made_up(found, session, server, operation, examples, number)
    return found


def _removing_last(schema: Any) -> list[Any]:
    operations = [result.ok() for result in schema.get_all_operations()]
    return sorted(
        operations,
        key=lambda each: each.path.endswith("/prune") or each.label.startswith(f"DELETE {API}/operations"),
    )


def _made_up(
    found: Survey, session: requests.Session, server: Live, operation: Any, examples: int, number: int
) -> None:
    cases = st.one_of(*_strategies(server, operation))

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def ask(case: Any) -> None:
        if "wait" in (case.query or {}) and case.path_parameters.get("operation_id") in (server.training, server.load):
            case.query |= _QUICK
        _check(found, session, case)

    ask()


def _strategies(server: Live, operation: Any) -> Iterator[Any]:
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
            continue
        yield operation.as_strategy(generation_mode=mode)
        for known in known_requests(server).get(operation.label, []):
            if "path_parameters" in known:
                yield operation.as_strategy(generation_mode=mode, path_parameters=known["path_parameters"])


def _can_be_wrong(operation: Any) -> bool:
    return bool(operation.query or operation.headers or operation.body or operation.path_parameters)


def _check(found: Survey, session: requests.Session, case: Any) -> None:
    response = case.call(session=session, timeout=30)
    found.answers[case.operation.label, response.status_code] += 1
    # Whoever sends too much is refused before what he sends is read.
    excluded = [negative_data_rejection] if response.status_code == 413 else []
    try:
        case.validate_response(response, checks=CHECKS, excluded_checks=excluded)
    except FailureGroup as group:
        told = "; ".join(str(failure) for failure in group.exceptions)
        found.failures.append(
            f"{case.operation.label} → {response.status_code}: {told}\n{case.as_curl_command()[:2000]}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=300, help="made-up requests for each operation")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, furnished(Path(folder) / "home") as server:
        found = survey(server, examples=chosen.examples, number=chosen.seed)
        left, traces = server.end_all(within_s=120), [*server.stack_traces(), *server.crashes()]
    for (label, status), count in sorted(found.answers.items()):
        print(f"{count:6} × {status}  {label}")  # noqa: T201
    for line in dict.fromkeys([*found.failures, *traces]):
        print(f"\n{line}")  # noqa: T201
    print(  # noqa: T201
        f"{found.answers.total()} requests, {len(found.failures)} failures, {len(traces)} stack traces, "
        f"{len(left)} operations left unfinished"
    )
    return 1 if found.failures or traces or left else 0


if __name__ == "__main__":
    sys.exit(main())
