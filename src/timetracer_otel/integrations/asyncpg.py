"""asyncpg: recorded by the bytes of its connections, replayed by the same driver on connections that reach nowhere."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from typing import Any, Final
from weakref import WeakValueDictionary

from timetracer_otel import seams
from timetracer_otel.families.nowhere.transports import Transport
from timetracer_otel.families.postgres import connecting, family
from timetracer_otel.families.postgres.connection import peer_of
from timetracer_otel.families.postgres.server import Server
from timetracer_otel.families.postgres.watching import Watched
from timetracer_otel.seams import Instrumentor, Patch, faults
from timetracer_otel.seams.brokering import BrokersWork

__all__ = ["INTEGRATION"]

NAME: Final = "asyncpg"
_secrets = itertools.count(1)
_servers: WeakValueDictionary[int, Server] = WeakValueDictionary()
"""The servers of a replay by the key that cancels what their connection does."""
_watched: WeakValueDictionary[int, Watched] = WeakValueDictionary()
"""The connections that are recorded, by the id of the server's process."""


class _Transport(Transport):
    """A connection of the driver that reaches nowhere."""

    def go_on(self) -> None:
        """Go on at once, also when the server waits: what happens here is that the client cancels."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        super().go_on()


class _Tee:
    """The transport of a protocol, which lets what is written be seen."""

    __slots__ = ("_real", "_watched", "abort", "close", "pause_reading", "resume_reading")

    def __init__(self, real: Any, watched: Watched) -> None:
        self._real = real
        self._watched = watched
        self.abort, self.close = real.abort, real.close
        self.pause_reading, self.resume_reading = real.pause_reading, real.resume_reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def write(self, data: Any) -> None:
        self._watched.wrote(bytes(data))
        self._real.write(data)

    def writelines(self, pieces: Any) -> None:
        pieces = list(pieces)
        self._watched.wrote(b"".join(pieces))
        self._real.writelines(pieces)


def _protocol(original: Any) -> Any:  # noqa: C901 - the methods of one class, which can only be made when its base is known
    class Protocol(original):  # type: ignore[misc]  # a class of the driver
        _timetracer: Watched | None = None

        def __init__(self, addr: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(addr, *args, **kwargs)
            if seams.active() is not None and NAME not in seams.switched_off:
                self._timetracer = Watched(NAME, _address(addr))

        def connection_made(self, transport: Any) -> None:
            if isinstance(transport, Transport):
                self._timetracer = None
            elif self._timetracer is not None:
                transport = _Tee(transport, self._timetracer)
            super().connection_made(transport)

        def data_received(self, data: bytes) -> None:
            if self._timetracer is not None:
                self._timetracer.arrived(data)
            super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            if self._timetracer is not None:
                self._timetracer.lost(exc)
            super().connection_lost(exc)

        def set_connection(self, connection: Any) -> None:
            if self._timetracer is not None:
                _watched[self.get_server_pid()] = self._timetracer
            super().set_connection(connection)

    Protocol.__name__, Protocol.__qualname__ = original.__name__, original.__qualname__
    Protocol.__module__ = original.__module__
    return Protocol


def _address(addr: Any) -> tuple[str, int | None]:
    return (addr, None) if isinstance(addr, str) else (addr[0], addr[1])


async def _connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around all that is done to connect."""
    if seams.responder(NAME) is not None and isinstance(kwargs.get("ssl"), str | None):
        kwargs = kwargs | {"ssl": False, "direct_tls": False}  # the files that a mode asks for may not be here
    with connecting.attempt(NAME):
        return await wrapped(*args, **kwargs)


async def _connect_addr(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the connection to one address: in a replay one that reaches nowhere."""
    responder = seams.responder(NAME)
    if responder is None:
        return await wrapped(*args, **kwargs)
    from asyncpg import protocol  # noqa: PLC0415 - the driver is there when a connection of it is made

    addr, loop, given = kwargs["addr"], kwargs["loop"], kwargs["params"]
    params = given
    if callable(params.password):
        password = params.password()
        params = params._replace(password=await password if inspect.isawaitable(password) else password)
    secret = next(_secrets)
    server = _servers[secret] = Server(responder, peer_of(_address(addr), params.database), secret)
    connected = loop.create_future()
    client = protocol.Protocol(addr, connected, params, kwargs["record_class"], loop)
    transport = _Transport(loop, client, server)
    client.connection_made(transport)
    await connected
    connection = kwargs["connection_class"](client, transport, loop, addr, kwargs["config"], given)
    client.set_connection(connection)
    return connection


async def _cancel(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the request to break off what a connection does."""
    if seams.responder(NAME) is not None:
        server = _servers.get(kwargs["backend_secret"])
        if server is not None:
            await asyncio.sleep(0)
            server.cancel()
        return None
    try:
        watched = _watched.get(kwargs["backend_pid"])
        if watched is not None:
            watched.cancelling()
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("asyncpg.cancel", error)
    token = seams.live_io.set(True)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        seams.live_io.reset(token)


async def _sees_if_it_lives(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what a pool asks of a connection that has waited, in a transaction: no call, as of other drivers."""
    with BrokersWork():
        return await wrapped(*args, **kwargs)


INTEGRATION = family.declared(
    NAME,
    (
        Patch("asyncpg.protocol", "Protocol", maker=_protocol),
        Patch("asyncpg.connect_utils", "_connect", _connect),
        Patch("asyncpg.connect_utils", "_connect_addr", _connect_addr),
        Patch("asyncpg.connect_utils", "_cancel", _cancel),
        Patch(
            "sqlalchemy.dialects.postgresql.asyncpg",
            "AsyncAdapt_asyncpg_connection._async_ping",
            _sees_if_it_lives,
        ),
    ),
    packages={NAME: NAME},
    oldest=(NAME, (0, 27)),
    instrumentors=(Instrumentor(NAME, NAME),),
    plumbing=("asyncpg.",),
)
