"""Right requests for the routes that need more than their path."""

from __future__ import annotations

from typing import Any

from tests.api.live import API, CSV, LOAD, SEARCH, START, TABLE, Live


def known_requests(server: Live) -> dict[str, list[dict[str, Any]]]:
    """Of each route, by method and path, what a right request consists of; most are answered with content."""
    one, two = ({"operation_id": operation_id} for operation_id in (server.training, server.load))
    series = {"symbol": "AAPL", "timeframe": "1d"}
    artifacts = ("metrics_plot", "model_summary", "model_card", "metrics_table", "strategy")
    file = {"media_type": "application/octet-stream", "body": CSV, "query": {"filename": "acme.csv"}}
    by_path: dict[str, list[dict[str, Any]]] = {
        f"GET {API}/operations": [{"query": {"type": "TRAINING"}}],
        f"GET {API}/operations/{{operation_id}}": [{"path_parameters": path} for path in (one, two)],
        f"GET {API}/operations/{{operation_id}}/metrics": [{"path_parameters": path} for path in (one, two)],
        f"GET {API}/operations/{{operation_id}}/results": [{"path_parameters": path} for path in (one, two)],
        f"GET {API}/operations/{{operation_id}}/artifacts/{{name}}": [
            {"path_parameters": one | {"name": name}} for name in artifacts
        ],
        f"POST {API}/operations/{{operation_id}}/cancel": [{"path_parameters": one}],
        f"POST {API}/operations/{{operation_id}}/resume": [{"path_parameters": one}],
        f"POST {API}/training/start": [_json(START), _json(START | {"symbols": ["MSFT"]})],
        f"POST {API}/search": [_json(START | {"strategy": SEARCH}), _json(START)],
        f"POST {API}/data/load": [_json(LOAD), _json(LOAD | {"provider": "synthetic"})],
        f"GET {API}/data/{{symbol}}/{{timeframe}}": [{"path_parameters": series}],
        f"POST {API}/data/{{symbol}}/{{timeframe}}/import": [
            {"path_parameters": series | {"symbol": "ACME"}, **file},
            {"path_parameters": series, **file},
        ],
        f"GET {API}/tables/{{name}}": [{"path_parameters": {"name": "macro"}}],
        f"POST {API}/tables/{{name}}/import": [
            {
                "path_parameters": {"name": "macro"},
                "media_type": "application/octet-stream",
                "body": TABLE,
                "query": {"filename": "macro.csv", "known_at": known_at},
            }
            for known_at in ("release", "gone")
        ],
        f"DELETE {API}/tables/{{name}}": [{"path_parameters": {"name": "gone"}}],
        f"PUT {API}/data/{{symbol}}/calendar": [
            {"path_parameters": {"symbol": symbol}, **_json({"calendar": "XNYS"})} for symbol in ("AAPL", "GONE")
        ],
        f"DELETE {API}/data/{{symbol}}": [{"path_parameters": {"symbol": "GONE"}}],
        f"DELETE {API}/data/{{symbol}}/{{timeframe}}": [{"path_parameters": series | {"symbol": "GONE"}}],
        f"GET {API}/data/{{symbol}}/{{timeframe}}/quality": [{"path_parameters": series}],
        f"GET {API}/data/{{symbol}}/{{timeframe}}/quality.png": [{"path_parameters": series}],
        f"GET {API}/data/{{symbol}}/{{timeframe}}/export": [{"path_parameters": series}],
        f"POST {API}/data/{{symbol}}/{{timeframe}}/resample": [{"path_parameters": series, **_json({"to": "1w"})}],
        f"GET {API}/operations/{{operation_id}}/strategy": [{"path_parameters": path} for path in (one, two)],
        f"GET {API}/operations/{{operation_id}}/log": [{"path_parameters": path} for path in (one, two)],
        f"GET {API}/charts/curves": [{"query": {"operation": server.training}}],
        f"GET {API}/charts/{{symbol}}/{{timeframe}}": [
            {"path_parameters": series, "query": query} for query in ({}, {"training": server.training})
        ],
        f"POST {API}/strategies/validate": [_json({"strategy": START["strategy"]})],
        f"GET {API}/indicators/{{name}}": [{"path_parameters": {"name": "macd"}}],
        f"GET {API}/models/{{operation_id}}": [{"path_parameters": one}],
        f"GET {API}/ledger/{{look_id}}": [{"path_parameters": {"look_id": server.training}}],
        f"GET {API}/ledger/{{look_id}}/verdict": [{"path_parameters": {"look_id": server.training}}],
        f"POST {API}/models/{{operation_id}}/predictions": [
            {"path_parameters": path, **_json({"symbol": symbol, "timeframe": "1d", "last": 2})}
            for path, symbol in ((one, "AAPL"), (one, "MSFT"), (two, "AAPL"))
        ],
        f"POST {API}/models/{{operation_id}}/exports": [{"path_parameters": one, **_json({"format": "onnx"})}],
        f"POST {API}/models/{{operation_id}}/backtest": [
            {"path_parameters": path, **_json(body)}
            for path, body in (
                (one, {"allow_overlap": True}),
                (one, {"symbols": ["MSFT"], "set": {"positions.band": 0.1}}),
                (two, {"start_date": "2024-02-01", "end_date": "2024-01-01"}),
            )
        ],
        f"POST {API}/models/{{operation_id}}/explain": [
            {"path_parameters": path, **_json(body)}
            for path in (one, two)
            for body in ({"repeats": 1}, {"drop_one": True})
        ],
        f"POST {API}/models/{{operation_id}}/unseal": [
            {"path_parameters": path, **_json({"by": "Ada"})} for path in (one, two)
        ],
        f"GET {API}/models/{{operation_id}}/bundle": [{"path_parameters": path} for path in (one, two)],
        f"GET {API}/models/{{operation_id}}/verification": [{"path_parameters": path} for path in (one, two)],
        f"POST {API}/models/bundles": [
            {"media_type": "application/octet-stream", "body": body} for body in (server.bundle, b"no archive")
        ],
        f"POST {API}/models/{{operation_id}}/reproduce": [{"path_parameters": path} for path in (one, two)],
        f"POST {API}/training/preflight": [_json(START), _json(START | {"timeframes": []})],
        f"POST {API}/strategies/audit": [_json(START)],
        f"DELETE {API}/operations": [
            {"query": {"id": [server.training], "dry_run": True}},
            {"query": {"id": ["op_x"]}},
        ],
        f"DELETE {API}/operations/{{operation_id}}": [
            {"path_parameters": one, "query": {"dry_run": True}},
            {"path_parameters": {"operation_id": "op_x"}},
        ],
        f"GET {API}/runs": [
            {"query": query}
            for query in ({"where": "lead>-1", "sort": "-lead"}, {"format": "csv"}, {"sort": "nothing"}, {"q": "two"})
        ],
        f"GET {API}/runs/{{operation_id}}": [{"path_parameters": path} for path in (one, two)],
        f"PATCH {API}/runs": [
            _json({"operation_ids": [operation_id], "add": ["known"], "note": "as tried"})
            for operation_id in (server.training, server.load)
        ],
        f"POST {API}/operations/prune": [_json({"older_than_days": 0, "dry_run": True})],
    }
    return by_path


def _json(body: dict[str, Any]) -> dict[str, Any]:
    return {"media_type": "application/json", "body": body}
