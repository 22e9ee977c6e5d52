"""GET /metrics, in Prometheus' text format, computed when somebody asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from ktrdr.api.middleware import RequestMetrics
from ktrdr.api.services.services import Services


class _Snapshot(Collector):
    def __init__(self, traffic: RequestMetrics, by_status: dict[str, int], lanes: dict[str, dict[str, int]]) -> None:
        self._traffic = traffic
        self._by_status = by_status
        self._lanes = lanes

    def collect(self) -> Iterator[Metric]:
        labels = ["method", "route", "status"]
        requests = CounterMetricFamily("ktrdr_http_requests", "Requests answered.", labels=labels)
        seconds = CounterMetricFamily("ktrdr_http_request_seconds", "Time spent answering.", labels=labels)
        for (method, route, status), number in self._traffic.requests.items():
            names = [method, route, str(status)]
            requests.add_metric(names, number)
            seconds.add_metric(names, self._traffic.seconds[method, route, status])
        operations = GaugeMetricFamily("ktrdr_operations", "Operations in the registry.", labels=["status"])
        for state, number in self._by_status.items():
            operations.add_metric([state], number)
        workers = GaugeMetricFamily("ktrdr_workers", "Worker processes and waiting jobs.", labels=["lane", "state"])
        for lane, states in self._lanes.items():
            for state, number in states.items():
                workers.add_metric([lane, state], number)
        yield from (requests, seconds, operations, workers)


async def metrics(request: Request) -> Response:
    services: Services = request.app.state.services
    registry = CollectorRegistry()
    readiness = await services.readiness()
    by_status = await services.operations.count_by_status()
    registry.register(_Snapshot(request.app.state.traffic, by_status, readiness.workers))
    return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})
