"""aiomysql: recorded by the bytes of its streams, replayed by the same driver on streams that reach nowhere."""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.mysql import connecting, family, python_drivers
from timetracer_otel.families.mysql.python_drivers import WATCHED, NoSocket
from timetracer_otel.families.mysql.server import Server
from timetracer_otel.families.mysql.watching import Watched
from timetracer_otel.families.nowhere import transports
from timetracer_otel.families.nowhere.transports import Transport
from timetracer_otel.seams import Patch

__all__ = ["INTEGRATION"]

NAME: Final = "aiomysql"
_CONNECTS: Final = "_timetracer_connects"
_connecting: ContextVar[Server | None] = ContextVar("timetracer_aiomysql_connecting", default=None)
"""The server that the connection which is being made is to reach."""


# Connecting.


async def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around all that is done to connect: in a replay to streams that reach nowhere."""
    instance.__dict__.pop(WATCHED, None)
    responder = seams.responder(NAME)
    server = None
    instance.__dict__[_CONNECTS] = True
    try:
        with connecting.attempt(NAME):
            if responder is not None:
                server = python_drivers.server_for(NAME, responder, instance)
            token = _connecting.set(server)
            try:
                await wrapped(*args, **kwargs)
            finally:
                _connecting.reset(token)
    finally:
        instance.__dict__.pop(_CONNECTS, None)
    if server is not None:
        server.connected()
    else:
        _watch(instance)


async def _open(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the opening of a connection's streams."""
    sock = kwargs.get("sock")
    server = sock.server if isinstance(sock, NoSocket) else _connecting.get()
    if server is None:
        return await wrapped(*args, **kwargs)
    reader, writer = transports.streams(server, extra={"socket": NoSocket(server)})
    _tell_end(reader)
    return reader, writer


def _tell_end(reader: Any) -> None:
    """Let a reader say whether it is at its end, as the driver's own does for its pool."""
    feed_eof = reader.feed_eof

    def ended() -> None:
        reader.eof_received = True
        feed_eof()

    reader.eof_received, reader.feed_eof = False, ended


# What passes.


def _watch(connection: Any) -> None:
    watched = python_drivers.watch(NAME, connection, partial(_attach, connection._reader))  # noqa: SLF001 - the driver's own
    if watched is not None:
        connection.__dict__[WATCHED] = watched


def _attach(reader: Any, watched: Watched) -> None:
    reader.feed_data = partial(_fed, reader.feed_data, watched)
    reader.feed_eof = partial(_ended, reader.feed_eof, watched)
    reader.set_exception = partial(_broken, reader.set_exception, watched)


def _fed(feed: Any, watched: Watched, data: Any) -> None:
    watched.arrived(bytes(data))
    feed(data)


def _ended(feed_eof: Any, watched: Watched) -> None:
    watched.arrived(b"")
    feed_eof()


def _broken(set_exception: Any, watched: Watched, error: Any) -> None:
    watched.broke(error)
    set_exception(error)


def _write_bytes(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what is sent."""
    if _CONNECTS in instance.__dict__:
        return wrapped(*args, **kwargs)
    responder, replayed = seams.responder(NAME), _is_replayed(instance)
    if responder is not None and not replayed:
        responder.refuse("a connection was opened before the replay began: open it in the replay")
    if not replayed and WATCHED not in instance.__dict__ and args[0][python_drivers.NUMBER] == 0:
        _watch(instance)  # it was opened before recording began
    watched = instance.__dict__.get(WATCHED)
    if watched is not None:
        watched.wrote(bytes(args[0]))
    return wrapped(*args, **kwargs)


def _is_replayed(connection: Any) -> bool:
    return isinstance(connection._writer.transport, Transport)  # noqa: SLF001 - the driver's own


_CONNECTION: Final = "aiomysql.connection"

INTEGRATION = family.declared(
    NAME,
    (
        Patch(_CONNECTION, "Connection._connect", _connect),
        Patch(_CONNECTION, "Connection._write_bytes", _write_bytes),
        Patch(_CONNECTION, "Connection.close", python_drivers.close),
        Patch(_CONNECTION, "Connection._close_on_cancel", python_drivers.close_on_cancel),
        Patch(_CONNECTION, "_open_connection", _open),
        Patch(_CONNECTION, "_open_unix_connection", _open),
    ),
    packages={NAME: NAME},
    oldest=(NAME, (0, 1)),
    plumbing=("aiomysql.", "pymysql."),
)
