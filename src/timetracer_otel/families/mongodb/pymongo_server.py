"""The server that a replay makes up: how it greets, where its addresses come from, what it says of cursors."""

from __future__ import annotations

import errno
import io
import json
import logging
import threading
import weakref
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from timetracer_otel import seams
from timetracer_otel.families.mongodb import pymongo_cursors as cursors
from timetracer_otel.families.mongodb import pymongo_topology as topologies
from timetracer_otel.families.mongodb import wire
from timetracer_otel.seams import Responder
from timetracer_otel.seams.integration import Wrapper

__all__ = [
    "ADMINISTRATION",
    "NAME",
    "SERVER",
    "acknowledged",
    "any_tags",
    "check",
    "is_drivers_own",
    "made_up",
    "no_batch",
    "one_background",
    "patches_of_resolver",
    "readable",
    "refuse_if_down",
    "ssl_context",
    "topology",
]

NAME = "pymongo"
SERVER = "timetracer.mongodb.server"
"""On each call: what the connection knew of the server, as JSON."""

_GREETINGS = frozenset({"hello", "ismaster", "isMaster"})
_LOGINS = frozenset({"saslStart", "saslContinue", "authenticate", "logout"})
ADMINISTRATION = _GREETINGS | _LOGINS | {"endSessions", "killCursors"}
"""Commands of the driver itself: they come and go with connections, and never count as asked."""

_VERSION = "timetracer.library.pymongo"
_warned: set[tuple[str, str]] = set()
_log = logging.getLogger("timetracer_otel")

_SECONDARY = f"secondary.{seams.MADE_UP_DOMAIN}"
_opening = threading.Lock()
_said: weakref.WeakKeyDictionary[Any, dict[tuple[str, int | None], dict[str, Any]]] = weakref.WeakKeyDictionary()
"""How the servers of a topology have greeted, by its settings."""
_seeds: dict[tuple[str, int | None], Any] = {}
"""The topology settings by server address, of seeds and of members: what the URI wants the server to be."""
_knew: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
"""What a topology holds its replica set to, by its settings: it may have met the live one before."""


def is_drivers_own(message: wire.Message) -> bool:
    """Whether the driver sends a command by itself. A greeting with a session is the app's own."""
    return message.name in ADMINISTRATION and not (message.name in _GREETINGS and b"\x03lsid\0" in message.body)


def made_up(message: wire.Message, responder: Responder, address: tuple[str, int | None]) -> bytes:
    """Answer a command of :data:`ADMINISTRATION`.

    Args:
        message: the command.
        responder: knows what was recorded of the server.
        address: that the driver believes in.
    """
    if message.name in _GREETINGS:
        return _document(_hello(responder, address))
    if message.name == "killCursors":
        killed = _killed(message)
        cursors.killed(killed)
        return _document(
            {"cursorsKilled": killed, "cursorsNotFound": [], "cursorsAlive": [], "cursorsUnknown": [], "ok": 1.0}
        )
    return _document({"ok": 1.0, "done": True, "conversationId": 1, "payload": b""})


def acknowledged() -> bytes:
    """What the driver makes up itself for a write that it awaits no reply to."""
    return _document({"ok": 1.0})


def no_batch(cursor: cursors.OpenCursor) -> bytes:
    """What a server answers when a cursor that stays open has nothing new."""
    import bson  # noqa: PLC0415 - part of the driver, which is there when it asks

    return _document({"cursor": {"nextBatch": [], "id": bson.Int64(cursor.id), "ns": cursor.namespace}, "ok": 1.0})


def _killed(message: wire.Message) -> list[int]:
    import bson  # noqa: PLC0415 - part of the driver, which is there when it asks

    return [bson.Int64(cursor) for cursor in bson.decode(message.body).get("cursors", [])]


