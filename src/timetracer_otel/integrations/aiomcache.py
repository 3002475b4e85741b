"""Memcached by aiomcache, the client of asyncio.

A recorded connection is the client's own, with its streams looked at. A replayed one is a pair of streams that reaches
nowhere; the client parses what that says.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.families import failures
from timetracer_otel.families.memcached import matching, rendering
from timetracer_otel.families.memcached.recording import Tap, record_refused
from timetracer_otel.families.memcached.server import Server
from timetracer_otel.families.nowhere.transports import Transport, streams
from timetracer_otel.seams import Integration, Patch

__all__ = ["INTEGRATION"]

NAME: Final = "aiomcache"
_POOL: Final = "aiomcache.pool"
_TAP: Final = "_timetracer_tap"


def _server(pool: Any) -> dict[str, spans.Attribute]:
    return {"server.address": str(pool._host), "server.port": int(pool._port)}  # noqa: SLF001 - it has no other name


def _records() -> bool:
    return seams.active() is not None and NAME not in seams.switched_off and seams.responder(NAME) is None


async def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    if responder is not None:
        if instance.size() >= instance._maxsize:  # noqa: SLF001 - as the pool does
            return None
        failures.raise_upcoming(responder, matching.CONNECT)
        server = Server(NAME, responder)
        reader, writer = streams(server)
        reader.at_eof = partial(_is_over, server, reader.at_eof)  # type: ignore[method-assign]  # the pool looks there
        return sys.modules[_POOL].Connection(reader, writer)
    if not _records():
        return await wrapped(*args, **kwargs)
    try:
        conn = await wrapped(*args, **kwargs)
    except Exception as error:
        record_refused(NAME, _server(instance), error)
        raise
    if conn is not None:
        _look_at(conn, instance)
    return conn


def _is_over(server: Server, at_eof: Any) -> bool:
    return server.is_of_the_past or bool(at_eof())


def _look_at(conn: Any, pool: Any) -> None:
    reader, writer = conn.reader, conn.writer
    tap = reader.__dict__[_TAP] = Tap(NAME, _server(pool))
    reader.feed_data = partial(_fed, reader.feed_data, tap)
    reader.feed_eof = partial(_ended, reader.feed_eof, tap)
    reader.set_exception = partial(_broken, reader.set_exception, tap)
    writer.write = partial(_written, writer.write, tap)


def _fed(feed: Any, tap: Tap, data: Any) -> None:
    tap.received(data)
    feed(data)


def _ended(feed_eof: Any, tap: Tap) -> None:
    tap.ended()
    feed_eof()


def _broken(set_exception: Any, tap: Tap, error: Any) -> None:
    """The connection's own errors come here too, and those that the client raises while it reads."""
    tap.broke(error)
    set_exception(error)


def _written(write: Any, tap: Tap, data: Any) -> None:
    tap.sends(bytes(data))
    write(data)
    tap.sent()


async def _acquire(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Let a connection be seen that was made before; in a replay, take another one in its place."""
    conn = await wrapped(*args, **kwargs)
    if _records() and not _is_replayed(conn) and _TAP not in conn.reader.__dict__:
        _look_at(conn, instance)
    elif seams.responder(NAME) is not None and not _is_replayed(conn):
        instance._in_use.discard(conn)  # noqa: SLF001 - as the pool does
        instance._do_close(conn)  # noqa: SLF001 - as above
        conn = await instance._create_new_conn()  # noqa: SLF001 - as above
        instance._in_use.add(conn)  # noqa: SLF001 - as above
    return conn


def _is_replayed(conn: Any) -> bool:
    return isinstance(conn.writer.transport, Transport)


def _release(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Take that nobody waits on this connection now: who did was cancelled."""
    conn = args[0] if args else kwargs["conn"]
    if _is_replayed(conn):
        conn.writer.transport.forget()
    elif (tap := conn.reader.__dict__.get(_TAP)) is not None:
        tap.broke(asyncio.CancelledError())
    return wrapped(*args, **kwargs)


INTEGRATION = Integration(
    name=NAME,
    patches=(
        Patch(_POOL, "MemcachePool._create_new_conn", _connect),
        Patch(_POOL, "MemcachePool.acquire", _acquire),
        Patch(_POOL, "MemcachePool.release", _release),
    ),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=rendering.render,
    oldest=("aiomcache", (0, 7)),
    packages={"aiomcache": "aiomcache"},
)
