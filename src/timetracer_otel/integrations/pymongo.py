"""MongoDB through PyMongo: MongoClient, AsyncMongoClient and Motor, by the driver's wire messages.

The seam is the pair of functions that send and receive one whole message, in the modules of the driver that hold
them. Above it every method of the driver works without being named.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from functools import partial
from typing import Any

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.cassette.version1 import Library
from timetracer_otel.families.mongodb import answers, bson_walk, family, report, wire
from timetracer_otel.families.mongodb import pymongo_replay as replaying
from timetracer_otel.families.mongodb import pymongo_server as server
from timetracer_otel.families.mongodb import pymongo_topology as topologies
from timetracer_otel.families.mongodb.pymongo_cursors import in_stream
from timetracer_otel.seams import Call, Description, Instrumentor, Integration, Patch, Value, faults
from timetracer_otel.seams.integration import Wrapper

__all__ = ["INTEGRATION"]

NAME = server.NAME
_MORE_TO_COME = 2  # OP_MSG flag bit 1: no reply follows (MongoDB wire protocol, OP_MSG)
_OP_QUERY, _COMPRESSED = 2004, 2012
_kind_of = struct.Struct("<iI").unpack_from
"""Opcode and flags, at byte 12 of a message."""


class _Sending:
    """The step of sending a message, around the driver's own, which may be awaited: finds its call, tells how it went.

    Args:
        buf: the message.

    Raises:
        ConnectionResetError: as :func:`pymongo_replay.refuse_live`.
    """

    __slots__ = ("_buf", "_call")

    def __init__(self, buf: bytes) -> None:
        self._buf = buf
        self._call: Call | None = None
        runtime = seams.installed.runtime
        if runtime is None:
            return
        if runtime.answers:
            replaying.refuse_live(runtime)
        try:
            self._call = _begin(buf)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("pymongo.send", error)

    def __enter__(self) -> None:
        """The message goes out."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if self._call is None:
            return
        try:
            if error is not None:
                _failed(self._call, error)
                return
            opcode, flags = _kind_of(self._buf, 12)
            if opcode == _COMPRESSED:
                self._call.complete()
            elif flags & _MORE_TO_COME:
                self._call.end()
        except Exception as fault:  # noqa: BLE001 - recording never breaks the app
            self._call.lose("pymongo.send", fault)


def _begin(buf: bytes) -> Call | None:
    """Begin to record a message of the app's; what the driver sends for itself is none."""
    name = wire.command_name(buf)
    if (name is None or name in server.ADMINISTRATION) and _is_drivers_own(name, buf):
        call = seams.instrumented(NAME)
        if call is not None:
            call.taken = call.over = True  # log-ins among them: not even masked do they belong into a cassette
        return None
    call = seams.begin(NAME, lambda: _named(name))
    if call is not None:
        may_hold_secret = name is None or name.lower() in wire.GUARDED
        call.put_binary(spans.REQUEST, wire.redacted(buf) if may_hold_secret else buf)
    return call


def _named(operation: str | None) -> tuple[str, dict[str, spans.Attribute]]:
    attributes: dict[str, spans.Attribute] = {"db.system.name": "mongodb", "db.operation.name": operation or ""}
    return f"mongodb.{operation or 'command'}", attributes


def _is_drivers_own(name: str | None, buf: bytes) -> bool:
    if name is None:
        return bool(_kind_of(buf, 12)[0] == _OP_QUERY)  # only greetings still go by it
    return server.is_drivers_own(wire.parse_message(buf))


def _failed(call: Call, error: BaseException) -> None:
    # Cancelled, or interrupted: the driver then tells its listeners nothing, and the span would never end.
    call.own = call.own or not isinstance(error, Exception)
    call.fail(error)
    call.end()


