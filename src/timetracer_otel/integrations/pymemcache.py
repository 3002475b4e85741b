"""Memcached by pymemcache: its ``Client``, on which its pooled, hashing and retrying clients stand.

A recorded client has its own socket, looked at. A replayed one has a socket that reaches nowhere; the client parses
what that says.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.families import failures
from timetracer_otel.families.memcached import matching, rendering
from timetracer_otel.families.memcached.recording import Tap, record_refused
from timetracer_otel.families.memcached.server import Server
from timetracer_otel.families.memcached.sockets import SeenSocket
from timetracer_otel.families.nowhere.left_socket import LeftSocket
from timetracer_otel.seams import Instrumentor, Integration, Patch

__all__ = ["INTEGRATION"]

NAME: Final = "pymemcache"
_BASE: Final = "pymemcache.client.base"
_HASH: Final = "pymemcache.client.hash"
_SERVERS: Final = "timetracer.memcached.servers"
"""The servers among which a client chose by the key, in its order."""
_CALLED: Final = "_timetracer_called"
"""Where a client has how its servers were called in the recording."""
_EXCHANGES: Final = ("_fetch_cmd", "_store_cmd", "_misc_cmd")
"""All methods of a client that use its socket."""


_together: dict[Any, list[Any]] = {}
"""The servers that a client chooses among, by each of them."""


def _hash_client(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Let a client choose by the names that its servers had in the recording: they may have others now."""
    base = sys.modules[_BASE]
    servers = [base.normalize_server_spec(server) for server in (args[0] if args else kwargs.get("servers", ()))]
    _together.update(dict.fromkeys(servers, servers))
    responder = seams.responder(NAME)
    recorded = None if responder is None else responder.facts(_SERVERS)
    if recorded is not None and len(called := json.loads(recorded)) == len(servers):
        instance.__dict__[_CALLED] = {
            server: tuple(name) if isinstance(name, list) else name
            for server, name in zip(servers, called, strict=True)
        }
    return wrapped(*args, **kwargs)


def _client_key(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    called = instance.__dict__.get(_CALLED)
    if not called or kwargs:
        return wrapped(*args, **kwargs)
    return wrapped(*(called.get(server, server) for server in args))


def _tap(client: Any) -> Tap:
    together = _together.get(client.server, ())
    more = {_SERVERS: json.dumps(together)} if len(together) > 1 else {}
    return Tap(NAME, _server(client), more)


def _server(client: Any) -> dict[str, spans.Attribute]:
    server = client.server
    if isinstance(server, tuple):
        return {"server.address": str(server[0]), "server.port": int(server[1])}
    return {"server.address": str(server)}


def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    if responder is not None:
        instance.close()
        failures.raise_upcoming(responder, matching.CONNECT)
        instance.sock = LeftSocket(Server(NAME, responder), instance.server, partial(_reconnected, instance))
        instance.sock.settimeout(instance.timeout)
        return None
    if not _records():
        return wrapped(*args, **kwargs)
    try:
        wrapped(*args, **kwargs)
    except Exception as error:
        record_refused(NAME, _server(instance), error)
        raise
    instance.sock = SeenSocket(instance.sock, _tap(instance))
    return None


def _reconnected(client: Any) -> Any:
    client.close()
    client._connect()  # noqa: SLF001 - as the client does
    return client.sock


def _records() -> bool:
    return seams.active() is not None and NAME not in seams.switched_off


def _exchange(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Let a client be seen that has been connected before, and end a connection of another mode or a replay."""
    sock = instance.sock
    if sock is not None:
        if seams.responder(NAME) is not None:
            if not isinstance(sock, LeftSocket) or sock.is_of_the_past:
                instance.close()
        elif isinstance(sock, LeftSocket):
            instance.close()
        elif _records() and not isinstance(sock, SeenSocket):
            instance.sock = SeenSocket(sock, _tap(instance))
    return wrapped(*args, **kwargs)


INTEGRATION = Integration(
    name=NAME,
    patches=(
        Patch(_BASE, "Client._connect", _connect),
        *(Patch(_BASE, f"Client.{name}", _exchange) for name in _EXCHANGES),
        Patch(_HASH, "HashClient.__init__", _hash_client),
        Patch(_HASH, "HashClient._make_client_key", _client_key),
    ),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=rendering.render,
    oldest=("pymemcache", (3, 5)),
    plumbing=("pymemcache.pool",),
    packages={"pymemcache": "pymemcache"},
    instrumentors=(Instrumentor("pymemcache", "pymemcache"),),
)
