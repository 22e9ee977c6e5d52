"""The one module of the command line that speaks HTTP."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from ktrdr.errors import ConflictError, InputError, KtrdrError, NotFoundError, ServerUnreachable, bounded_data
from ktrdr.payloads.references import LAST, OPERATION_ID

if TYPE_CHECKING:
    import httpx
    import typer
    from pydantic import BaseModel

    from ktrdr.api.schemas.data import Bars, DataLoad, Import, ProviderList, Removed, Resample, SeriesList
    from ktrdr.api.schemas.models import BacktestStart, Explanation, Export, Model, ModelList, Prediction, Unsealing
    from ktrdr.api.schemas.operations import MetricsPage, Operation, OperationList, OperationStarted, Prune, Pruned
    from ktrdr.api.schemas.runs import Annotate, AnnotatedRuns, RunSelection
    from ktrdr.api.schemas.strategies import Indicator, IndicatorList, StrategyVerdict
    from ktrdr.api.schemas.tables import TableImport, TableList, TableRows
    from ktrdr.api.schemas.training import Audit, SearchStart, TrainingStart
    from ktrdr.payloads.bundles import Unpacked, Verification
    from ktrdr.payloads.comparison import Comparison
    from ktrdr.payloads.data import QualityReport, Resampled
    from ktrdr.payloads.looks import LedgerAccountDetail, LedgerList
    from ktrdr.payloads.plugins import Plugins
    from ktrdr.payloads.results import Results
    from ktrdr.payloads.runs import Run, RunTable
    from ktrdr.payloads.selection import LookVerdict
    from ktrdr.payloads.tables import TableInfo

    Body = TypeVar("Body", bound=BaseModel)

# httpx imports a command line of its own, if it can, which takes longer than all the rest of it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 30.0
PRUNE_TIMEOUT_S = 3600.0
MOST_OPERATIONS = 1000
# Beyond the usual time: many millions of bars take a while to be checked.
CHECK_S = 90.0
REPEAT_AFTER_S = 0.5


def connect(ctx: typer.Context, *, patience_s: float = ANSWER_TIMEOUT_S) -> Client:
    """A client for the server that this command line means, which waits for so long for an answer."""
    from ktrdr.settings import read_settings

    settings = read_settings()
    url = ctx.find_root().params.get("api_url") or settings.api_url
    client = Client(url, token=settings.ktrdr_api_token.get_secret_value(), patience_s=patience_s)
    ctx.call_on_close(client.close)
    return client


class Client:
    """A ktrdr server as its clients see it; answers come back as wire types.

    Raises:
        ServerUnreachable: nothing answers, or something that is not a ktrdr server.
        NotFoundError, ConflictError, InputError: the server refused (404, 409, other 4xx).
        KtrdrError: the server failed (5xx).
    """

    def __init__(self, url: str, *, token: str = "", patience_s: float = ANSWER_TIMEOUT_S) -> None:
        self.url = _checked_url(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._patience_s = patience_s
        self._http: httpx.Client | None = None

    def close(self) -> None:
        if self._http:
            self._http.close()

    def operations(
        self,
        *,
        status: str | None = None,
        kind: str | None = None,
        parent: str | None = None,
        limit: int = 20,
        page_token: str | None = None,
    ) -> OperationList:
        from ktrdr.api.schemas.operations import OperationList

        query = {"status": status, "type": kind, "parent": parent, "limit": limit, "page_token": page_token}
        return self._get(OperationList, "operations", query=query)

    def operation(self, operation_id: str, wait_s: float = 0) -> Operation:
        from ktrdr.api.schemas.operations import Operation

        return self._get(Operation, "operations", operation_id, query={"wait": wait_s or None}, wait_s=wait_s)

    def parts(self, operation_id: str) -> list[Operation]:
        """All folds of a training, or all trials of a search, newest first."""
        pages = [self.operations(parent=operation_id, limit=MOST_OPERATIONS)]
        while pages[-1].next_page_token:
            pages.append(
                self.operations(parent=operation_id, limit=MOST_OPERATIONS, page_token=pages[-1].next_page_token)
            )
        return [operation for page in pages for operation in page.operations]

    def whole_id(self, reference: str, *, has_model: bool = False) -> str:
        """The id that an ending or `last` means."""
        if re.fullmatch(OPERATION_ID, reference):
            return reference
        if has_model and reference == LAST:
            return self.model(reference).operation_id
        return self.operation(reference).operation_id

    def metrics(self, operation_id: str, cursor: int = 0, limit: int | None = None) -> MetricsPage:
        from ktrdr.api.schemas.operations import MetricsPage

        query = {"cursor": cursor, "limit": limit}
        return self._get(MetricsPage, "operations", operation_id, "metrics", query=query)

    def results(self, operation_id: str) -> Results:
        from pydantic import ValidationError

        from ktrdr.payloads.reading import parse_results

        response = self._send("GET", _path("operations", operation_id, "results"))
        try:
            return parse_results(self._json_object(response))
        except ValidationError:
            raise self._stranger(response) from None

    def artifact(self, operation_id: str, name: str) -> bytes:
        return self._send("GET", _path("operations", operation_id, "artifacts", name)).content

    def cancel(self, operation_id: str) -> Operation:
        from ktrdr.api.schemas.operations import Operation

        return self._post(Operation, "operations", operation_id, "cancel")

    def resume(self, operation_id: str) -> OperationStarted:
        return self._start("operations", operation_id, "resume")

    def prune(self, request: Prune) -> Pruned:
        from ktrdr.api.schemas.operations import Pruned

        return self._post(Pruned, "operations", "prune", body=request, wait_s=PRUNE_TIMEOUT_S)

    def remove_operations(self, operation_ids: Sequence[str], *, dry_run: bool) -> Pruned:
        from ktrdr.api.schemas.operations import Pruned

        query = {"id": list(operation_ids), "dry_run": str(dry_run).lower()}
        return self._read(Pruned, self._send("DELETE", _path("operations"), params=query, wait_s=PRUNE_TIMEOUT_S))

    def start_training(self, request: TrainingStart) -> OperationStarted:
        return self._start("training", "start", content=_json(request))

    def preflight(self, request: TrainingStart) -> OperationStarted:
        return self._start("training", "preflight", content=_json(request))

    def series(self) -> SeriesList:
        from ktrdr.api.schemas.data import SeriesList

        return self._get(SeriesList, "data")

    def bars(self, symbol: str, timeframe: str, query: Mapping[str, Any]) -> Bars:
        from ktrdr.api.schemas.data import Bars

        return self._get(Bars, "data", symbol, timeframe, query=query)

    def providers(self, name: str = "") -> ProviderList:
        from ktrdr.api.schemas.data import ProviderList

        return self._get(ProviderList, "data", "providers", query={"name": name or None})

    def quality(self, symbol: str, timeframe: str) -> QualityReport:
        from ktrdr.payloads.data import QualityReport

        return self._get(QualityReport, "data", symbol, timeframe, "quality", wait_s=CHECK_S)

    def name_calendar(self, symbol: str, calendar: str | None) -> None:
        from ktrdr.api.schemas.data import NamedCalendar

        content = NamedCalendar(calendar=calendar).model_dump_json().encode()
        headers = {"content-type": "application/json"}
        self._send("PUT", _path("data", symbol, "calendar"), content=content, headers=headers)

    def quality_chart(self, symbol: str, timeframe: str) -> bytes:
        return self._send("GET", _path("data", symbol, timeframe, "quality.png"), wait_s=CHECK_S).content

    def resample(self, symbol: str, timeframe: str, request: Resample) -> Resampled:
        from ktrdr.payloads.data import Resampled

        return self._post(Resampled, "data", symbol, timeframe, "resample", body=request, wait_s=CHECK_S)

    def export_bars(self, symbol: str, timeframe: str, query: Mapping[str, Any]) -> Iterator[bytes]:
        """The file's content as it comes."""
        parameters = {name: str(value) for name, value in query.items() if value is not None}
        return self._stream(_path("data", symbol, timeframe, "export"), parameters)

    def _stream(self, path: str, query: Mapping[str, str] | None = None, wait_s: float = 0) -> Iterator[bytes]:
        import httpx

        http = self._http = self._http or self._open()
        timeout = httpx.Timeout(self._patience_s + wait_s, connect=min(self._patience_s, CONNECT_TIMEOUT_S))
        try:
            with http.stream("GET", f"{self.url}/api/v1{path}", params=query, timeout=timeout) as response:
                if response.is_error:
                    response.read()
                    raise self._refusal(response)
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise self._nobody(error) if isinstance(error, httpx.ConnectError) else self._silent(error) from None

    def load(self, request: DataLoad) -> OperationStarted:
        return self._start("data", "load", content=_json(request))

    def import_file(self, file: Path, symbol: str, timeframe: str, query: Import) -> OperationStarted:
        params = query.model_dump(mode="json", exclude_defaults=True)
        with file.open("rb") as stream:
            return self._start("data", symbol, timeframe, "import", content=stream, params=params)

    def tables(self) -> TableList:
        from ktrdr.api.schemas.tables import TableList

        return self._get(TableList, "tables")

    def table(self, name: str, limit: int) -> TableRows:
        from ktrdr.api.schemas.tables import TableRows

        return self._get(TableRows, "tables", name, query={"limit": limit})

    def import_table(self, file: Path, name: str, query: TableImport) -> TableInfo:
        from ktrdr.payloads.tables import TableInfo

        headers, params = {"content-type": "application/octet-stream"}, query.model_dump(exclude_unset=True)
        with file.open("rb") as content:
            path = _path("tables", name, "import")
            response = self._send("POST", path, content=content, params=params, headers=headers, wait_s=CHECK_S)
        return self._read(TableInfo, response)

    def remove_table(self, name: str) -> TableInfo:
        from ktrdr.payloads.tables import TableInfo

        return self._read(TableInfo, self._send("DELETE", _path("tables", name)))

    def remove_series(self, symbol: str, timeframe: str | None) -> Removed:
        from ktrdr.api.schemas.data import Removed

        path = _path("data", symbol, *([timeframe] if timeframe else []))
        return self._read(Removed, self._send("DELETE", path))

    def start_search(self, request: SearchStart) -> OperationStarted:
        return self._start("search", content=_json(request))

    def strategy(self, operation_id: str) -> str:
        """The YAML that an operation was given."""
        return self._send("GET", _path("operations", operation_id, "strategy")).text

    def strategy_schema(self) -> dict[str, Any]:
        return self._json_object(self._send("GET", _path("strategies", "schema"), params={"search": "true"}))

    def validate(self, strategy: str) -> StrategyVerdict:
        from ktrdr.api.schemas.strategies import StrategyText, StrategyVerdict

        return self._post(StrategyVerdict, "strategies", "validate", body=StrategyText(strategy=strategy))

    def audit(self, request: Audit) -> OperationStarted:
        return self._start("strategies", "audit", content=_json(request))

    def indicators(self) -> IndicatorList:
        from ktrdr.api.schemas.strategies import IndicatorList

        return self._get(IndicatorList, "indicators")

    def plugins(self) -> Plugins:
        from ktrdr.payloads.plugins import Plugins

        return self._get(Plugins, "plugins")

    def indicator(self, name: str) -> Indicator:
        from ktrdr.api.schemas.strategies import Indicator

        return self._get(Indicator, "indicators", name)

    def models(self, limit: int = 20) -> ModelList:
        from ktrdr.api.schemas.models import ModelList

        return self._get(ModelList, "models", query={"limit": limit})

    def model(self, operation_id: str) -> Model:
        from ktrdr.api.schemas.models import Model

        return self._get(Model, "models", operation_id)

    def ledger(self, limit: int = 20) -> LedgerList:
        from ktrdr.payloads.looks import LedgerList

        return self._get(LedgerList, "ledger", query={"limit": limit})

    def ledger_account(self, look_id: str) -> LedgerAccountDetail:
        from ktrdr.payloads.looks import LedgerAccountDetail

        return self._get(LedgerAccountDetail, "ledger", look_id)

    def ledger_verdict(self, look_id: str) -> LookVerdict:
        from ktrdr.payloads.selection import LookVerdict

        return self._get(LookVerdict, "ledger", look_id, "verdict", wait_s=CHECK_S)

    def compare(self, operation_ids: Sequence[str]) -> Comparison:
        from ktrdr.payloads.comparison import Comparison

        return self._get(Comparison, "models", "compare", query={"id": list(operation_ids)}, wait_s=CHECK_S)

    def runs(self, selection: RunSelection) -> RunTable:
        from ktrdr.payloads.runs import RunTable

        return self._get(RunTable, "runs", query=selection.model_dump(mode="json", exclude_defaults=True))

    def runs_csv(self, selection: RunSelection) -> str:
        query = {**selection.model_dump(mode="json", exclude_defaults=True), "format": "csv"}
        return self._send("GET", _path("runs"), params=query).text

    def run(self, operation_id: str) -> Run:
        from ktrdr.payloads.runs import Run

        return self._get(Run, "runs", operation_id)

    def annotate(self, request: Annotate) -> AnnotatedRuns:
        from ktrdr.api.schemas.runs import AnnotatedRuns

        return self._write("PATCH", AnnotatedRuns, "runs", body=request)

    def predict(self, operation_id: str, request: Prediction) -> OperationStarted:
        return self._start("models", operation_id, "predictions", content=_json(request))

    def export(self, operation_id: str, request: Export) -> OperationStarted:
        return self._start("models", operation_id, "exports", content=_json(request))

    def backtest(self, operation_id: str, request: BacktestStart) -> OperationStarted:
        return self._start("models", operation_id, "backtest", content=_json(request))

    def explain(self, operation_id: str, request: Explanation) -> OperationStarted:
        return self._start("models", operation_id, "explain", content=_json(request))

    def unseal(self, operation_id: str, request: Unsealing) -> OperationStarted:
        return self._start("models", operation_id, "unseal", content=_json(request))

    def bundle(self, operation_id: str) -> Iterator[bytes]:
        """A packed training as it comes."""
        return self._stream(_path("models", operation_id, "bundle"), wait_s=CHECK_S)

    def unpack(self, file: Path) -> Unpacked:
        from ktrdr.payloads.bundles import Unpacked

        headers = {"content-type": "application/octet-stream"}
        with file.open("rb") as content:
            response = self._send("POST", _path("models", "bundles"), content=content, headers=headers, wait_s=CHECK_S)
        return self._read(Unpacked, response)

    def verify(self, operation_id: str) -> Verification:
        from ktrdr.payloads.bundles import Verification

        return self._get(Verification, "models", operation_id, "verification", wait_s=CHECK_S)

    def reproduce(self, operation_id: str) -> OperationStarted:
        return self._start("models", operation_id, "reproduce")

    def _get(self, shape: type[Body], *path: str, query: Mapping[str, Any] | None = None, wait_s: float = 0) -> Body:
        named = {name: value for name, value in (query or {}).items() if value is not None}
        given = {name: value if isinstance(value, list) else str(value) for name, value in named.items()}
        return self._read(shape, self._send("GET", _path(*path), params=given, wait_s=wait_s))

    def _post(self, shape: type[Body], *path: str, body: BaseModel | None = None, wait_s: float = 0) -> Body:
        return self._write("POST", shape, *path, body=body, wait_s=wait_s)

    def _write(
        self, method: str, shape: type[Body], *path: str, body: BaseModel | None = None, wait_s: float = 0
    ) -> Body:
        content = _json(body) if body else None
        headers = {"content-type": "application/json"} if body else None
        return self._read(shape, self._send(method, _path(*path), content=content, headers=headers, wait_s=wait_s))

    def _start(
        self, *path: str, content: bytes | IO[bytes] = b"", params: Mapping[str, Any] | None = None
    ) -> OperationStarted:
        """Under a key of its own, by which a start that is sent again starts nothing more."""
        from ktrdr.api.schemas.operations import OperationStarted

        kind = "application/json" if isinstance(content, bytes) else "application/octet-stream"
        headers = {"content-type": kind, "idempotency-key": uuid.uuid4().hex}
        response = self._send("POST", _path(*path), content=content, headers=headers, params=params, repeats=1)
        return self._read(OperationStarted, response)

    def _send(self, method: str, path: str, *, wait_s: float = 0, repeats: int = 0, **arguments: Any) -> httpx.Response:
        import httpx

        http = self._http = self._http or self._open()
        try:
            response = http.request(
                method,
                f"{self.url}/api/v1{path}",
                timeout=httpx.Timeout(self._patience_s + wait_s, connect=min(self._patience_s, CONNECT_TIMEOUT_S)),
                **arguments,
            )
        except httpx.TransportError as error:
            if not repeats:
                raise self._nobody(error) if isinstance(error, httpx.ConnectError) else self._silent(error) from None
            time.sleep(REPEAT_AFTER_S)
            if not isinstance(content := arguments.get("content", b""), bytes):
                content.seek(0)
            return self._send(method, path, wait_s=wait_s, repeats=repeats - 1, **arguments)
        if response.is_error:
            raise self._refusal(response)
        return response

    def _open(self) -> httpx.Client:
        import httpx

        local = _is_loopback(urlsplit(self.url).hostname or "")
        # A proxy of the environment would not find this machine's own server; certificates are
        # loaded only where they will be checked, because that takes time.
        is_https = self.url.startswith("https:")
        return httpx.Client(trust_env=not local, verify=is_https, headers=self._headers)

    def _read(self, shape: type[Body], response: httpx.Response) -> Body:
        from pydantic import ValidationError

        try:
            return shape.model_validate_json(response.content)
        except ValidationError:
            raise self._stranger(response) from None

    def _json_object(self, response: httpx.Response) -> dict[str, Any]:
        with suppress(ValueError):
            body = response.json()
            if isinstance(body, dict):
                return body
        raise self._stranger(response)

    def _nobody(self, error: httpx.ConnectError) -> ServerUnreachable:
        if "CERTIFICATE" in str(error) or "SSL" in str(error):
            return ServerUnreachable(f"no safe connection to {self.url}: {error}", hint="check the address: --api-url")
        there = "" if _is_loopback(urlsplit(self.url).hostname or "") else " there, or check KTRDR_API_URL"
        return ServerUnreachable(
            f"no ktrdr server answers at {self.url}", hint=f"start one with: ktrdr serve{there}", url=self.url
        )

    def _silent(self, error: httpx.TransportError) -> ServerUnreachable:
        reason = str(error) or type(error).__name__
        return ServerUnreachable(
            f"the server at {self.url} broke off or did not answer in time ({reason})",
            hint="see its log, or try again: ktrdr operations list",
            url=self.url,
        )

    def _stranger(self, response: httpx.Response) -> ServerUnreachable:
        kind = response.headers.get("content-type", "no content type").partition(";")[0]
        return ServerUnreachable(
            f"something answers at {self.url}, but not a ktrdr server of this version "
            f"(HTTP {response.status_code}, {kind})",
            hint="check the address: --api-url or KTRDR_API_URL; ktrdr serve starts a server",
            url=self.url,
        )

    def _refusal(self, response: httpx.Response) -> KtrdrError:
        from pydantic import ValidationError

        from ktrdr.api.schemas.base import Problem

        try:
            problem = Problem.model_validate_json(response.content)
        except ValidationError:
            return self._stranger(response)
        refusal = _refusal_class(response.status_code)(problem.detail, hint=problem.hint)
        context = {**(problem.model_extra or {}), "status": response.status_code, "problem": problem.code}
        refusal.context = bounded_data(context)
        return refusal


def _json(body: BaseModel) -> bytes:
    return body.model_dump_json(exclude_none=True).encode()


def _refusal_class(status: int) -> type[KtrdrError]:
    if status >= 500:
        return KtrdrError
    return {404: NotFoundError, 409: ConflictError}.get(status, InputError)


def _checked_url(url: str) -> str:
    full = url.strip().rstrip("/")
    if "://" not in full:
        full = f"http://{full}"
    parts = urlsplit(full)
    wrong = parts.scheme not in ("http", "https") or not parts.hostname
    with suppress(ValueError):
        _ = parts.port
        if not wrong:
            return full
    raise InputError(
        f"{url!r} is not the address of a server",
        hint="write it as http://127.0.0.1:8000, in --api-url or KTRDR_API_URL",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _path(*parts: str) -> str:
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\\" in part:
            raise InputError(f"{part!r} cannot be a name", hint="symbols and ids hold no slashes and are never empty")
    return "".join(f"/{quote(part, safe='')}" for part in parts)
