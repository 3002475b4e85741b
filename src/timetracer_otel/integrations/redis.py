"""Redis by redis-py, and Valkey by valkey-py, its fork: both their plain and their asyncio connections.

A recorded connection is the driver's own, with its socket or stream looked at. A replayed one has a socket, or a pair
of streams, that reaches nowhere; the driver parses what that says.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.families import failures
from timetracer_otel.families.nowhere.left_socket import LeftSocket
from timetracer_otel.families.nowhere.sockets import Socket
from timetracer_otel.families.nowhere.transports import Transport, streams
from timetracer_otel.families.redis import matching, rendering
from timetracer_otel.families.redis.recording import Place, Tap
from timetracer_otel.families.redis.server import Server
from timetracer_otel.families.redis.turns import turns_of
from timetracer_otel.families.seen_socket import SeenSocket
from timetracer_otel.seams import Instrumentor, Integration, Patch, Responder, faults
from timetracer_otel.seams.brokering import is_brokering

__all__ = ["INTEGRATION"]

NAME: Final = "redis"
_PACKAGES: Final = ("redis", "valkey")
_TAP: Final = "_timetracer_tap"
_SENDS: Final = "_timetracer_sends"
"""Where a connection has what it is about to send."""
_CONNECTS: Final = "_timetracer_connects"
_REFUSED: Final = "CONNECT", {"db.system.name": matching.SYSTEM, "db.operation.name": "CONNECT"}
"""Names the span of a connection that could not be made."""
_SETS_UP: Final = "_timetracer_sets_up"
"""True while a driver sets a connection up, or asks by itself whether it lives."""
_PLUMBING: Final = (
    "_parsers.", "asyncio.client", "asyncio.cluster", "asyncio.connection", "asyncio.retry", "asyncio.sentinel",
    "backoff", "background", "cache", "client", "cluster", "connection", "event", "maint_notifications", "multidb.",
    "observability.", "retry", "sentinel", "utils",
)  # fmt: skip
"""Not the locks: their tokens are data."""
_BROKERS: Final = "_timetracer_brokers"
_BETWEEN: Final = (
    *(f"{package}." for package in _PACKAGES),
    "kombu.utils.",
    "opentelemetry.",
    "timetracer_otel.",
    "wrapt.",
)
"""Modules between a connection and who uses it: Celery's backends ask by a function of Kombu's that tries again."""


class _Socket(SeenSocket):
    """A connected socket that is looked at."""

    __slots__ = ("_connection",)
    _tap: Tap

    def __init__(self, sock: Any, connection: Any, tap: Tap) -> None:
        super().__init__(sock, tap)
        self._connection = connection

    def _sends(self, _data: Any) -> None:
        _sends(self._connection, self._tap)


def _is_left_alone(connection: Any) -> bool:
    """Whether nothing is recorded or replayed, or a connection is a broker's, whose messages are entries."""
    if seams.active() is None:
        return True
    brokers: bool | None = connection.__dict__.get(_BROKERS)
    if brokers is None:
        brokers = connection.__dict__[_BROKERS] = _is_brokers(sys._getframe(2))  # noqa: SLF001 - the cheap way
    return brokers


def _is_brokers(frame: FrameType | None) -> bool:
    """Whether it is Kombu that first uses a connection."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "")) + "."
        if not name.startswith(_BETWEEN):
            return name.startswith("kombu.")
        frame = frame.f_back
    return False


def _sends(connection: Any, tap: Tap) -> None:
    """Let a connection's tap know of what it sends, when the first of it is."""
    data = connection.__dict__.pop(_SENDS, None)
    if data is not None:
        tap.sends(data, connecting=_is_setting_up(connection))


def _is_setting_up(connection: Any) -> bool:
    return _SETS_UP in connection.__dict__


@contextmanager
def _setting_up(connection: Any) -> Iterator[None]:
    """Around what a driver does by itself: what it asks there is nothing that the app asks."""
    own = getattr(connection, "_conn", connection).__dict__  # a client that keeps replies has it below
    if _SETS_UP in own:
        yield
        return
    own[_SETS_UP] = True
    try:
        yield
    finally:
        own.pop(_SETS_UP, None)


