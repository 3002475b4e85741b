"""Mail by aiosmtplib, the client of asyncio.

A recorded connection is the client's own: its protocol sees whole commands and replies, above TLS. A replayed one is a
transport that reaches nowhere; the client's protocol parses what that says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.families import failures
from timetracer_otel.families.nowhere import tls
from timetracer_otel.families.nowhere.transports import Transport, connection
from timetracer_otel.families.smtp import matching, rendering
from timetracer_otel.families.smtp.recording import Tap
from timetracer_otel.families.smtp.server import Server
from timetracer_otel.seams import Integration, Patch, Responder

__all__ = ["INTEGRATION"]

NAME: Final = "aiosmtplib"
_CLIENT: Final = "aiosmtplib.smtp"
_PROTOCOL: Final = "aiosmtplib.protocol"
_TAP: Final = "_timetracer_tap"
_connecting: ContextVar[Tap | None] = ContextVar("timetracer_smtp_connecting", default=None)
"""Sees the connection that is being made in this context."""


class _NowhereLoop:
    """Stands where a client has its loop while it connects.

    Args:
        loop: the client's own.
        responder: answers what it asks.
        peer: the server's host and port, or path.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, responder: Responder, peer: str) -> None:
        self._loop = loop
        self._responder = responder
        self._peer = peer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Callable[[], Any], *_args: Any, **options: Any) -> Any:
        """Connect nowhere, or fail as it was recorded."""
        failures.raise_upcoming(self._responder, matching.refused(self._peer))
        server = Server(NAME, self._responder, self._peer)
        return connection(factory, server, {"sslcontext": options.get("ssl")})

    create_unix_connection = create_connection


def _records() -> bool:
    return seams.active() is not None and NAME not in seams.switched_off and seams.responder(NAME) is None


def _server(client: Any) -> dict[str, spans.Attribute]:
    """Say where a client connects to, as the semantic conventions have it."""
    if client.socket_path is not None:
        path = client.socket_path
        return {"server.address": path.decode() if isinstance(path, bytes) else str(path)}
    if client.sock is not None:
        return matching.reached(client.sock.getpeername())
    host = "localhost" if client.hostname is None else client.hostname
    return {"server.address": str(host), "server.port": int(client.port or client._get_default_port())}  # noqa: SLF001 - as it does


async def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    if responder is not None:
        loop = instance.loop
        instance.loop = _NowhereLoop(loop, responder, matching.peer_named(_server(instance)))
        try:
            return await wrapped(*args, **kwargs)
        finally:
            instance.loop = loop
    if not _records():
        return await wrapped(*args, **kwargs)
    tap = Tap(NAME, _server(instance))
    tap.connects()
    token = _connecting.set(tap)
    try:
        return await wrapped(*args, **kwargs)
    except BaseException as error:
        tap.refused(error.__cause__ or error)
        raise
    finally:
        _connecting.reset(token)


def _made(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if (tap := _connecting.get()) is not None:
        instance.__dict__[_TAP] = tap
    return wrapped(*args, **kwargs)


def _telling(tell: Callable[..., object]) -> Callable[[Any], Any]:
    """Make what lets a protocol's tap know of something, before the protocol does."""

    def maker(original: Any) -> Any:
        @wraps(original)
        def method(self: Any, *args: Any) -> Any:
            if (tap := self.__dict__.get(_TAP)) is not None:
                tell(tap, *args)
            return original(self, *args)

        return method

    return maker


def _lost(tap: Tap, error: BaseException | None) -> None:
    if error is None:
        tap.ended()
    else:
        tap.broke(error)


def _write(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    transport, data = instance.transport, args[0] if args else kwargs["data"]
    if transport is None:
        return wrapped(*args, **kwargs)
    responder = seams.responder(NAME)
    if responder is not None:
        server = _server_of(transport)
        if server is None or server.is_of_the_past:
            _reach_nowhere(instance, responder)
    elif _records() and not isinstance(transport, Transport):
        tap = instance.__dict__.get(_TAP)
        if tap is None:
            tap = instance.__dict__[_TAP] = Tap(NAME, matching.reached(transport.get_extra_info("peername")))
        tap.sends(bytes(data))
    return wrapped(*args, **kwargs)


def _server_of(transport: Any) -> Server | None:
    found = transport.dialogue if isinstance(transport, Transport) else None
    return found if isinstance(found, Server) else None


def _reach_nowhere(protocol: Any, responder: Responder) -> None:
    """Let a protocol go on in a replay that was connected before."""
    peer = matching.peer_named(matching.reached(protocol.transport.get_extra_info("peername")))
    server = Server(NAME, responder, peer, greets=False)
    protocol.transport = Transport(asyncio.get_running_loop(), protocol, server)


async def _read_response(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Take that the client gives up waiting; in a replay let it do so at once where it did."""
    transport = instance.transport
    if (server := _server_of(transport)) is not None and server.is_silent:
        return await wrapped(timeout=0)
    try:
        return await wrapped(*args, **kwargs)
    except BaseException as error:
        if isinstance(transport, Transport):
            transport.forget()  # nobody waits for it any more
        elif (tap := instance.__dict__.get(_TAP)) is not None:
            tap.broke(error.__cause__ or error)
        raise


INTEGRATION = Integration(
    name=NAME,
    patches=(
        Patch(_CLIENT, "SMTP._create_connection", _connect),
        Patch(_PROTOCOL, "SMTPProtocol.__init__", _made),
        Patch(_PROTOCOL, "SMTPProtocol.data_received", maker=_telling(Tap.received)),
        Patch(_PROTOCOL, "SMTPProtocol.eof_received", maker=_telling(Tap.ended)),
        Patch(_PROTOCOL, "SMTPProtocol.connection_lost", maker=_telling(_lost)),
        Patch(_PROTOCOL, "SMTPProtocol.write", _write),
        Patch(_PROTOCOL, "SMTPProtocol.read_response", _read_response),
        *tls.PATCHES,
    ),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=rendering.render,
    oldest=("aiosmtplib", (3, 0)),
    packages={"aiosmtplib": "aiosmtplib"},
)
