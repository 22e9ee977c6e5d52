"""The one place that reads settings, constructs everything and wires it together: `python -m ktrdr.bootstrap`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from ktrdr import __version__, logs
from ktrdr.errors import KtrdrError, StorageError
from ktrdr.settings import Settings

logger = logging.getLogger(__name__)

_TRAINING_JOB = "ktrdr.api.services.training.job"
_DATA_JOB = "ktrdr.api.services.data_job"
_DATA_LOADS_AT_ONCE = 2


def build_services(settings: Settings):  # type: ignore[no-untyped-def]
    """Everything behind the API; nothing runs before its `start` is awaited."""
    from ktrdr.api.schemas import Readiness
    from ktrdr.api.services.data_service import LANE as DATA_LANE
    from ktrdr.api.services.data_service import DataService
    from ktrdr.api.services.model_service import ModelService
    from ktrdr.api.services.services import Services
    from ktrdr.api.services.strategy_service import StrategyService
    from ktrdr.api.services.training.training_service import LANE as TRAINING_LANE
    from ktrdr.api.services.training.training_service import TrainingService
    from ktrdr.executors.dispatcher import Dispatcher
    from ktrdr.executors.executor import Lane
    from ktrdr.executors.local import LocalExecutor, is_alive
    from ktrdr.features.indicators import IndicatorCatalogue
    from ktrdr.market.store import BarStore
    from ktrdr.operations.health import HealthService
    from ktrdr.operations.service import OperationsService
    from ktrdr.registry.store import SqlOperationStore

    home = settings.ktrdr_home
    store = BarStore(home / "bars")
    registry = SqlOperationStore(settings.database_url)
    operations = OperationsService(registry, cache_ttl=settings.operations_cache_ttl)
    lanes = (
        Lane(
            TRAINING_LANE,
            f"{_TRAINING_JOB}:run",
            f"{_TRAINING_JOB}:warm_up",
            limit=settings.ktrdr_max_concurrent,
            standby=settings.ktrdr_standby_workers,
        ),
        Lane(DATA_LANE, f"{_DATA_JOB}:run", f"{_DATA_JOB}:warm_up", limit=_DATA_LOADS_AT_ONCE, standby=1),
    )
    executor = LocalExecutor(lanes, log_file=log_file(settings), log_level=settings.log_level)
    dispatcher = Dispatcher(operations, executor, home / "operations")
    catalogue = IndicatorCatalogue()
    health = HealthService(operations, is_alive=is_alive, settle=dispatcher.settle_lost, refill=executor.refill)

    async def readiness() -> Readiness:
        async def state_of(check: object) -> str:
            try:
                await check  # type: ignore[misc]
            except StorageError as error:
                return error.detail
            return "ok"

        registry_state = await state_of(operations.ping())
        store_state = await state_of(asyncio.to_thread(store.check_writable))
        is_ready = registry_state == store_state == "ok"
        return Readiness(
            status="ready" if is_ready else "unready",
            registry=registry_state,
            store=store_state,
            workers=executor.state(),
        )

    async def start() -> None:
        home.mkdir(parents=True, exist_ok=True)
        await registry.open()
        await dispatcher.start()
        health.start()
        # TA-Lib takes a second to import; the first strategy need not wait for it.
        asyncio.get_running_loop().run_in_executor(None, catalogue.names)

    async def close() -> None:
        await health.close()
        await dispatcher.close()
        await operations.close()

    return Services(
        operations=operations,
        dispatcher=dispatcher,
        training=TrainingService(operations, dispatcher, store, catalogue, bars=home / "bars", models=home / "models"),
        data=DataService(operations, dispatcher, store, uploads=home / "uploads", bars=home / "bars"),
        strategies=StrategyService(catalogue),
        models=ModelService(operations),
        readiness=readiness,
        start=start,
        close=close,
    )


def log_file(settings: Settings) -> Path:
    return settings.ktrdr_home / "logs" / "ktrdr.log"


def serve(settings: Settings) -> None:
    """Run the server until SIGTERM or SIGINT. Raises StorageError when home, log or port cannot be used."""
    import uvicorn

    from ktrdr.api.app import create_app

    logs.configure(log_file(settings), settings.log_level, rotates=True)
    app = create_app(build_services(settings), version=__version__)
    listener = _listen(settings.ktrdr_api_host, settings.ktrdr_api_port)
    host, port = listener.getsockname()[:2]
    logger.info("Serving on http://%s:%d, home %s", host, port, settings.ktrdr_home)
    config = uvicorn.Config(app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listener])


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
    parser = argparse.ArgumentParser(prog="ktrdr serve", description="Run the ktrdr server.")
    parser.add_argument("--host", help="address to listen on (KTRDR_API_HOST)")
    parser.add_argument("--port", type=int, help="port to listen on, 0 for a free one (KTRDR_API_PORT)")
    chosen = parser.parse_args(arguments)
    overrides = {f"ktrdr_api_{name}": value for name, value in vars(chosen).items() if value is not None}
    try:
        serve(Settings(**overrides))
    except KtrdrError as error:
        print(f"error: {error.detail}\nhint: {error.hint}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
