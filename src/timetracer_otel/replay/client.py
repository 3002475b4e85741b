"""Sending one request exactly as it was recorded, and reading its response."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.responses import Headers, Reply

__all__ = ["Sending", "Target", "given_header", "masked_headers", "parse_url", "recorded_request", "send"]

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "content-length",
        "transfer-encoding",
    }
)
"""Of one connection (RFC 9110, section 7.6.1), or made anew with the body."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the app listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Sending:
    """A request to send.

    Attributes:
        method: of HTTP.
        head: request line and headers, as they go out.
        body: likewise, with its transfer coding.
    """

    method: str
    head: bytes
    body: bytes


def parse_url(url: str) -> Target:
    """Read ``--url``.

    Raises:
        ConfigError: it is no ``http://host:port``.
    """
    parts = urlsplit(url if "//" in url else f"http://{url}")
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise ConfigError(f"--url {url}: give http://HOST:PORT, where the command listens")
    return Target(parts.hostname, port)


def given_header(text: str) -> tuple[str, str]:
    """Read ``--header``.

    Raises:
        ConfigError: it is no ``Name: value``.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(character in text for character in "\r\n"):
        raise ConfigError(f"--header {text!r}: give 'Name: value'")
    return name.strip(), value.strip()


def recorded_request(entry: Span, lane_id: str, given: Sequence[tuple[str, str]]) -> Sending:
    """Make the request of an entry again: method, target and headers as received, but for those of the connection.

    Args:
        entry: the recorded one.
        lane_id: the lane that is to be followed.
        given: headers that take the place of the recorded ones of their names; others whose value was masked while
            recording are sent as far as they are known.

    Raises:
        CassetteError: the recorded body was cut or damaged.
    """
    recorded = spans.decode_headers(entry.attributes, spans.HTTP_REQUEST_HEADERS)
    replaced = {name.lower() for name, _ in given}
    headers = [pair for pair in recorded if pair[0].lower() not in replaced | _HOP_BY_HOP]
    if not any(name.lower() == "host" for name, _ in [*headers, *given]):
        headers.insert(0, ("Host", "localhost"))
    body = entry.payload(spans.HTTP_REQUEST_BODY) or b""
    names = {name.lower() for name, _ in recorded}
    if "transfer-encoding" in names:
        headers.append(("Transfer-Encoding", "chunked"))
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    elif "content-length" in names or body:
        headers.append(("Content-Length", str(len(body))))
    headers += [*given, (spans.LANE_HEADER, lane_id), ("Connection", "close")]
    method = entry.text(spans.HTTP_METHOD) or "GET"
    lines = [
        f"{method} {entry.text(spans.HTTP_TARGET) or '/'} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return Sending(method, "\r\n".join([*lines, "", ""]).encode("latin-1", "replace"), body)


def masked_headers(headers: Headers) -> list[str]:
    """The names of the headers whose values the recording masked."""
    return [name for name, value in headers if redaction.MASK[:-1] in value]


def send(target: Target, request: Sending, timeout: float) -> Reply:
    """Send a request over a connection of its own.

    Args:
        target: where to.
        request: what to send.
        timeout: seconds that the app may be silent.

    Raises:
        OSError: no connection, or none any more.
        http.client.HTTPException: what came back is no HTTP.
    """
    with socket.create_connection((target.host, target.port), timeout=timeout) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        refused = _send_all(connection, request)
        response = http.client.HTTPResponse(connection, method=request.method)
        try:
            response.begin()
            body = response.read()
        except (OSError, http.client.HTTPException):
            if refused is not None:
                raise refused from None
            raise
        return Reply(response.status, response.getheaders(), body)


def _send_all(connection: socket.socket, request: Sending) -> OSError | None:
    """Send; an app may answer and close before it has read everything, so its answer is looked for in any case."""
    try:
        connection.sendall(request.head + request.body)
    except (BrokenPipeError, ConnectionResetError) as error:
        return error
    return None
