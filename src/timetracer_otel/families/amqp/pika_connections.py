"""Connections of pika that reach nowhere."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from timetracer_otel import seams
from timetracer_otel.families.amqp.broker import Broker
from timetracer_otel.families.amqp.ending import end_program, when_quiet
from timetracer_otel.families.amqp.pika_state import BROKER, NAME, OFFICE
from timetracer_otel.families.nowhere.sockets import Socket
from timetracer_otel.seams import live_io

__all__ = ["addresses", "blocking", "connects", "own_pair", "streams"]

_blocks: ContextVar[bool] = ContextVar("timetracer_pika_blocks", default=False)
"""Whether a blocking connection is being made."""


class _Done:
    """Stands for an operation that cannot be cancelled: it is over."""

    def cancel(self) -> bool:
        """It is too late."""
        return False


def addresses(original: Any) -> Any:
    """Around ``getaddrinfo(host, port, on_done, …)`` of each loop's services."""

    def getaddrinfo(self: Any, host: Any, port: Any, on_done: Any, *args: Any, **kwargs: Any) -> Any:
        if seams.responder(NAME) is None:
            return original(self, host, port, on_done, *args, **kwargs)
        self.add_callback_threadsafe(lambda: on_done([(2, 1, 6, "", ("127.0.0.1", port))]))
        return _Done()

    return getaddrinfo


def connects(original: Any) -> Any:
    """Around ``connect_socket(sock, resolved_addr, on_done)``."""

    def connect_socket(self: Any, sock: Any, resolved_addr: Any, on_done: Any) -> Any:
        if seams.responder(NAME) is None:
            return original(self, sock, resolved_addr, on_done)
        self.add_callback_threadsafe(lambda: on_done(None))
        return _Done()

    return connect_socket


def streams(original: Any) -> Any:
    """Around ``create_streaming_connection(protocol_factory, sock, on_done, ssl_context, server_hostname)``."""

    def create(self: Any, protocol_factory: Any, sock: Any, on_done: Any, *args: Any, **kwargs: Any) -> Any:
        if seams.responder(NAME) is None:
            return original(self, protocol_factory, sock, on_done, *args, **kwargs)

        def over() -> None:
            when_quiet(self.call_later, lambda: broker.heard, end_program)

        sock.close()
        broker = Broker(OFFICE, None if _blocks.get() else over)
        nowhere = Socket(broker, ("127.0.0.1", 0))
        nowhere.setblocking(False)  # noqa: FBT003 - the signature of a socket

        def made() -> Any:
            protocol = protocol_factory()
            protocol.conn.__dict__[BROKER] = broker
            return protocol

        return original(self, made, nowhere, on_done)

    return create


def blocking(original: Any) -> Any:
    """Around ``BlockingConnection._create_connection``: such an app comes back by itself behind its last message."""

    def create(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _blocks.set(True)
        try:
            return original(self, *args, **kwargs)
        finally:
            _blocks.reset(token)

    return create


def own_pair(original: Any) -> Any:
    """Around what makes the pair of sockets that a loop wakes itself by, over loopback."""

    def socketpair(*args: Any, **kwargs: Any) -> Any:
        token = live_io.set(True)
        try:
            return original(*args, **kwargs)
        finally:
            live_io.reset(token)

    return socketpair
