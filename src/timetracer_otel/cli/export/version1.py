"""Lanes as cassettes of timetracer 1.x: one JSON document each."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

import pybase64

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.urls import split
from timetracer_otel.cli.export.exchanges import Exchange, of_call, of_entry
from timetracer_otel.cli.summary import error_text
from timetracer_otel.integrations import named

__all__ = ["document", "file_name"]

Json = dict[str, Any]

_VERSION: Final = "1.6.0"
"""Of timetracer, which reads these documents."""
_POLICIES: Final = {
    "redaction": {"mode": "default", "rules": []},
    "capture": {"max_body_kb": 0, "store_request_body": "always", "store_response_body": "always"},
    "sampling": {"rate": 1.0, "errors_only": False},
}


def file_name(lane: Lane) -> str:
    """Give the name that 1.x would find it by.

    Args:
        lane: with an entry of HTTP.
    """
    served = of_entry(lane)
    path = "_" if served is None else split(served.url).path.strip("/").replace("/", "_") or "root"
    return f"{'GET' if served is None else served.method}__{path[:80]}__{lane.id[:8]}.json"


def document(lane: Lane) -> Json | None:
    """Give the document; None of a lane that served no HTTP, which 1.x has no form for.

    Args:
        lane: as loaded. Of calls to databases 1.x keeps that there was one.

    Raises:
        CassetteError: a payload was cut.
    """
    served = of_entry(lane)
    if served is None:
        return None
    parts = split(served.url)
    request = {"method": served.method, "path": parts.path, "headers": dict(served.request_headers)}
    if route := served.span.text("http.route"):
        request["route_template"] = route
    if parts.query:
        request["query"] = _query(parts.query)
    response = {"status": served.status, "duration_ms": served.duration_ms, "headers": dict(served.response_headers)}
    made: Json = {
        "schema_version": "1.0",
        "session": _session(lane, served),
        "request": request | _body(served.request, served.request_headers),
        "response": response | _body(served.response, served.response_headers),
        "events": list(_events(lane, served.span.start)),
        "policies": _POLICIES,
    }
    counts = Counter(event["type"] for event in made["events"])
    made["stats"] = {"event_counts": counts, "total_events": counts.total(), "total_duration_ms": served.duration_ms}
    if (error := error_text(served.span)) is not None:
        name, _, message = error.partition(": ")
        made["error_info"] = {"type": name, "message": message}
    return made


def _session(lane: Lane, served: Exchange) -> Json:
    return {
        "id": str(uuid.UUID(lane.id)) if len(lane.id) == len(uuid.UUID(int=0).hex) else lane.id,
        "recorded_at": datetime.fromtimestamp(served.span.start / 1e9, UTC).isoformat(),
        "service": str(lane.resource.get("service.name", "")),
        "env": str(lane.resource.get("deployment.environment.name", "")),
        "framework": served.span.scope.name.rpartition(".")[2],
        "timetracer_version": _VERSION,
        "python_version": str(lane.resource.get("process.runtime.version", "")),
        "git_sha": None,
    }


def _query(text: str) -> Json:
    found = parse_qs(text, keep_blank_values=True)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _events(lane: Lane, start: int) -> Iterator[Json]:
    for number, call in enumerate(lane.calls, start=1):
        times = {"start_offset_ms": (call.start - start) / 1e6, "duration_ms": max(call.over - call.start, 0) / 1e6}
        asked = of_call(call)
        described = _database(call) if asked is None else _http(asked)
        yield {"eid": number, **times, **described}


def _http(asked: Exchange) -> Json:
    parts = split(asked.url)
    signature: Json = {
        "lib": _library(asked.span),
        "method": asked.method,
        "url": parts._replace(query="", fragment="").geturl(),
    }
    if parts.query:
        signature["query"] = _query(parts.query)
    if asked.request:
        signature["body_hash"] = _hash(asked.request)
    result: Json = {"status": asked.status, "headers": dict(asked.response_headers)}
    if (error := error_text(asked.span)) is not None and not asked.status:
        name, _, message = error.partition(": ")
        result = {"error": message or name, "error_type": name.rpartition(".")[2]}
    return {
        "type": "http.client",
        "signature": signature,
        "result": result | _body(asked.response, asked.response_headers),
    }


def _database(call: Span) -> Json:
    operation = call.text("db.operation.name") or call.name
    places = (call.text(name) for name in ("db.namespace", "db.name", "db.collection.name", "db.mongodb.collection"))
    signature = {
        "lib": _library(call),
        "method": operation.upper(),
        "url": ".".join(filter(None, places)) or call.name,
    }
    return {"type": "db.query", "signature": signature, "result": {"status": 0}}


def _library(call: Span) -> str:
    """The library by the name that 1.x has for it."""
    plugin = call.text(spans.PLUGIN)
    integration = named(plugin)
    if integration is not None and integration.version1:
        return integration.version1[0].name
    return plugin or call.text("db.system.name") or "unknown"


def _body(body: bytes | None, headers: Iterable[tuple[str, str]]) -> Json:
    if body is None:
        return {}
    described: Json = {"_captured": True, "size_bytes": len(body), "hash": _hash(body)}
    is_json = any(name.lower() == "content-type" and "json" in value for name, value in headers)
    try:
        text = body.decode()
        described |= {"encoding": "json", "data": json.loads(text)} if is_json else {"encoding": "utf-8", "data": text}
    except UnicodeDecodeError:
        described |= {"encoding": "base64", "data": pybase64.b64encode_as_string(body)}
    except (ValueError, RecursionError):
        described |= {"encoding": "utf-8", "data": body.decode()}
    return {"body": described}


def _hash(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()