def _open(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Open a connection; a pool asks that before each command, mostly of one that is open."""
    if _reached(instance) is not None:
        return wrapped(*args, **kwargs)
    return _set_up(wrapped, instance, args, kwargs)


def _set_up(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    with _setting_up(instance):
        return wrapped(*args, **kwargs)


async def _open_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if _reached(instance) is not None:
        return await wrapped(*args, **kwargs)
    return await _set_up_async(wrapped, instance, args, kwargs)


async def _set_up_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    with _setting_up(instance):
        return await wrapped(*args, **kwargs)


def _server(connection: Any, responder: Responder) -> Server:
    return Server(NAME, responder, partial(_is_setting_up, connection))


def _tap(connection: Any) -> Tap | None:
    """Give a new tap for a connection; None when nothing is recorded."""
    if NAME in seams.switched_off:
        return None
    path = getattr(connection, "path", None)
    server: dict[str, spans.Attribute] = {"server.address": str(path or getattr(connection, "host", ""))}
    if not path and hasattr(connection, "port"):
        server["server.port"] = int(connection.port)
    tap = connection.__dict__[_TAP] = Tap(Place(NAME, str(getattr(connection, "db", 0) or 0), server))
    return tap


def _command(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bytes, tuple[Any, ...], dict[str, Any]]:
    """Give the commands that are sent in one piece, and the arguments with them in it."""
    command = args[0] if args else kwargs["command"]
    if isinstance(command, str):
        command = command.encode()
    data = command if isinstance(command, bytes) else b"".join(command)
    return data, ([data], *args[1:]), {name: value for name, value in kwargs.items() if name != "command"}


def _is_of_the_past(connection: Any) -> bool:
    """Whether a connection was opened in another mode, or in a replay that is over."""
    server = _server_of(connection)
    if server is not None:
        return server.is_of_the_past
    return _reached(connection) is not None and seams.responder(NAME) is not None


def _was_lost(connection: Any) -> bool:
    """Whether a connection that is there could not be made again at this point of the recording."""
    responder = seams.responder(NAME)
    if responder is None or _is_setting_up(connection) or _reached(connection) is None or is_brokering():
        return False
    return responder.is_next(matching.is_connecting)


def _reached(connection: Any) -> Any:
    """What a connection reads from and writes to; None while it is not connected."""
    writer = getattr(connection, "_writer", None)
    return getattr(connection, "_sock", None) if writer is None else writer.transport


# Plain connections.


def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if _is_left_alone(instance) or _CONNECTS in instance.__dict__:
        return wrapped(*args, **kwargs)
    responder = seams.responder(NAME)
    if responder is not None:
        if not is_brokering():
            failures.raise_upcoming(responder, matching.CONNECT)
        address = (getattr(instance, "host", ""), getattr(instance, "port", 0))
        sock = LeftSocket(_server(instance, responder), address, partial(_reconnected, instance))
        sock.settimeout(getattr(instance, "socket_timeout", None))
        return sock
    instance.__dict__[_CONNECTS] = True
    try:
        with failures.recorded(NAME, {}, _REFUSED):
            sock = wrapped(*args, **kwargs)
    finally:
        del instance.__dict__[_CONNECTS]
    tap = _tap(instance)
    return sock if tap is None else _Socket(sock, instance, tap)


def _reconnected(connection: Any) -> Any:
    connection.disconnect()
    connection.connect()
    return connection._sock  # noqa: SLF001 - where the driver has it


def _send(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if _is_left_alone(instance):
        return wrapped(*args, **kwargs)
    data, args, kwargs = _command(args, kwargs)
    if _is_of_the_past(instance) or _was_lost(instance):
        instance.disconnect()
    if seams.responder(NAME) is not None:
        return wrapped(*args, **kwargs)
    _adopt(instance)
    before = instance.__dict__.get(_SENDS)
    instance.__dict__[_SENDS] = data
    try:
        return wrapped(*args, **kwargs)
    finally:
        _restore(instance, before)


def _restore(connection: Any, before: bytes | None) -> None:
    """Let a connection send on what it was about to before it was asked whether it lives."""
    if before is None:
        connection.__dict__.pop(_SENDS, None)
    else:
        connection.__dict__[_SENDS] = before


def _adopt(connection: Any) -> None:
    """Look at a connection that was opened before anything was recorded."""
    sock = getattr(connection, "_sock", None)
    if sock is None or isinstance(sock, _Socket):
        return
    try:
        tap = _tap(connection)
        if tap is None:
            return
        seen = connection._sock = _Socket(sock, connection, tap)  # noqa: SLF001 - where the driver has it
        parser = connection._parser  # noqa: SLF001 - as above
        for holder in filter(None, (parser, getattr(parser, "_buffer", None))):
            if getattr(holder, "_sock", None) is sock:
                holder._sock = seen  # noqa: SLF001 - as above
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("redis.adopt", error)


def _ask_cache(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Count what a client is asked that keeps replies: which it has, and which have changed, is told by that."""
    connection = instance._conn  # noqa: SLF001 - what it stands before
    if _is_left_alone(connection):
        return wrapped(*args, **kwargs)
    turns = turns_of(instance._cache)  # noqa: SLF001 - as above
    seen = _server_of(connection) if seams.responder(NAME) is not None else connection.__dict__.get(_TAP)
    if seen is not None:
        seen.turns = turns
        if isinstance(seen, Server):
            turns.waiting.add(seen)
    with turns.take():
        return wrapped(*args, **kwargs)


def _server_of(connection: Any) -> Server | None:
    reached = _reached(connection)
    return (
        reached.dialogue if isinstance(reached, Socket | Transport) and isinstance(reached.dialogue, Server) else None
    )


def _disconnect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    _end(instance)
    return wrapped(*args, **kwargs)


def _end(connection: Any) -> None:
    tap = connection.__dict__.pop(_TAP, None)
    if tap is not None:
        tap.ended()


# Waiting for what a subscription is told.


def _poll(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    polled = _Poll(instance.connection, *args, **kwargs)
    found = wrapped(polled.blocks, polled.timeout)
    polled.found(found)
    return found


async def _poll_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    polled = _Poll(instance.connection, *args, **kwargs)
    found = await wrapped(polled.blocks, polled.timeout)
    polled.found(found)
    return found


class _Poll:
    """One look of a subscriber for a message.

    Args:
        connection: of the subscriber; None where there is none yet.
        block: whether it waits without an end.
        timeout: seconds that it waits otherwise.
    """

    def __init__(self, connection: Any, block: bool = True, timeout: Any = 0) -> None:  # noqa: FBT001, FBT002 - redis-py's
        self.blocks, self.timeout = block, timeout
        self._seen: Tap | Server | None = None
        if connection is None or _is_left_alone(connection):
            return
        self._seen = connection.__dict__.get(_TAP) if seams.responder(NAME) is None else _server_of(connection)
        if isinstance(self._seen, Server):
            waits = self._seen.patience(None if block else timeout)
            self.timeout = timeout if waits is None else waits

    def found(self, message: Any) -> None:
        """Take what came of it."""
        if message is not None or self.blocks:
            return
        if isinstance(self._seen, Server):
            self._seen.polled()
        elif self._seen is not None:
            self._seen.polls += 1


# Connections of asyncio.


async def _connect_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if _is_left_alone(instance) or _CONNECTS in instance.__dict__:
        return await wrapped(*args, **kwargs)
    responder = seams.responder(NAME)
    if responder is not None:
        if not is_brokering():
            failures.raise_upcoming(responder, matching.CONNECT)
        await asyncio.sleep(0)  # connecting takes time: who is behind a task that does comes first
        instance._reader, instance._writer = streams(_server(instance, responder))  # noqa: SLF001 - where the driver has them
        return None
    instance.__dict__[_CONNECTS] = True
    try:
        with failures.recorded(NAME, {}, _REFUSED):
            result = await wrapped(*args, **kwargs)
    finally:
        del instance.__dict__[_CONNECTS]
    _look_at_streams(instance)
    return result


def _look_at_streams(connection: Any) -> None:
    reader, writer = connection._reader, connection._writer  # noqa: SLF001 - where the driver has them
    tap = _tap(connection)
    if tap is None or reader is None or writer is None:
        return
    reader.feed_data = partial(_fed, reader.feed_data, tap)
    reader.feed_eof = partial(_ended, reader.feed_eof, tap)
    reader.set_exception = partial(_broken, reader.set_exception, tap)
    writer.writelines = partial(_written, writer.writelines, connection, tap)


def _fed(feed: Any, tap: Tap, data: Any) -> None:
    tap.received(data)
    feed(data)


def _ended(feed_eof: Any, tap: Tap) -> None:
    tap.received(b"")
    feed_eof()


def _broken(set_exception: Any, tap: Tap, error: Any) -> None:
    tap.broke(error)
    set_exception(error)


def _written(write: Any, connection: Any, tap: Tap, data: Any) -> None:
    _sends(connection, tap)
    write(data)


async def _send_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if _is_left_alone(instance):
        return await wrapped(*args, **kwargs)
    data, args, kwargs = _command(args, kwargs)
    if _is_of_the_past(instance) or _was_lost(instance):
        await instance.disconnect(nowait=True)
    if seams.responder(NAME) is not None:
        return await wrapped(*args, **kwargs)
    if _TAP not in instance.__dict__ and instance.is_connected:
        _look_at_streams(instance)
    before = instance.__dict__.get(_SENDS)
    instance.__dict__[_SENDS] = data
    try:
        return await wrapped(*args, **kwargs)
    finally:
        _restore(instance, before)


async def _disconnect_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    cause, tap = sys.exc_info()[1], instance.__dict__.get(_TAP)
    if tap is not None and isinstance(cause, asyncio.TimeoutError):  # of the driver's own timer, not of the stream
        tap.broke(cause)
    _end(instance)
    return await wrapped(*args, **kwargs)


def _patches(package: str) -> Iterable[Patch]:
    plain, of_asyncio = f"{package}.connection", f"{package}.asyncio.connection"
    for name in ("Connection", "SSLConnection", "UnixDomainSocketConnection"):
        yield Patch(plain, f"{name}._connect", _connect)
    for name in ("Connection", "UnixDomainSocketConnection"):
        yield Patch(of_asyncio, f"{name}._connect", _connect_async)
    yield Patch(plain, "AbstractConnection.send_packed_command", _send)
    yield Patch(plain, "CacheProxyConnection.send_command", _ask_cache, required=False)
    yield Patch(plain, "AbstractConnection.disconnect", _disconnect)
    yield Patch(plain, "AbstractConnection._send_ping", _set_up)
    yield Patch(of_asyncio, "AbstractConnection._send_ping", _set_up_async)
    for name in ("connect", "connect_check_health"):
        yield Patch(plain, f"AbstractConnection.{name}", _open, required=name == "connect")
        yield Patch(of_asyncio, f"AbstractConnection.{name}", _open_async, required=name == "connect")
    yield Patch(plain, "CacheProxyConnection.connect", _set_up, required=False)
    yield Patch(f"{package}.client", "PubSub.parse_response", _poll)
    yield Patch(f"{package}.asyncio.client", "PubSub.parse_response", _poll_async)
    yield Patch(of_asyncio, "AbstractConnection.send_packed_command", _send_async)
    yield Patch(of_asyncio, "AbstractConnection.disconnect", _disconnect_async)


INTEGRATION = Integration(
    name=NAME,
    patches=tuple(patch for package in _PACKAGES for patch in _patches(package)),
    aliases=("valkey",),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=rendering.render,
    oldest=("redis", (5, 0)),
    plumbing=tuple(f"{package}.{module}" for package in _PACKAGES for module in _PLUMBING),
    packages={package: package for package in _PACKAGES},
    instrumentors=(Instrumentor("redis", "redis"),),
)
