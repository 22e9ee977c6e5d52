"""Reads settings, constructs all objects and wires them together; no other module does."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import shutil
import signal
import socket
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from ktrdr import __version__, logs
from ktrdr.api.app import create_app
from ktrdr.api.connections import BoundedConnection, ConnectionLimits
from ktrdr.api.schemas.system import Readiness
from ktrdr.api.services.ablation_service import AblationService
from ktrdr.api.services.analysis_service import AnalysisService
from ktrdr.api.services.bundle_service import BundleService
from ktrdr.api.services.chart_service import ChartService
from ktrdr.api.services.comparison_service import ComparisonService
from ktrdr.api.services.data_service import DataService
from ktrdr.api.services.ledger_service import LedgerService
from ktrdr.api.services.log_service import LogService
from ktrdr.api.services.model_service import ModelService
from ktrdr.api.services.reference_service import ReferenceService
from ktrdr.api.services.result_service import ResultService
from ktrdr.api.services.retention_service import RetentionService
from ktrdr.api.services.run_service import RunService
from ktrdr.api.services.search_service import SearchService
from ktrdr.api.services.series_service import SeriesService
from ktrdr.api.services.services import Services
from ktrdr.api.services.strategy_service import StrategyService
from ktrdr.api.services.system_service import SystemService
from ktrdr.api.services.table_service import TableService
from ktrdr.api.services.training_service import TrainingService
from ktrdr.errors import InputError, KtrdrError, StorageError
from ktrdr.executors.dispatcher import Dispatcher
from ktrdr.executors.executor import Executor, Lane
from ktrdr.executors.fork import ForkedProcesses
from ktrdr.executors.identity import is_gone
from ktrdr.executors.local import LocalExecutor
from ktrdr.executors.processes import Processes
from ktrdr.executors.spawn import SpawnedProcesses
from ktrdr.features.indicators import IndicatorCatalogue
from ktrdr.findings import finish_repairs
from ktrdr.home import Home, HomeLock, close_to_others, keep_files_private
from ktrdr.jobs.kinds import ANALYSIS_LANE, DATA_LANE, TRAINING_LANE, KindsTable
from ktrdr.jobs.service import JobService
from ktrdr.jobs.warm_up import PRELOADED
from ktrdr.launch import Server
from ktrdr.ledger.store import Ledger
from ktrdr.market.providers import Sources
from ktrdr.market.store import BarStore
from ktrdr.market.tables.store import TableStore
from ktrdr.operations.health import HealthService
from ktrdr.operations.removal import Removal
from ktrdr.operations.service import OperationsService
from ktrdr.plugins.describing import DescribedPlugins
from ktrdr.registry.runs import SqlRunStore
from ktrdr.registry.store import SqlOperationStore, sqlite_url
from ktrdr.settings import Settings, read_settings
from ktrdr.terminal import write_error

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

# Loads mostly wait for their providers; a provider's rate limit holds across all loads.
_MAX_DATA_LOADS = 4
_MAX_ANALYSES = 2
# The most that macOS allows where it names no limit.
_OPEN_MAX = 10_240


@dataclass(frozen=True, slots=True)
class Runtime:
    """The objects that start and stop with the server, and report its state.

    home: the folder with all data
    lock: the lock on the home; None where the caller holds none
    registry: the store of records, results and metrics
    operations: the service over records and bridges
    removal: removes operations, and finishes what an earlier server began to
    store: the stored bars
    ledger: the looks of this home
    executor: runs jobs in worker processes
    dispatcher: connects operations and executor
    health: the periodic check
    runs: the trainings as rows, read in the background
    catalogue: all indicators
    """

    home: Home
    lock: HomeLock | None
    registry: SqlOperationStore
    operations: OperationsService
    removal: Removal
    store: BarStore
    ledger: Ledger
    executor: Executor
    dispatcher: Dispatcher
    health: HealthService
    runs: RunService
    catalogue: IndicatorCatalogue

    async def start(self) -> None:
        self.home.root.mkdir(parents=True, exist_ok=True)
        for leftover in (self.home.uploads, self.home.scratch):  # unfinished work of an earlier server
            shutil.rmtree(leftover, ignore_errors=True)
        await self.registry.open(self.home)
        await self.removal.finish()
        await self.dispatcher.start()
        self.health.start()
        self.runs.start()
        # TA-Lib and files of plugins take seconds to import; import them before the first strategy needs them.
        importing = asyncio.get_running_loop().run_in_executor(None, self.catalogue.prepare)
        importing.add_done_callback(_note_failed_import)

    async def close(self) -> None:
        logger.info("Stopping; running: %d", len(self.operations.running()))
        await self.health.close()
        await self.dispatcher.close()
        await self.runs.close()
        await self.operations.close()
        self.ledger.close()

    async def readiness(self) -> Readiness:
        registry = await _describe_state(self.operations.ping())
        store = await _describe_state(asyncio.to_thread(self._check_store))
        return Readiness(
            status="ready" if registry == store == "ok" else "unready",
            registry=registry,
            store=store,
            workers=self.executor.state(),
        )

    def _check_store(self) -> None:
        if self.lock:
            self.lock.check()
        self.store.check_writable()


def _note_failed_import(importing: asyncio.Future[None]) -> None:
    if not importing.cancelled() and (error := importing.exception()):
        logger.warning("TA-Lib cannot be imported yet: %s", error)


async def _describe_state(check: Awaitable[None]) -> str:
    try:
        await check
    except StorageError as error:
        return error.detail
    return "ok"


def build_services(
    settings: Settings,
    executor: Executor | None = None,
    lock: HomeLock | None = None,
    registry: SqlOperationStore | None = None,
) -> Services:
    """Construct everything behind the API; nothing runs before its `start` is awaited.

    Operations run in worker processes of this machine, or in `executor`, whose lanes are those of `build_lanes`.
    `lock` is the caller's lock on the home, which is watched; `registry` is one that the caller has opened.
    """
    home = Home(settings.ktrdr_home)
    store = BarStore(home.bars)
    catalogue = IndicatorCatalogue(DescribedPlugins(settings.plugin_files))
    registry = registry or _registry(settings)
    operations = OperationsService(
        registry, cache_ttl=settings.operations_cache_ttl, stall_timeout_s=settings.ktrdr_stall_timeout
    )
    lanes = build_lanes(settings)
    executor = executor or LocalExecutor(lanes, _processes(settings, lanes, home.log_file))
    dispatcher = Dispatcher(operations, executor, KindsTable(), home)
    jobs = JobService(operations, dispatcher, executor, home.scratch)
    health = HealthService(
        operations,
        is_gone=is_gone,
        settle=dispatcher.settle_lost,
        look_again=partial(_look_again, dispatcher, lock),
        refill=executor.refill,
        fail_stalled=dispatcher.fail_stalled if settings.ktrdr_stall_fails else None,
    )
    removal = Removal(operations, home)
    ledger = Ledger(home.ledger)
    runs = RunService(operations, SqlRunStore(registry))
    runtime = Runtime(
        home, lock, registry, operations, removal, store, ledger, executor, dispatcher, health, runs, catalogue
    )
    training = TrainingService(operations, jobs, dispatcher, store, catalogue, home)
    results = ResultService(operations, home=home.root)
    models = ModelService(operations, results, store, models=home.models)
    return Services(
        operations=operations,
        dispatcher=dispatcher,
        training=training,
        searches=SearchService(jobs, dispatcher, training, catalogue),
        data=DataService(jobs, store, uploads=home.uploads, sources=Sources.of(settings)),
        jobs=jobs,
        series=SeriesService(store),
        tables=TableService(TableStore(home.tables), uploads=home.uploads, max_rows=settings.ktrdr_import_max_rows),
        strategies=StrategyService(catalogue),
        models=models,
        bundles=BundleService(operations, home, ledger),
        comparisons=ComparisonService(operations, results, models=home.models),
        analysis=AnalysisService(jobs, training, models, store),
        ablations=AblationService(jobs, dispatcher, models),
        references=ReferenceService(operations),
        results=results,
        retention=RetentionService(operations, removal),
        runs=runs,
        charts=ChartService(operations, results, store),
        ledger=LedgerService(ledger),
        logs=LogService(home.log_file),
        system=SystemService(operations, runtime.readiness, home=home.root, parts=_parts(home)),
        readiness=runtime.readiness,
        start=runtime.start,
        close=runtime.close,
    )


async def _look_again(dispatcher: Dispatcher, lock: HomeLock | None) -> None:
    """Check that the home is still held, then look at what could not be read before. Raises KtrdrError."""
    if lock:
        lock.check()
    await dispatcher.look_again()


def _parts(home: Home) -> dict[str, Path]:
    logs = home.log_file.parent
    return {
        "bars": home.bars,
        "tables": home.tables,
        "models": home.models,
        "operations": home.operations,
        "registry": home.registry,
        "ledger": home.ledger,
        "logs": logs,
    }


def _processes(settings: Settings, lanes: Sequence[Lane], log_file: Path) -> Processes:
    spawned = SpawnedProcesses(lanes, log_file=log_file, log_level=settings.log_level)
    if settings.ktrdr_worker_start == "spawn" or not settings.ktrdr_standby_workers:
        return spawned
    return ForkedProcesses(lanes, spawned, log_file=log_file, log_level=settings.log_level)


def build_lanes(settings: Settings) -> tuple[Lane, ...]:
    def lane(name: str, limit: int, standby: int) -> Lane:
        return Lane(
            name,
            job="ktrdr.jobs.entry:run",
            warm_up=f"ktrdr.jobs.warm_up:{name}",
            preload=PRELOADED[name],
            limit=limit,
            standby=standby,
        )

    idle = settings.ktrdr_standby_workers
    return (
        lane(TRAINING_LANE, settings.ktrdr_max_concurrent, idle),
        lane(DATA_LANE, _MAX_DATA_LOADS, min(1, idle)),
        # Every idle worker holds torch in memory, so the first is for trainings.
        lane(ANALYSIS_LANE, _MAX_ANALYSES, min(1, max(0, idle - 1))),
    )


def serve(settings: Settings, *, is_insecure: bool = False) -> None:
    """Run the server until SIGTERM or SIGINT. Raises KtrdrError when home, log, registry or port cannot be used."""
    if not (_is_loopback(settings.ktrdr_api_host) or settings.ktrdr_api_token.get_secret_value() or is_insecure):
        raise InputError(
            f"{settings.ktrdr_api_host} can be reached from other machines, and no token protects this server",
            hint="set KTRDR_API_TOKEN, listen on 127.0.0.1, or say --insecure",
        )
    home = Home(settings.ktrdr_home)
    keep_files_private()
    _allow_many_files()
    with HomeLock(home) as lock:
        finish_repairs(home.root)
        logs.configure(home.log_file, settings.log_level, rotates=True)
        close_to_others(home)
        registry = _registry(settings)
        config = build_server(settings, build_services(settings, lock=lock, registry=registry))
        with (
            _listen(settings.ktrdr_api_host, settings.ktrdr_api_port) as listener,
            asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
        ):
            # Before uvicorn runs, which would print a failure as a stack trace.
            runner.run(registry.open(home))
            server = uvicorn.Server(config)
            _stop_at_signals(server)
            host, port = listener.getsockname()[:2]
            logger.info("Serving on http://%s:%d, home %s", host, port, home.root)
            runner.run(server.serve(sockets=[listener]))


def _stop_at_signals(server: uvicorn.Server) -> None:
    """Handle signals before uvicorn does, and after its shutdown, when it raises the signal again.

    A requested stop must neither be lost nor end as death by that signal.
    """

    def stop(*_: object) -> None:
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def build_server(settings: Settings, services: Services) -> uvicorn.Config:
    """The application as the settings want it, and how it is served."""
    app = create_app(
        services,
        version=__version__,
        token=settings.ktrdr_api_token.get_secret_value(),
        allowed_hosts=settings.ktrdr_allowed_hosts.split(","),
        root_path=settings.ktrdr_root_path,
    )
    limits = _connection_limits(settings)
    return uvicorn.Config(
        app,
        http=partial(BoundedConnection, limits=limits),  # type: ignore[arg-type]
        ws="none",
        backlog=limits.count,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.ktrdr_trusted_proxies),
        forwarded_allow_ips=settings.ktrdr_trusted_proxies,
        timeout_graceful_shutdown=5,
    )


def _registry(settings: Settings) -> SqlOperationStore:
    return SqlOperationStore(settings.ktrdr_database_url or sqlite_url(Home(settings.ktrdr_home).registry))


def _allow_many_files() -> None:
    """Raise the limit of open files, often 256 or 1024 by default, to what the system allows this process."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (hard, _OPEN_MAX):
        with suppress(ValueError, OSError):  # macOS refuses an infinite one
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            return
    logger.warning("The limit of open files stays at %d", soft)


def _connection_limits(settings: Settings) -> ConnectionLimits:
    """At most a quarter of the open files: as many may wait to be accepted, and half are for the work."""
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource else _OPEN_MAX
    if resource and open_files == resource.RLIM_INFINITY:
        open_files = _OPEN_MAX
    return ConnectionLimits(
        timeout_s=settings.ktrdr_request_timeout, count=min(settings.ktrdr_max_connections, open_files // 4)
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise StorageError(
            f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}",
            hint=f"choose another port, for example: ktrdr serve --port {port + 1}",
        ) from error
    return listener


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = Server.parse(arguments)
    overrides = {"ktrdr_api_host": chosen.host, "ktrdr_api_port": chosen.port}
    try:
        settings = read_settings(**{name: value for name, value in overrides.items() if value is not None})
        serve(settings, is_insecure=chosen.insecure)
    except KtrdrError as error:
        write_error(error)
        return 2
    return 0
