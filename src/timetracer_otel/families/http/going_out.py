"""One request that goes out in a replay of which the others are answered (``--on-miss live``), whatever the client.

It is sent by the standard library over a connection of its own: what the client has of proxies, certificates and
connections is not used.
"""

from __future__ import annotations

import http.client
from typing import Final
from urllib.parse import urlsplit

from timetracer_otel import seams
from timetracer_otel.families.http.messages import Reply, Sent
from timetracer_otel.families.http.recording import within

__all__ = ["exchange"]

_SECONDS: Final = 60.0
_MADE_ANEW: Final = frozenset({"connection", "content-length", "expect", "host", "keep-alive", "transfer-encoding"})
"""Headers of the connection, or made with the body."""


def exchange(request: Sent) -> Reply:
    """Send a request, and give its response when it has come to its end.

    Args:
        request: all of it.

    Raises:
        OSError: the peer cannot be reached.
        http.client.HTTPException: it answers no HTTP.
    """
    token = seams.live_io.set(True)
    try:
        with within():
            return _exchange(request)
    finally:
        seams.live_io.reset(token)


def _exchange(request: Sent) -> Reply:
    parts = urlsplit(request.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.putrequest(request.method, target, skip_accept_encoding=True)
        for name, value in request.headers:
            if name.lower() not in _MADE_ANEW:
                connection.putheader(name, value.encode("latin-1", "replace"))
        if request.body or request.method in {"POST", "PUT", "PATCH"}:
            connection.putheader("Content-Length", str(len(request.body)))
        connection.putheader("Connection", "close")
        connection.endheaders(request.body or None)
        return _reply(connection.getresponse())
    finally:
        connection.close()


def _reply(response: http.client.HTTPResponse) -> Reply:
    body = response.read()
    headers = [(name, value.strip()) for name, value in response.getheaders() if name.lower() != "connection"]
    version = "1.0" if response.version == 10 else "1.1"  # noqa: PLR2004 - as http.client says it
    return Reply(response.status, response.reason, version, headers, body, [len(body)])
