"""The HTTP application: routes, errors and middleware put together over services that are handed in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Route

from ktrdr.api import problems, prometheus
from ktrdr.api.access import Access
from ktrdr.api.middleware import RequestContext, RequestMetrics
from ktrdr.api.openapi import KtrdrFastAPI
from ktrdr.api.root_path import UnderRootPath
from ktrdr.api.routes import (
    bundles,
    charts,
    data,
    health,
    indicators,
    ledger,
    meta,
    models,
    operations,
    plugins,
    records,
    runs,
    search,
    series,
    strategies,
    system,
    tables,
    training,
    web,
)
from ktrdr.api.routes.responses import refusals
from ktrdr.api.services.services import Services

PREFIX = "/api/v1"
_ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    operations.router,
    training.router,
    search.router,
    data.router,
    series.router,
    tables.router,
    strategies.router,
    indicators.router,
    plugins.router,
    models.router,
    bundles.router,
    ledger.router,
    records.router,
    runs.router,
    charts.router,
    system.router,
    meta.router,
)


def create_app(
    services: Services, *, version: str, token: str, allowed_hosts: Collection[str], root_path: str = ""
) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await services.close()

    app = KtrdrFastAPI(
        title="ktrdr",
        version=version,
        summary="Trainings on market bars as operations that anyone can watch.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=refusals(421, 500),
        generate_unique_id_function=_operation_name,
        # What it costs every request, even unused, is a fifth of the poll path; /metrics counts for less.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.asks_for_token = bool(token)
    app.state.services = services
    app.state.traffic = RequestMetrics()
    for router in _ROUTERS:
        app.include_router(router, prefix=PREFIX, responses={} if router is health.router else refusals(401))
    app.router.routes.extend((Route("/metrics", prometheus.metrics), *web.ROUTES))
    app.add_middleware(operations.CachedOperationMiddleware, prefix=root_path + PREFIX, operations=services.operations)
    app.add_middleware(Access, token=token, allowed_hosts=allowed_hosts)
    app.add_middleware(RequestContext, traffic=app.state.traffic, answer_stopped=problems.stopped)
    if root_path:
        app.add_middleware(UnderRootPath, root_path=root_path)
    problems.install(app)
    return app


def _operation_name(route: APIRoute) -> str:
    return route.name
