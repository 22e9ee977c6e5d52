"""Right documents made wrong, as JSON, as YAML and as bytes: `python -m tests.api.mutations --examples 10000`."""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.api.live import API, CSV, LOAD, START, STRATEGY, Live, furnished

_STRATEGY = (
    STRATEGY
    + """labels: {type: direction, horizon: 2, threshold: 0.001}
features: {returns: true, scaling: robust}
"""
)
_TEXTS = [
    "", " ", "\0", "\ud800", "../../x", "..\\x", "C:\\x", "CON", "nul", "%00", "%2e%2e%2f", "\u2024\u2024/x", "A" * 500,
    "&a [*a]", "!!python/object/apply:os.system [x]", "{{", "<<: *x", "- - -", "1e999", "0x", ".nan", "2024-02-30",
    "\u202e", "\U0001f600", "{step.__class__}", "$(x)", "'; DROP TABLE operations; --",
]  # fmt: skip
_NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, 1e-320]
_JUNK: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([None, True, False, [], {}, [[]], {"": ""}, *_TEXTS, *_NUMBERS]),
    st.text(max_size=20),
    st.integers(),
    st.floats(allow_nan=False),
    st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=8),
)


@dataclass
class Answers:
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def mutate(server: Live, *, examples: int, number: int = 0) -> Answers:
    """So many requests in all, the same for each of the four routes."""
    answers = Answers()
    for name, requests in _requests().items():
        _ask(server, answers, name, requests, examples // 4, number)
    return answers


Sent = tuple[str, dict[str, str], bytes, str]


def _requests() -> dict[str, st.SearchStrategy[Sent]]:
    """Path, query, body and content type of what is sent."""
    is_json, is_file = "application/json", "application/octet-stream"
    texts = _yaml_text(_STRATEGY)
    named = st.one_of(
        st.just("a.csv"), st.sampled_from([f"{text}.csv"[-250:] for text in _TEXTS]), st.sampled_from(_TEXTS)
    )
    return {
        "validate": texts.map(lambda text: ("/strategies/validate", {}, _json_bytes({"strategy": text}), is_json)),
        "start": st.one_of(
            texts.map(lambda text: _json_bytes(START | {"strategy": text})), _json_text(START)
        ).map(lambda body: ("/training/start", {}, body, is_json)),
        "load": _json_text(LOAD).map(lambda body: ("/data/load", {}, body, is_json)),
        "import": st.tuples(named, _bytes(CSV), st.booleans()).map(
            lambda sent: (
                "/data/ACME/1d/import", {"filename": sent[0], "replace": str(sent[2]).lower()}, sent[1], is_file
            )
        ),
    }  # fmt: skip


def _ask(
    server: Live, answers: Answers, name: str, requests: st.SearchStrategy[Sent], examples: int, number: int
) -> None:
    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests)
    def ask(sent: Sent) -> None:
        path, query, body, kind = sent
        query = {key: value.encode("utf-8", "replace").decode() for key, value in query.items()}
        answer = server.http.post(f"{API}{path}", params=query, content=body, headers={"content-type": kind})
        answers.statuses[name, answer.status_code] += 1
        if answer.status_code not in {200, 202, 409, 413, 422}:
            answers.failures.append(f"{path} {query} → {answer.status_code} {answer.text[:300]}\n{body[:300]!r}")

    ask()


def _json_text(document: dict[str, Any]) -> st.SearchStrategy[bytes]:
    return st.one_of(_tree(document).map(_offline).map(_json_bytes), _bytes(_json_bytes(document)))


def _offline(document: Any) -> Any:
    """Without a provider that would ask somebody beyond this machine."""
    if isinstance(document, dict) and document.get("provider") in (None, "auto", "yahoo") and "symbol" in document:
        return document | {"provider": "sample"}
    return document


def _json_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


@st.composite
def _tree(draw: st.DrawFn, document: Any) -> Any:
    """The document with some of its values, keys and items replaced, doubled or dropped."""
    root = {"": copy.deepcopy(document)}
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(list(_places(root))))
        change = draw(st.sampled_from(_CHANGES))
        change(draw, holder, key)
    return root.get("")


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _replace(draw: st.DrawFn, holder: Any, key: Any) -> None:
    holder[key] = draw(_JUNK)


def _drop(draw: st.DrawFn, holder: Any, key: Any) -> None:
    if key != "":
        del holder[key]


def _double(draw: st.DrawFn, holder: Any, key: Any) -> None:
    holder[key] = [holder[key], copy.deepcopy(holder[key])]


def _rename(draw: st.DrawFn, holder: Any, key: Any) -> None:
    if isinstance(holder, dict) and key != "":
        holder[draw(st.sampled_from(_TEXTS) | st.text(max_size=8))] = holder.pop(key)


_CHANGES: list[Callable[[st.DrawFn, Any, Any], None]] = [_replace, _replace, _drop, _double, _rename]


@st.composite
def _bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with some of its bytes cut, doubled or overwritten."""
    for _ in range(draw(st.integers(1, 4))):
        start, length = draw(st.integers(0, len(content))), draw(st.integers(0, 12))
        patch = draw(st.one_of(st.just(b""), st.binary(max_size=8), st.just(content[start : start + length] * 2)))
        content = content[:start] + patch + content[start + length :]
    return content


@st.composite
def _yaml_text(draw: st.DrawFn, text: str) -> str:
    """The text with some lines, words or characters exchanged."""
    for _ in range(draw(st.integers(1, 4))):
        separator = draw(st.sampled_from("\n :,"))
        pieces = text.split(separator)
        index = draw(st.integers(0, len(pieces) - 1))
        pieces[index] = draw(
            st.one_of(
                st.sampled_from(_TEXTS),
                st.sampled_from(pieces),
                st.sampled_from([str(number) for number in _NUMBERS]),
                st.text(max_size=10),
                st.just(pieces[index] + pieces[index]),
            )
        )
        text = separator.join(pieces)
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=10_000, help="requests in all")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, furnished(Path(folder) / "home") as server:
        answers = mutate(server, examples=chosen.examples, number=chosen.seed)
        left, traces = server.end_all(within_s=1800, loads_may_take_s=1500), server.stack_traces()
        crashes = server.crashes()
    for (name, status), count in sorted(answers.statuses.items()):
        print(f"{count:6} × {status}  {name}")  # noqa: T201
    for line in [*answers.failures, *traces, *crashes]:
        print(f"\n{line}")  # noqa: T201
    print(  # noqa: T201
        f"{answers.statuses.total()} requests, {len(answers.failures)} answers of another kind, "
        f"{len(traces)} stack traces, {len(crashes)} crashes, {len(left)} operations left unfinished"
    )
    return 1 if answers.failures or traces or crashes or left else 0


if __name__ == "__main__":
    sys.exit(main())
