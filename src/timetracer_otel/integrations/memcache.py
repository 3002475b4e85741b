"""Memcached by python-memcached, which is imported as ``memcache``.

A recorded host has its own socket, looked at. A replayed one has a socket that reaches nowhere. The library tells
nobody that a server is not there: it counts the host as dead for a while, and so does a replay.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.families.memcached import matching, rendering
from timetracer_otel.families.memcached.recording import Tap, record_refused
from timetracer_otel.families.memcached.server import Server
from timetracer_otel.families.memcached.sockets import SeenSocket
from timetracer_otel.families.nowhere.left_socket import LeftSocket
from timetracer_otel.seams import Integration, Patch, Responder

__all__ = ["INTEGRATION"]

NAME: Final = "python-memcached"


def _server(host: Any) -> dict[str, spans.Attribute]:
    if isinstance(host.address, tuple):
        return {"server.address": str(host.address[0]), "server.port": int(host.address[1])}
    return {"server.address": str(host.address)}


def _get_socket(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    if responder is not None:
        return _replayed(instance, responder)
    if isinstance(instance.socket, LeftSocket):
        instance.close_socket()
    if seams.is_off(NAME):
        return wrapped(*args, **kwargs)
    dead, flushes = instance.deaduntil, instance.flush_on_next_connect
    instance.flush_on_next_connect = 0  # seen, it is flushed below
    sock = wrapped(*args, **kwargs)
    if sock is None:
        instance.flush_on_next_connect = instance.flush_on_next_connect or flushes
        if instance.deaduntil != dead:
            record_refused(NAME, _server(instance), ConnectionError("the server cannot be reached"))
        return None
    if not isinstance(sock, SeenSocket):
        instance.socket = SeenSocket(sock, Tap(NAME, _server(instance)))
    if flushes:
        instance.flush()
    return instance.socket


def _replayed(host: Any, responder: Responder) -> Any:
    """Do as the host does when it connects, without connecting."""
    if host._check_dead():  # noqa: SLF001 - as the host does
        return None
    if isinstance(host.socket, LeftSocket) and not host.socket.is_of_the_past:
        return host.socket
    host.close_socket()
    refused = responder.next_in_lane(matching.CONNECT)
    if refused is not None:
        host.mark_dead("connect: the server could not be reached when this was recorded")
        return None
    host.socket = LeftSocket(Server(NAME, responder), host.address, partial(_reconnected, host))
    host.socket.settimeout(host.socket_timeout)
    host.buffer = b""
    if host.flush_on_next_connect:
        host.flush()
        host.flush_on_next_connect = 0
    return host.socket


def _reconnected(host: Any) -> Any:
    host.close_socket()
    sock = host._get_socket()  # noqa: SLF001 - as the host does
    if sock is None:
        raise ConnectionError("the server cannot be reached")
    return sock


INTEGRATION = Integration(
    name=NAME,
    patches=(Patch("memcache", "_Host._get_socket", _get_socket),),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=rendering.render,
    packages={"memcache": "python-memcached"},
)
