"""PyMySQL: recorded by the bytes of its connections, replayed by the same driver on a socket that reaches nowhere."""

from __future__ import annotations

import io
import socket
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.mysql import connecting, family, python_drivers
from timetracer_otel.families.mysql.python_drivers import WATCHED
from timetracer_otel.families.mysql.server import Server
from timetracer_otel.families.mysql.watching import Watched
from timetracer_otel.families.nowhere import tls
from timetracer_otel.families.nowhere.sockets import Socket
from timetracer_otel.seams import Instrumentor, Patch, Responder

__all__ = ["INTEGRATION"]

NAME: Final = "pymysql"
_CONNECTS: Final = "_timetracer_connects"


class _Raw(io.RawIOBase):
    """What a driver reads from, below its buffer: lets what arrives be seen.

    Args:
        real: the socket's file.
        watched: is told.
    """

    def __init__(self, real: Any, watched: Watched) -> None:
        super().__init__()
        self._real = real
        self._watched = watched

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        try:
            size: int | None = self._real.readinto(buffer)
        except BaseException as error:
            self._watched.broke(error)
            raise
        if size is not None:
            self._watched.arrived(bytes(memoryview(buffer)[:size]))
        return size

    def fileno(self) -> int:
        number: int = self._real.fileno()
        return number

    def close(self) -> None:
        if not self.closed:
            self._watched.left()
            self._real.close()
        super().close()


def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around all that is done to connect: in a replay to a socket that reaches nowhere."""
    instance.__dict__.pop(WATCHED, None)
    instance.__dict__[_CONNECTS] = True
    try:
        with connecting.attempt(NAME):
            responder = seams.responder(NAME)
            if responder is not None:
                _connect_nowhere(wrapped, instance, responder)
            else:
                wrapped(*args, **kwargs)
    finally:
        instance.__dict__.pop(_CONNECTS, None)
    if responder is None:
        _watch(instance)


def _connect_nowhere(wrapped: Any, connection: Any, responder: Responder) -> None:
    host, port = python_drivers.address(connection)
    server = python_drivers.server_for(NAME, responder, connection)
    sock = Socket(server, (host, port), socket.AF_INET if port is not None else socket.AF_UNIX)
    if port is None:
        connection.host_info = "Localhost via UNIX socket"
        connection._secure = True  # noqa: SLF001 - as the driver does where it connects itself
    else:
        connection.host_info = f"socket {host}:{port}"
    wrapped(sock)
    server.connected()


def _watch(connection: Any) -> None:
    """Look at a connection from now on: nothing is under way on it."""
    if isinstance(connection._sock, Socket):  # noqa: SLF001 - the driver's own name for it
        return
    watched = python_drivers.watch(NAME, connection, lambda watched: _attach(connection, watched))
    if watched is not None:
        connection.__dict__[WATCHED] = watched


def _attach(connection: Any, watched: Watched) -> None:
    connection._rfile = io.BufferedReader(_Raw(connection._rfile.detach(), watched))  # noqa: SLF001 - the driver's own


def _is_of_the_past(connection: Any) -> bool:
    """Whether a connection was opened in another mode, or in a replay that is over."""
    sock = connection._sock  # noqa: SLF001 - the driver's own name for it
    if isinstance(sock, Socket) and isinstance(sock.dialogue, Server):
        return sock.dialogue.is_of_the_past
    return sock is not None and seams.responder(NAME) is not None


def _write_bytes(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what is sent."""
    if _CONNECTS in instance.__dict__:
        return wrapped(*args, **kwargs)
    if _is_of_the_past(instance):
        instance._force_close()  # noqa: SLF001 - the driver's own
        instance.connect()
    if WATCHED not in instance.__dict__ and args[0][python_drivers.NUMBER] == 0:
        _watch(instance)  # it was opened before recording began
    watched = instance.__dict__.get(WATCHED)
    if watched is None:
        return wrapped(*args, **kwargs)
    try:
        wrapped(*args, **kwargs)
    except BaseException as error:  # the driver has closed the connection, which is no end of a statement
        cause = error.__context__
        watched.not_sent(args[0], cause if isinstance(cause, OSError) else error)
        raise
    watched.wrote(args[0])  # nothing is read before that
    return None


INTEGRATION = family.declared(
    NAME,
    (
        Patch("pymysql.connections", "Connection.connect", _connect),
        Patch("pymysql.connections", "Connection._write_bytes", _write_bytes),
        *tls.PATCHES,
    ),
    packages={NAME: "PyMySQL"},
    oldest=("PyMySQL", (1, 0)),
    instrumentors=(Instrumentor(NAME, NAME),),
    plumbing=("pymysql.",),
)
