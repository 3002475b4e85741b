"""Cassettes sent to an OTLP endpoint, as they are: OTLP/HTTP with JSON, a message at a time."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from timetracer_otel.cassette.framing import read_messages
from timetracer_otel.cassette.reading import document_of, encoded
from timetracer_otel.cassette.urls import split
from timetracer_otel.errors import CassetteError, ConfigError

__all__ = ["send"]

_SECONDS: Final = 60.0
_PATH: Final = "/v1/traces"
_OK: Final = range(200, 300)


def send(files: Iterable[Path], endpoint: str, left_out: list[CassetteError] | None = None) -> int:
    """Send files; what was sent twice is for the receiver to tell, by its ids.

    Args:
        files: the cassettes.
        endpoint: such as ``http://127.0.0.1:4318``; without a path, that of OTLP/HTTP is added.
        left_out: gets the errors of files that cannot be read; what is whole of them is sent; None to stop there.

    Returns:
        How many messages were taken.

    Raises:
        CassetteError: a file cannot be read, or there is nothing in any.
        ConfigError: nothing listens there, or it refuses a message.
    """
    parts = split(endpoint)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        raise ConfigError(f"{endpoint} is no endpoint of OTLP/HTTP: give one such as http://127.0.0.1:4318")
    path = parts.path if parts.path.strip("/") else _PATH
    count = 0
    try:
        connection = _connection(parts.scheme, parts.hostname, parts.port)
        for body in _bodies(files, left_out):
            _post(connection, path, body, endpoint)
            count += 1
        connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ConfigError(f"{endpoint} cannot be reached ({error}): is a collector running there?") from error
    if not count:
        if left_out:
            raise left_out[0]
        raise CassetteError("nothing was sent: the cassettes are empty")
    return count


def _bodies(files: Iterable[Path], left_out: list[CassetteError] | None) -> Iterator[bytes]:
    for file in files:
        try:
            for message in read_messages(file):
                yield encoded(document_of(message, file))
        except CassetteError as error:
            if left_out is None:
                raise
            left_out.append(error.with_traceback(None))


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=_SECONDS)


def _post(connection: http.client.HTTPConnection, path: str, body: bytes, endpoint: str) -> None:
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    said = response.read()
    if response.status not in _OK:
        text = said[:200].decode("utf-8", "replace")
        raise ConfigError(
            f"{endpoint} refused {len(body):,} bytes: {response.status} {response.reason} {text}".rstrip()
        )