def _hello(responder: Responder, address: tuple[str, int | None]) -> dict[str, Any]:
    """Greet as before, else as what the cassette tells.

    A client may outlive a replay, as those of test suites do: a driver gives a server up for good that is of another
    kind, or of another set, at its next heartbeat.
    """
    settings = _seeds.get(address)
    said = {} if settings is None else _said.setdefault(settings, {})
    hello = said.get(address)
    if hello is None:
        recorded = responder.facts(SERVER)
        hello = _greeting(responder, address, json.loads(recorded or "{}"))
        if recorded is not None:
            said[address] = hello
    if "lastWrite" not in hello:
        return hello
    return hello | _held_to(settings) | {"lastWrite": {"lastWriteDate": datetime.now(UTC)}}


def _held_to(settings: Any) -> dict[str, Any]:
    """Give what a topology takes a member of its set by: the set's name and last election, where it knows them."""
    return {} if settings is None else _knew.get(settings, {})


def _greeting(responder: Responder, address: tuple[str, int | None], recorded: dict[str, Any]) -> dict[str, Any]:
    """Greet with the recorded limits, as the kind of server that the URI needs or that was recorded.

    No topologyVersion, so that no monitor streams; no compression; no speculative authentication.
    """
    settings = _seeds.get(address)
    beside = _beside(responder, address)
    name = _set_name(settings) or ("rs0" if recorded.get("is_repl") else None)
    hello: dict[str, Any] = {
        "ok": 1.0, "helloOk": True, "isWritablePrimary": True, "ismaster": True, "minWireVersion": 0,
        "maxWireVersion": recorded.get("max_wire_version") or 21,
        "maxBsonObjectSize": recorded.get("max_bson_size") or 16777216,
        "maxMessageSizeBytes": recorded.get("max_message_size") or 48000000,
        "maxWriteBatchSize": recorded.get("max_write_batch_size") or 100000,
        "logicalSessionTimeoutMinutes": 30, "connectionId": 1, "readOnly": False,
    }  # fmt: skip
    if getattr(settings, "load_balanced", False):
        return hello | {"msg": "isdbgrid", "serviceId": _object_id()}
    member = None if beside is None else topologies.greeting(beside, address)
    if member is not None:
        return hello | member | {"lastWrite": {"lastWriteDate": datetime.now(UTC)}}
    if recorded.get("is_mongos") and name is None:
        return hello | {"msg": "isdbgrid"}
    if name is None:
        return hello
    return hello | _member(name, getattr(settings, "seeds", None) or [address], address)


def _beside(responder: Responder, address: tuple[str, int | None]) -> dict[str, Any] | None:
    set_name = _set_name(_seeds.get(address))
    return topologies.recorded_beside(responder.all_facts(SERVER), address, set_name)


def _set_name(settings: Any) -> str | None:
    """Give the name of the replica set that the URI wants, or that the topology has met."""
    return getattr(settings, "replica_set_name", None) or _held_to(settings).get("setName")


def refuse_if_down(responder: Responder, address: tuple[str, int | None]) -> None:
    """Fail to connect to a server that the recorded driver could not reach.

    Args:
        responder: knows what was recorded of the servers.
        address: that the driver connects to.

    Raises:
        ConnectionRefusedError: it was down.
    """
    if topologies.is_down(_beside(responder, address), address):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "the recorded driver could not reach this server")


def _member(name: str, seeds: Iterable[tuple[str, int | None]], address: tuple[str, int | None]) -> dict[str, Any]:
    hosts = sorted(f"{host}:{port or 27017}" for host, port in seeds)
    me = f"{address[0]}:{address[1] or 27017}"
    primary = hosts[0]
    member: dict[str, Any] = {
        "setName": name, "setVersion": 1, "hosts": [*hosts, f"{_SECONDARY}:27017"], "primary": primary, "me": me,
        "lastWrite": {"lastWriteDate": datetime.now(UTC)},  # maxStalenessSeconds asks for it
    }  # fmt: skip
    if me != primary:
        member |= {"isWritablePrimary": False, "ismaster": False, "secondary": True}
    return member


