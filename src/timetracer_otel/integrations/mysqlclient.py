"""mysqlclient: recorded by what MariaDB's client library tells, replayed by that library on a socket of ours."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.dbapi.place import peer_of
from timetracer_otel.families.mysql import client_library, connecting, family, greeting, wire
from timetracer_otel.families.mysql.client_link import ClientLink
from timetracer_otel.families.mysql.server import Server
from timetracer_otel.families.mysql.watching import Watched
from timetracer_otel.seams import Instrumentor, Patch, Responder, faults

__all__ = ["INTEGRATION"]

NAME: Final = "mysqlclient"
_PORT: Final = 3306
_COMPRESSED: Final = 0x20
_WITHOUT_EOF: Final = 0x1000000
_HEADER: Final = 4
_ARGUMENTS: Final = ("host", "user", "password", "database", "port", "unix_socket")
_SYNONYMS: Final = {"db": "database", "passwd": "password"}
_ELSEWHERE: Final = frozenset({
    "host", "port", "unix_socket", "ssl", "ssl_mode", "compress", "read_default_file", "read_default_group",
    "named_pipe", "server_public_key_path", "auth_plugin",
})  # fmt: skip
"""Arguments that mean nothing where the connection reaches nowhere."""
_ASKING: Final = (
    "query", "store_result", "use_result", "next_result", "commit", "rollback", "autocommit", "ping", "select_db",
    "kill", "set_character_set", "set_server_option", "stat", "discard_result", "read_query_result", "send_query",
    "change_user", "shutdown",
)  # fmt: skip
_links: weakref.WeakKeyDictionary[Any, ClientLink] = weakref.WeakKeyDictionary()
"""By the driver's connection: what a replay has it reach."""


class _Heard:
    """Hears what passes on a connection that is recorded; what connects it is no call.

    Attributes:
        greeting: what the server said first.
        watched: is told of the rest.
    """

    def __init__(self) -> None:
        self.greeting: Mapping[str, Any] | None = None
        self.watched: Watched | None = None
        self._sent = bytearray()

    def sent(self, data: bytes) -> None:
        """Take what was sent: whole packets are told, in one or several pieces."""
        if self.watched is None:
            return
        self._sent += data
        while len(self._sent) >= _HEADER:
            stop = _HEADER + int.from_bytes(self._sent[:3], "little")
            if stop > len(self._sent):
                return
            packet = bytes(self._sent[:stop])
            del self._sent[:stop]
            self.watched.wrote(packet)

    def received(self, data: bytes) -> None:
        """Take what was received."""
        if self.watched is not None:
            self.watched.arrived(data)
        elif self.greeting is None:
            packet = next(wire.packets(data), None)
            self.greeting = {} if packet is None else greeting.facts_in(packet.payload)


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Give the arguments of a connection by their names."""
    named = {**dict(zip(_ARGUMENTS, args, strict=False)), **kwargs}
    return {_SYNONYMS.get(name, name): value for name, value in named.items()}


def _address(named: Mapping[str, Any]) -> tuple[str, int | None]:
    if named.get("unix_socket"):
        return str(named["unix_socket"]), None
    return str(named.get("host") or "localhost"), int(named.get("port") or _PORT)


def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around all that is done to connect: in a replay to a socket of ours."""
    from MySQLdb import _mysql  # noqa: PLC0415 - the driver is there when a connection of it is made

    named = _named(args, kwargs)
    with connecting.attempt(NAME):
        responder = seams.responder(NAME)
        if responder is None and seams.is_off(NAME):
            return wrapped(*args, **kwargs)
        if not client_library.listens(_mysql):
            _cannot(responder)
            return wrapped(*args, **kwargs)
        if responder is not None:
            return _connect_nowhere(wrapped, instance, named, responder)
        return _connect_recorded(wrapped, instance, named, (args, kwargs))


def _cannot(responder: Responder | None) -> None:
    """Say that the library does not tell what passes."""
    said = "mysqlclient is built on a client library other than MariaDB's, which does not tell what passes"
    if responder is not None:
        responder.refuse(f"{said}: build it on libmariadb (libmariadb-dev)")
    faults.tell_off(RuntimeError(f"{said}: its calls are not recorded"))


def _connect_recorded(wrapped: Any, connection: Any, named: Mapping[str, Any], given: Any) -> None:
    args, kwargs = given
    heard = _Heard()
    client_library.connecting.listener = heard
    try:
        wrapped(*args, **kwargs)
    except BaseException:
        client_library.forget(heard)
        raise
    finally:
        client_library.connecting.listener = None
    weakref.finalize(connection, client_library.forget, heard)
    try:
        _watch(connection, heard, named)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("mysqlclient.watch", error)


def _watch(connection: Any, heard: _Heard, named: Mapping[str, Any]) -> None:
    both = connection.client_flag & connection.server_capabilities
    if both & (_COMPRESSED | _WITHOUT_EOF) or not heard.greeting:
        faults.tell_off(RuntimeError("a connection of mysqlclient is compressed: it is not recorded"))
        return
    known = {**heard.greeting, "thread": connection.thread_id()}
    known["status"] = 2 if connection.get_autocommit() else 0
    heard.watched = Watched(NAME, _address(named), str(named.get("database") or ""), known)


def _connect_nowhere(wrapped: Any, connection: Any, named: dict[str, Any], responder: Responder) -> None:
    server = Server(NAME, responder, peer_of(_address(named), str(named.get("database") or "")), offers_tls=False)
    link = ClientLink(server)
    client_library.connecting.listener = link
    try:
        elsewhere = {name: value for name, value in named.items() if name not in _ELSEWHERE}
        wrapped(**elsewhere, host="localhost", unix_socket=link.address)
    except Exception:  # of any class, it is raised again
        client_library.forget(link)
        link.close()
        if link.failure is not None:
            raise link.failure from None
        raise
    finally:
        client_library.connecting.listener = None
    server.connected()
    _links[connection] = link
    weakref.finalize(connection, _unlink, link)
    if hasattr(connection, "_set_attributes"):
        connection._set_attributes(**named)  # noqa: SLF001 - what the driver says of itself


def _unlink(link: ClientLink) -> None:
    client_library.forget(link)
    link.close()


def _asks(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what asks the server: a miss is raised in the place of the library's error."""
    link = _links.get(instance)
    if link is None:
        return wrapped(*args, **kwargs)
    try:
        return wrapped(*args, **kwargs)
    except Exception:  # as above
        failure, link.failure = link.failure, None
        if failure is not None:
            raise failure from None
        raise


def _host_info(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if instance not in _links:
        return wrapped(*args, **kwargs)
    host = getattr(instance, "host", None) or "localhost"
    return "Localhost via UNIX socket" if host == "localhost" else f"{host} via TCP/IP"


_CONNECTION: Final = "MySQLdb.connections"

INTEGRATION = family.declared(
    NAME,
    (
        Patch(_CONNECTION, "Connection.__init__", _connect),
        Patch(_CONNECTION, "Connection.get_host_info", _host_info),
        *(Patch(_CONNECTION, f"Connection.{name}", _asks, required=False) for name in _ASKING),
    ),
    packages={"MySQLdb": NAME},
    oldest=(NAME, (2, 0)),
    instrumentors=(Instrumentor(NAME, "MySQLdb"),),
    plumbing=("MySQLdb.",),
)
