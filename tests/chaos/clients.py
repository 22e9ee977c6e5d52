"""The clients of a server that keeps dying: some watch, one starts trainings, and all of them carry on after it."""

from __future__ import annotations

import random
import threading
import uuid
from typing import Any

import httpx

from tests.chaos.ledger import UNTRUE, Ledger
from tests.chaos.reference import FOLDS, LOAD, request
from tests.e2e.system import TERMINAL, System

_BREATH_S = 0.05
_BETWEEN_OTHERS_S = 4.0


class Client(threading.Thread):
    """Does one thing again and again, and waits while nothing is served."""

    def __init__(self, system: System, ledger: Ledger, serving: threading.Event, seed: int) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self.ledger = ledger
        self.random = random.Random(seed)
        self.problem: BaseException | None = None
        self._system = system
        self._serving = serving
        self._leaving = threading.Event()

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=60.0) as self.http:
            while not self._leaving.wait(_BREATH_S):
                if not self._serving.wait(_BREATH_S):
                    continue
                try:
                    self.act()
                except httpx.TransportError:
                    self._leaving.wait(_BREATH_S)
                except Exception as problem:  # noqa: BLE001 (told to whoever waits for this thread)
                    self.problem = problem
                    return

    def leave(self) -> None:
        self._leaving.set()
        self.join()
        if self.problem:
            raise self.problem

    def act(self) -> None:
        raise NotImplementedError

    def url(self, path: str) -> str:
        return f"{self._system.url}/api/v1{path}"

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Raises TransportError for an answer that says to try again."""
        response = self.http.get(self.url(path), params=query)
        if response.status_code == 503:
            raise httpx.TransportError(response.text)
        return response

    def found(self, path: str, **query: Any) -> dict[str, Any]:
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        content: dict[str, Any] = response.json()
        return content


class Watcher(Client):
    """Follows every operation with a cursor of its own, and now and then looks back."""

    def __init__(self, system: System, ledger: Ledger, serving: threading.Event, seed: int) -> None:
        super().__init__(system, ledger, serving, seed)
        self._cursors: dict[str, int] = {}

    def act(self) -> None:
        ended = self.ledger.ended()
        for operation_id in self.ledger.unfinished() + ended[-1:] + self.random.sample(ended, min(1, len(ended))):
            self._look_at(operation_id)

    def _look_at(self, operation_id: str) -> None:
        self._follow(operation_id)
        before = self.ledger.views[operation_id]
        is_forced = self.random.random() < 0.5
        self.ledger.hear_view(self.found(f"/operations/{operation_id}", force_refresh=is_forced), before)

    def _follow(self, operation_id: str) -> None:
        known = self._cursors.get(operation_id, 0)
        cursor = known if self.random.random() < 0.7 else self.random.randint(0, known)
        response = self.get(f"/operations/{operation_id}/metrics", cursor=cursor)
        if response.status_code == 422:
            self.ledger.hear_refused_cursor(operation_id, cursor, response.text)
            return
        assert response.status_code == 200, response.text
        page = response.json()
        self.ledger.hear_metrics(operation_id, cursor, page)
        self._cursors[operation_id] = max(known, page["new_cursor"])


class Starter(Client):
    """Keeps a few trainings waiting: new ones, and some that go on from what failed or was cancelled.

    A request that got no answer is repeated with its key, so that it starts one operation and never two.
    """

    def __init__(self, system: System, ledger: Ledger, serving: threading.Event, seed: int, queue: int) -> None:
        super().__init__(system, ledger, serving, seed)
        self.started: dict[str, str] = {}
        self.resumed: set[str] = set()
        self.repeated = 0
        self.paused = threading.Lock()
        """Held by whoever wants no operation to be created meanwhile."""
        self._queue = queue
        self._pending: tuple[str, str, Any] | None = None
        self._tried: set[str] = set()

    def act(self) -> None:
        with self.paused:
            self._start_one()

    def _start_one(self) -> None:
        if self._pending is None:
            if len(self.ledger.unfinished()) >= self._queue:
                return
            self._pending = (str(uuid.UUID(int=self.random.getrandbits(128))), *self._choose())
        else:
            self.repeated += 1
        key, path, body = self._pending
        response = self.http.post(self.url(path), json=body, headers={"Idempotency-Key": key})
        if response.status_code == 503:
            return  # Try again, as it says.
        self._pending = None
        if response.status_code == 409 and path.endswith("/resume"):
            if not any(reason in response.text for reason in ("before its first checkpoint", "has been resumed by")):
                self.ledger.blame(UNTRUE, path, f"it cannot be resumed: {response.text}")
            return
        assert response.status_code == 202, f"{response.status_code} {response.headers} {response.text}"
        operation_id = response.json()["operation_id"]
        self.started[key] = operation_id
        if path.endswith("/resume"):
            self.resumed.add(operation_id)
        self.ledger.hear_view(self.found(f"/operations/{operation_id}"))

    def leave(self) -> None:
        """Start no more, but come to the end of a request that got no answer yet."""
        self._queue = 0
        while self._pending is not None and self.is_alive():
            self.join(_BREATH_S)
        super().leave()

    def _choose(self) -> tuple[str, Any]:
        early = [*self.ledger.ended("FAILED"), *self.ledger.ended("CANCELLED")]
        left = [key for key in early if key not in self._tried]
        if left and self.random.random() < 0.7:
            chosen = self.random.choice(left)
            self._tried.add(chosen)
            return f"/operations/{chosen}/resume", None
        return "/training/start", request(self.random.choice(list(self.ledger.references.values())).strategy)


class OthersStarter(Client):
    """Keeps one training in folds and one load going, which compete with the trainings for disk and workers."""

    def __init__(
        self, system: System, ledger: Ledger, serving: threading.Event, seed: int, paused: threading.Lock
    ) -> None:
        super().__init__(system, ledger, serving, seed)
        self.started: dict[str, str] = {}
        """What they are, "folds" or "load", by operation."""
        self._paused = paused
        self._pending: dict[str, str] = {}
        self._latest: dict[str, str] = {}

    def act(self) -> None:
        for kind, path, body in (("folds", "/training/start", FOLDS), ("load", "/data/load", LOAD)):
            with self._paused:
                if self._is_free(kind):
                    self._start(kind, path, body)
        self._leaving.wait(_BETWEEN_OTHERS_S)

    def _is_free(self, kind: str) -> bool:
        latest = self._latest.get(kind)
        return latest is None or self.found(f"/operations/{latest}")["status"] in TERMINAL

    def _start(self, kind: str, path: str, body: Any) -> None:
        key = self._pending.setdefault(kind, str(uuid.UUID(int=self.random.getrandbits(128))))
        response = self.http.post(self.url(path), json=body, headers={"Idempotency-Key": key})
        if response.status_code == 503:
            return
        del self._pending[kind]
        if response.status_code == 409:
            return  # the series is being loaded
        assert response.status_code == 202, f"{response.status_code} {response.headers} {response.text}"
        self._latest[kind] = response.json()["operation_id"]
        self.started[self._latest[kind]] = kind
