"""Sending one request to a running app, and reading its response as far as the recorded client did."""

from __future__ import annotations

import http.client
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from timetracer_otel.replay.comparing.responses import ComparedResponse, End
from timetracer_otel.replay.verifying.client import Sending, Stay, Target

__all__ = ["send"]

_PIECE: Final = 64 * 1024
_UNREAD_SECONDS: Final = 1.0
"""How long a server may take to answer a request whose body the recorded app left unread, before it gets zeros."""


class _Timed(socket.socket):
    """A connection of which everything must be over at some time."""

    until: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """As the socket's own, until then."""
        self.settimeout(self.left())
        return super().recv_into(*args, **kwargs)

    def left(self) -> float:
        """Seconds until then."""
        return max(self.until - time.monotonic(), 0.001)


def send(target: Target, request: Sending, timeout: float, reached: Callable[[Stay, float], None]) -> ComparedResponse:
    """Send a request over a connection of its own.

    Args:
        target: where to.
        request: what to send.
        timeout: seconds until the response must have ended.
        reached: waits, until a time of the monotonic clock at most, for the app to have come as far as it was when the
            recorded client left.

    Raises:
        TimeoutError: there was no response in that time.
        OSError: no connection, or none any more.
        http.client.HTTPException: what came back is no HTTP.
    """
    until = time.monotonic() + timeout
    with _connect(target, until) as connection:
        refused = _send_all(connection, request)
        stay = request.stay
        if stay is not None and (stay.uploading or not stay.has_head):
            if stay.uploading:
                with suppress(OSError):  # the app has closed the connection already
                    connection.shutdown(socket.SHUT_WR)
            reached(stay, until)
            return _early(connection, request) if stay.has_head else ComparedResponse(None, [], b"", "left")
        try:
            reply = _read(connection, request)
        except (OSError, http.client.HTTPException):
            if refused is not None:
                raise refused from None
            raise
        if stay is not None and reply.end == "left":
            reached(stay, until)
        return reply


def _connect(target: Target, until: float) -> _Timed:
    plain = socket.create_connection((target.host, target.port), timeout=max(until - time.monotonic(), 0.001))
    connection = _Timed(fileno=plain.detach())
    connection.until = until
    connection.settimeout(connection.left())
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _send_all(connection: _Timed, request: Sending) -> OSError | None:
    """Send; an app may answer and close before it has read everything, so its answer is looked for in any case."""
    try:
        connection.sendall(request.head + request.body)
        if request.is_cut and not (request.stay is not None and request.stay.uploading):
            _fill(connection, request)
    except (BrokenPipeError, ConnectionResetError) as error:
        return error
    return None


def _fill(connection: _Timed, request: Sending) -> None:
    """Send zeros for what the recorded app left unread, when nobody answers without it."""
    patience = _UNREAD_SECONDS
    for piece in request.filler():
        if select.select([connection], [], [], min(patience, connection.left()))[0]:
            return
        patience = 0.0
        connection.sendall(piece)


def _read(connection: _Timed, request: Sending) -> ComparedResponse:
    response = http.client.HTTPResponse(connection, method=request.method)
    response.begin()
    body, end = _read_body(response, request.stay.body if request.stay is not None else None)
    return ComparedResponse(response.status, response.getheaders(), body, end)


def _early(connection: _Timed, request: Sending) -> ComparedResponse:
    """Read what an app says to a client that has left during its upload, if it says anything."""
    try:
        return _read(connection, request)
    except (OSError, http.client.HTTPException):
        return ComparedResponse(None, [], b"", "left")


def _read_body(response: http.client.HTTPResponse, most: int | None) -> tuple[bytes, End]:
    """Read a body to its end, or as many bytes of it as the recorded app had sent when its client left."""
    pieces, size = list[bytes](), 0
    try:
        while most is None or size < most:
            piece = response.read1(_PIECE if most is None else min(most - size, _PIECE))
            if not piece:
                return b"".join(pieces), _end(response)
            pieces.append(piece)
            size += len(piece)
    except TimeoutError:
        return b"".join(pieces), "late"
    except (OSError, http.client.HTTPException):
        return b"".join(pieces), "broken"
    return b"".join(pieces), "left"


def _end(response: http.client.HTTPResponse) -> End:
    """How a body ended after whose last byte the connection gives nothing (RFC 9112, section 6.3)."""
    if response.chunked:
        return "whole"
    if response.length is None:
        return "unknown"
    return "broken" if response.length else "whole"
