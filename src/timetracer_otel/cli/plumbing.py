"""What people seldom want to see of a request, a response or a call: how it travelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from timetracer_otel.seams import Integration

__all__ = ["without_plumbing"]

Json = dict[str, Any]

_HEADERS: Final = {
    *("accept-encoding", "connection", "content-length", "host", "http2-settings", "keep-alive", "proxy-connection"),
    *("te", "trailer", "transfer-encoding", "upgrade", "via"),
    *("traceparent", "tracestate", "baggage", "b3", "x-timetracer-lane"),
    *("date", "server"),
}
"""Headers of the connection, of the tracing and of the server's clock."""
_FACTS: Final = frozenset({"scheme", "http_version", "version"})


def without_plumbing(side: Json, integration: Integration | None = None) -> tuple[Json, int]:
    """Leave out what says how something travelled.

    Args:
        side: a request or a response, described.
        integration: that has decoded it; None of an entry.

    Returns:
        What is left, and how many fields and headers were left out.
    """
    transport = _FACTS if integration is None else integration.transport
    kept = {name: value for name, value in side.items() if name not in transport or value in (None, "")}
    hidden = len(side) - len(kept)
    for name, value in kept.items():
        if name in {"headers", "trailers"}:
            kept[name], count = _without_headers(value)
            hidden += count
    return kept, hidden


def _without_headers(headers: Any) -> tuple[Any, int]:
    """The same headers, pairs or by name, without some; what is of another form as it is."""
    if isinstance(headers, Mapping):
        left: Any = {name: value for name, value in headers.items() if str(name).lower() not in _HEADERS}
    elif isinstance(headers, list) and all(isinstance(pair, list) and pair for pair in headers):
        left = [pair for pair in headers if str(pair[0]).lower() not in _HEADERS]
    else:
        return headers, 0
    return left, len(headers) - len(left)