def topology(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Around the making of a topology: keep what its URI wants."""
    wrapped(*args, **kwargs)
    responder = seams.responder(NAME)
    if responder is not None:
        _warn_of_version(responder)
        _keep(instance._settings)  # noqa: SLF001 - the driver keeps what the URI wants there


def check(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Around a monitor's look at its server: likewise, of a topology that was made before the replay, or of a member.

    A member that calls itself otherwise than the URI does greets as before, too, while another cassette is replayed.
    """
    if seams.responder(NAME) is not None:
        _keep(instance._settings)  # noqa: SLF001 - see above
        _seeds[instance._server_description.address] = instance._settings  # noqa: SLF001 - see above
        _knew[instance._settings] = _holds_to(instance._topology.description)  # noqa: SLF001 - see above
    return wrapped(*args, **kwargs)


def _holds_to(description: Any) -> dict[str, Any]:
    """Say what of a set a topology never gives up: a primary of an older election is none to it."""
    known = {
        "setName": description.replica_set_name,
        "setVersion": description.max_set_version,
        "electionId": description.max_election_id,
    }
    return {name: value for name, value in known.items() if value is not None}


def _keep(settings: Any) -> None:
    _seeds.update(dict.fromkeys(settings.seeds, settings))
    _seeds[_SECONDARY, 27017] = settings


def one_background(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Around the making of a client's topology: of a lazy client with an SRV URI each of its first threads makes one.

    The driver (4.13 and later) then asks in a new topology for a server that it found in another, and says that the
    connection pool is paused. That was seen to fail a replay under load.
    """
    if args or kwargs or seams.responder(NAME) is None:
        return wrapped(*args, **kwargs)
    with _opening:
        return None if getattr(instance, "_topology", None) is not None else wrapped()


def _warn_of_version(responder: Responder) -> None:
    """Minor versions of the driver word some commands differently, which then are misses."""
    from pymongo import version  # noqa: PLC0415 - part of the driver, which is there when it asks

    recorded = responder.facts(_VERSION)
    if (
        recorded is not None
        and recorded.split(".")[:2] != version.split(".")[:2]
        and (recorded, version) not in _warned
    ):
        _warned.add((recorded, version))
        _log.warning(
            "timetracer: recorded with pymongo %s, replayed with %s: calls may be missed that only the driver changed; "
            "use the same minor version",
            recorded,
            version,
        )


def any_tags(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Around the choice of servers by tags: nothing is recorded of them, the made-up server has those wanted."""
    return wrapped(*args, **kwargs) if seams.responder(NAME) is None else args[1]


def ssl_context(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """TLS options count only as far as the driver checks them: files that this machine lacks are not opened."""
    if seams.responder(NAME) is None:
        return wrapped(*args, **kwargs)
    return wrapped(None, None, None, None, *args[4:], **kwargs)


def readable(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Around the driver's check that a file of the URI can be read."""
    try:
        return wrapped(*args, **kwargs)
    except OSError:
        if seams.responder(NAME) is None:
            raise
        return io.StringIO()


def patches_of_resolver(*, asynchronous: bool) -> dict[str, Wrapper]:
    """Wrappers for the SRV resolver: it finds the recorded servers, else the domain itself; nothing is looked up."""

    def given(give: Callable[[list[tuple[str, int | None]]], Any]) -> Wrapper:
        def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            responder = seams.responder(NAME)
            if responder is None:
                return wrapped(*args, **kwargs)
            domain: list[tuple[str, int | None]] = [(instance._SrvResolver__fqdn, 27017)]  # noqa: SLF001 - the only place that has the name
            result = give(topologies.hosts(responder.all_facts(SERVER)) or domain)
            return _resolved(result) if asynchronous else result

        return wrapper

    return {
        "get_hosts": given(lambda hosts: hosts),
        "get_hosts_and_min_ttl": given(lambda hosts: (hosts, 86400)),
        "get_options": given(lambda _hosts: None),
    }


async def _resolved(result: Any) -> Any:
    return result


def _document(fields: dict[str, Any]) -> bytes:
    import bson  # noqa: PLC0415 - part of the driver, which is there when it asks

    return bson.encode(fields)


def _object_id() -> Any:
    import bson  # noqa: PLC0415 - part of the driver, which is there when it asks

    return bson.ObjectId("0" * 24)