class _Receiving:
    """The step of receiving a message, likewise. It has no state: the call is the pending one."""

    __slots__ = ()

    def __enter__(self) -> None:
        """The driver waits for the reply."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            return
        call = seams.pending.get()
        if call is not None and not call.over and call.attributes.get(spans.PLUGIN) == NAME:
            try:
                _failed(call, error)
            except Exception as fault:  # noqa: BLE001 - recording never breaks the app
                call.lose("pymongo.receive", fault)


_receiving = _Receiving()


def _received(conn: Any, reply: Any) -> Any:
    """Keep a reply with its call, and hand it on."""
    call = seams.pending.get()
    if call is not None and not call.over and (call.attributes.get(spans.PLUGIN) == NAME or _continues(call, conn)):
        try:
            _keep_reply(call, conn, reply)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            call.lose("pymongo.receive", error)
    return reply


def _continues(call: Call, conn: Any) -> bool:
    """Whether a reply is the next batch of an exhaust cursor, which nothing asked for: its call is none yet."""
    if seams.instrumented(NAME) is not call:
        return False
    call.taken = True
    call.attributes[spans.PLUGIN] = NAME
    call.follow(getattr(conn, "_timetracer_last", ""))
    return True


def _keep_reply(call: Call, conn: Any, reply: Any) -> None:
    call.put_binary(spans.RESPONSE, reply.payload_document)
    facts = _server(conn)
    if getattr(conn, "_timetracer_told", None) != (call.lane.id, facts):
        # Once a lane, not with each of its calls. A lane of a forked child or a new server description is told anew.
        conn._timetracer_told = (call.lane.id, facts)  # noqa: SLF001 - our own name on their object
        call.attributes[server.SERVER] = facts
    if reply.more_to_come:
        call.attributes[replaying.MORE_TO_COME] = True
        conn._timetracer_last = call.span_id  # noqa: SLF001 - our own name on their object
    call.end()


def _server(conn: Any) -> str:
    """Give the facts of the server that a replay needs, once for each connection."""
    description = topologies.known.get(conn.address)
    seen, known = getattr(conn, "_timetracer_server", (None, ""))
    if seen is not description or not known:
        limits = ("max_wire_version", "max_bson_size", "max_message_size", "max_write_batch_size")
        traits = {name: getattr(conn, name, None) for name in (*limits, "is_mongos", "is_repl", "is_standalone")}
        if description is not None:
            traits |= topologies.facts(description, conn.address)
        known = json.dumps(traits)
        conn._timetracer_server = (description, known)  # noqa: SLF001 - our own name on their object
    return str(known)


def _sendall(original: Any) -> Any:
    def sendall(conn: Any, buf: Any) -> Any:
        if isinstance(conn, replaying.Connection):
            return conn.send(buf)
        with _Sending(buf):
            return original(conn, buf)

    return sendall


def _async_sendall(original: Any) -> Any:
    async def async_sendall(conn: Any, buf: Any) -> Any:
        if isinstance(conn, replaying.Connection):
            return conn.send(buf)
        with _Sending(buf):
            return await original(conn, buf)

    return async_sendall


def _receive(original: Any) -> Any:
    def receive_message(conn: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(conn.conn, replaying.Connection):
            if type(conn.generation) is not replaying.Generation:
                conn.generation = replaying.Generation.of(conn.generation, conn.conn)
            return conn.conn.receive()
        with _receiving:
            reply = original(conn, *args, **kwargs)
        return _received(conn, reply)

    return receive_message


def _async_receive(original: Any) -> Any:
    async def receive_message(conn: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(conn.conn, replaying.Connection):
            if type(conn.generation) is not replaying.Generation:
                conn.generation = replaying.Generation.of(conn.generation, conn.conn)
            return await conn.conn.receive_async()
        with _receiving:
            reply = await original(conn, *args, **kwargs)
        return _received(conn, reply)

    return receive_message


class _Finding:
    """The step of finding a server, or a connection to it, which fails before there is any command to record.

    Args:
        instance: the topology or the pool.
        step: the driver's name of it.

    Raises:
        Exception: what the recorded program met here, if its turn has come in a replay.
    """

    __slots__ = ("_instance", "_step")

    def __init__(self, instance: Any, step: str) -> None:
        self._instance = instance
        self._step = step
        responder = seams.responder(NAME)
        if responder is not None and not _is_monitors(instance):
            replaying.raise_recorded(responder, step)

    def __enter__(self) -> None:
        """The driver looks for it."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Exception):
            try:
                _record_early(self._instance, self._step, error)
            except Exception as fault:  # noqa: BLE001 - recording never breaks the app
                faults.report("pymongo.before_command", fault)


