"""asyncmy: recorded by the bytes of its protocol, replayed by the same driver on a transport that reaches nowhere."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.mysql import connecting, family, python_drivers
from timetracer_otel.families.mysql.python_drivers import WATCHED, NoSocket, Packets
from timetracer_otel.families.mysql.server import Server
from timetracer_otel.families.mysql.watching import Watched
from timetracer_otel.families.nowhere import transports
from timetracer_otel.families.nowhere.transports import Transport
from timetracer_otel.seams import Patch

__all__ = ["INTEGRATION"]

NAME: Final = "asyncmy"
_PACKETS: Final = "_timetracer_packets"
_CONNECTS: Final = "_timetracer_connects"
_WITHOUT_EOF: Final = 0x1000000
"""The capability that changes the form of answers: a recording has them in the form that every driver reads."""


class _Loop:
    """An event loop whose connections reach nowhere, for a driver that connects by its loop's methods.

    Args:
        real: does all else.
        server: that a connection leads to.
    """

    def __init__(self, real: asyncio.AbstractEventLoop, server: Server) -> None:
        self._real = real
        self._server = server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def create_connection(self, factory: Any, *_address: object, **_options: object) -> tuple[Transport, Any]:
        """Connect; the second time in TLS, which changes nothing."""
        return transports.connection(factory, self._server, {"socket": NoSocket(self._server)})

    create_unix_connection = create_connection


# Connecting.


async def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around all that is done to connect: in a replay by a loop that reaches nowhere."""
    if instance._connected:  # noqa: SLF001 - the driver's own: it then does nothing
        return await wrapped(*args, **kwargs)
    instance.__dict__.pop(WATCHED, None)
    responder = seams.responder(NAME)
    server, real = None, instance._loop  # noqa: SLF001 - as above
    instance.__dict__[_CONNECTS] = True
    try:
        with connecting.attempt(NAME):
            if responder is not None:
                server = python_drivers.server_for(NAME, responder, instance)
                instance._loop = _Loop(real, server)  # noqa: SLF001 - as above
            made = await wrapped(*args, **kwargs)
    finally:
        instance._loop = real  # noqa: SLF001 - as above
        instance.__dict__.pop(_CONNECTS, None)
    if server is not None:
        server.connected()
    else:
        _watch(instance)
    return made


async def _authenticate(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the log-in: the answers of a connection that is recorded have the form that every driver reads."""
    if seams.is_off(NAME) or seams.responder(NAME) is not None:
        return await wrapped(*args, **kwargs)
    offered = instance.server_capabilities
    instance.server_capabilities = offered & ~_WITHOUT_EOF
    try:
        return await wrapped(*args, **kwargs)
    finally:
        instance.server_capabilities = offered


# What passes.


def _watch(connection: Any) -> None:
    if not connection._deprecate_eof:  # noqa: SLF001 - the driver's own: where it is, recording began later
        python_drivers.watch(NAME, connection, partial(_attach, connection))


def _attach(connection: Any, watched: Watched) -> None:
    connection._proto.__dict__[WATCHED] = watched  # noqa: SLF001 - the driver's own
    connection.__dict__.update({WATCHED: watched, _PACKETS: Packets(watched.wrote)})


def _buffer_updated(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what has arrived, which is in the buffer behind what was there."""
    watched: Watched | None = instance.__dict__.get(WATCHED)
    if watched is not None:
        begins = instance.length
        watched.arrived(bytes(memoryview(instance.buffer)[begins : begins + args[0]]))
    return wrapped(*args, **kwargs)


def _eof_received(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    watched: Watched | None = instance.__dict__.get(WATCHED)
    if watched is not None:
        watched.arrived(b"")
    return wrapped(*args, **kwargs)


def _connection_lost(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    watched: Watched | None = instance.__dict__.get(WATCHED)
    if watched is not None and args[0] is not None:
        watched.broke(args[0])
    return wrapped(*args, **kwargs)


async def _wait_for_data(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the wait for more of an answer: in a replay there may be none."""
    if isinstance(instance.transport, Transport):
        asyncio.get_running_loop().call_soon(instance.transport.go_on)
    return await wrapped(*args, **kwargs)


def _write_bytes(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what is sent."""
    if _CONNECTS in instance.__dict__:
        return wrapped(*args, **kwargs)
    responder, replayed = seams.responder(NAME), isinstance(instance._transport, Transport)  # noqa: SLF001 - as above
    if responder is not None and not replayed:
        responder.refuse("a connection was opened before the replay began: open it in the replay")
    if replayed:
        return _write_nowhere(wrapped, instance, args, kwargs)
    watched, packets = instance.__dict__.get(WATCHED), instance.__dict__.get(_PACKETS)
    try:
        sent = wrapped(*args, **kwargs)
    except BaseException as error:
        if watched is not None:
            watched.not_sent(args[0], error)
        raise
    if packets is not None:
        packets.feed(args[0])  # the answer comes in a later turn of the loop
    return sent


def _write_nowhere(wrapped: Any, connection: Any, args: Any, kwargs: Any) -> Any:
    """Send in a replay: a connection that could not do that then, or has a miss, is at its end."""
    try:
        return wrapped(*args, **kwargs)
    except BaseException:
        connection.close()
        raise


def _close(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    instance.__dict__.pop(_PACKETS, None)
    return python_drivers.close(wrapped, instance, args, kwargs)


_CONNECTION: Final = "asyncmy.connection"

INTEGRATION = family.declared(
    NAME,
    (
        Patch(_CONNECTION, "Connection.connect", _connect),
        Patch(_CONNECTION, "Connection._request_authentication", _authenticate),
        Patch(_CONNECTION, "Connection._write_bytes", _write_bytes),
        Patch(_CONNECTION, "Connection.close", _close),
        Patch(_CONNECTION, "Connection._close_on_cancel", python_drivers.close_on_cancel),
        Patch(_CONNECTION, "_MySQLProtocol.buffer_updated", _buffer_updated),
        Patch(_CONNECTION, "_MySQLProtocol.eof_received", _eof_received),
        Patch(_CONNECTION, "_MySQLProtocol.connection_lost", _connection_lost),
        Patch(_CONNECTION, "_MySQLProtocol.wait_for_data", _wait_for_data),
    ),
    packages={NAME: NAME},
    oldest=(NAME, (0, 2)),
    plumbing=("asyncmy.",),
)