def _found(topology: Any, server: Any) -> Any:
    """Keep what the driver knows of the servers when it chooses one, and hand that on."""
    try:
        topologies.keep(topology, server.description.address)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("pymongo.topology", error)
    return server


def _select_server(original: Any) -> Any:
    def select_server(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _Finding(self, "select_server"):
            server = original(self, *args, **kwargs)
        return _found(self, server)

    return select_server


def _async_select_server(original: Any) -> Any:
    async def select_server(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _Finding(self, "select_server"):
            server = await original(self, *args, **kwargs)
        return _found(self, server)

    return select_server


def _get_conn(original: Any) -> Any:
    def get_conn(self: Any, *args: Any, **kwargs: Any) -> Any:
        replaying.retire_live(self)
        with _Finding(self, "_get_conn"):
            return original(self, *args, **kwargs)

    return get_conn


def _async_get_conn(original: Any) -> Any:
    async def get_conn(self: Any, *args: Any, **kwargs: Any) -> Any:
        replaying.retire_live(self)
        with _Finding(self, "_get_conn"):
            return await original(self, *args, **kwargs)

    return get_conn


def _is_monitors(instance: Any) -> bool:
    """Whether a pool is that of a monitor, which fails and succeeds for itself. Up to 4.11 it has only no handshake."""
    return bool(getattr(instance, "is_sdam", False)) or not getattr(instance, "handshake", True)


def _record_early(instance: Any, step: str, error: Exception) -> None:
    if seams.active() is None or _is_monitors(instance) or not replaying.is_driver_error(error):
        return
    call = seams.start(NAME, lambda: _named(step))
    if call is not None:
        call.attributes[replaying.STEP] = step
        call.fail(error)
        call.end()


def _describe(recorded: Span) -> Description | None:
    step = recorded.text(replaying.STEP)
    if step is not None:
        return replaying.early_description(step)
    request = recorded.payload(spans.REQUEST)
    if request is None and spans.LOST in recorded.attributes:
        return None
    if request is None:
        # The next batch of an exhaust cursor: served in turn, never asked for.
        return Description(("mongodb", "", "getMore", ""), b"", (), read=True)
    message = wire.parse_message(request)
    return None if server.is_drivers_own(message) else family.asked(message, partial(_read_again, recorded))


def _read_again(recorded: Span) -> wire.Message:
    """A recorded call's message once more: kept decoded, those of a session would take room for nothing."""
    return wire.parse_message(recorded.payload(spans.REQUEST) or b"")


def _reply_values(recorded: Span) -> Iterable[Value]:
    reply = recorded.payload(spans.RESPONSE)
    return () if reply is None else bson_walk.values(reply)


def _answer(recorded: Span) -> bytes:
    reply = recorded.payload(spans.RESPONSE)
    return recorded.span_id.encode() if reply is None else answers.digest(reply, recorded.span_id)


def _render(recorded: Span) -> dict[str, Any]:
    shown = report.render(recorded.payload(spans.REQUEST), recorded.payload(spans.RESPONSE))
    if (error := recorded.text(spans.ERROR)) is not None:
        shown["error"] = spans.json_or_text(error)
    return shown


def _message_patches() -> Iterable[Patch]:
    """The pairs, wherever a version of the driver holds them; ``pool`` always does."""
    for side, pairs in (
        ("synchronous", (("sendall", _sendall), ("receive_message", _receive))),
        (
            "asynchronous",
            (
                ("async_sendall", _async_sendall),
                ("async_receive_message", _async_receive),
                ("receive_message", _async_receive),
            ),
        ),
    ):
        for module in ("network", "pool"):
            for name, maker in pairs:
                required = module == "pool" and not name.endswith("receive_message")
                yield Patch(f"pymongo.{side}.{module}", name, required=required, maker=maker)


def _connection_patches() -> Iterable[Patch]:
    makers: tuple[tuple[str, Wrapper, str], ...] = (
        ("synchronous", replaying.connect, "Connection"),
        ("asynchronous", replaying.connect_async, "AsyncConnection"),
    )
    for side, connect, connection in makers:
        pool = f"pymongo.{side}.pool"
        for name in ("_configured_socket", "_configured_socket_interface", "_configured_protocol_interface"):
            yield Patch(pool, name, connect, required=False)
        yield Patch(pool, f"{connection}.conn_closed", replaying.conn_closed)
        is_sync = side == "synchronous"
        yield Patch(pool, "Pool._get_conn", maker=_get_conn if is_sync else _async_get_conn)
        select_server = _select_server if is_sync else _async_select_server
        yield Patch(f"pymongo.{side}.topology", "Topology.select_server", maker=select_server)
        yield Patch(f"pymongo.{side}.topology", "Topology.__init__", server.topology)
        yield Patch(f"pymongo.{side}.monitor", "Monitor._check_once", server.check, required=False)
        log_in = replaying.authenticate if is_sync else replaying.authenticate_async
        yield Patch(f"pymongo.{side}.auth", "authenticate", log_in)
    client = "pymongo.synchronous.mongo_client"
    yield Patch(client, "MongoClient._init_background", server.one_background, required=False)


def _address_patches() -> Iterable[Patch]:
    yield Patch("pymongo.client_options", "get_ssl_context", server.ssl_context)
    yield Patch("pymongo.common", "open", server.readable)
    yield Patch("pymongo.server_selectors", "apply_single_tag_set", server.any_tags)
    for module, asynchronous in (
        ("srv_resolver", False),
        ("synchronous.srv_resolver", False),
        ("asynchronous.srv_resolver", True),
    ):
        for name, wrapper in server.patches_of_resolver(asynchronous=asynchronous).items():
            yield Patch(f"pymongo.{module}", f"_SrvResolver.{name}", wrapper, required=False)


_READ_CLOCKS = "bson.objectid", *(
    f"pymongo.{name}"
    for name in (
        "_csot", "_telemetry", "client_session_shared", "helpers_shared", "message", "network_layer", "pool_shared",
        *(
            f"{side}.{name}"
            for side in ("asynchronous", "synchronous")
            for name in ("client_session", "command_runner", "network", "pool", "topology")
        ),
    )
)  # fmt: skip
"""Modules that do it several times a command."""

INTEGRATION = Integration(
    name=NAME,
    aliases=("motor",),
    patches=(*_message_patches(), *_connection_patches(), *_address_patches()),
    describe=_describe,
    reply_values=_reply_values,
    answer=_answer,
    render=_render,
    goes_out=True,
    stream=in_stream,
    volatile=frozenset(name.decode() for name in wire.VOLATILE),
    transport=wire.TRANSPORT,
    oldest=(NAME, (4, 9)),
    packages={"pymongo": "pymongo", "bson": "pymongo", "gridfs": "pymongo", "motor": "motor"},
    instrumentors=(
        Instrumentor("pymongo", "pymongo", costly=True),
    ),  # its listener makes the driver copy every message
    version1=(Library("pymongo", system="mongodb"), Library("motor", system="mongodb")),
    plumbing=("pymongo.", "motor.core", "motor.frameworks.", *_READ_CLOCKS),
)
