"""MongoDB in replay: connections that are none, a made-up server, and replies from the cassette, in the caller."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.families import mongodb
from timetracer_otel.seams import Answer, Description, Responder, rebuilt
from timetracer_otel.seams.integration import Wrapper

__all__ = ["STEP", "Connection", "connect", "early_description", "raise_recorded"]

STEP = "timetracer.mongodb.step"
"""The driver's step that failed before any command was sent."""

_NAME = "pymongo"
_MORE_TO_COME = 2
_SECONDARY = "secondary.timetracer.invalid"  # RFC 2606: never resolves; it is never asked to
_cursor_ids = count(1 << 40)
_cursors: dict[int, Iterator[Span]] = {}
"""What is still to come of each cursor that a reply opened, by the id that the app was given."""
_seeds: dict[tuple[str, int | None], Any] = {}
"""The topology settings by server address: what the URI wants the server to be."""
_TAILABLE_WAIT = 1000  # milliseconds, the server's own default for awaitData (maxAwaitTimeMS)


class Connection:
    """A connection of the driver that reaches nowhere. It answers in the thread or task that asks.

    Args:
        responder: gives the recorded calls.
        address: the (host, port) that the driver believes in.
    """

    def __init__(self, responder: Responder, address: tuple[str, int | None]) -> None:
        self._responder = responder
        self._address = address
        self._replies: deque[Callable[[], tuple[int, bytes]]] = deque()
        self._timeout: float | None = None
        self._streaming: Iterator[Span] | None = None
        self.closed = False

    # What the driver asks of a socket or of its networking interface.

    def gettimeout(self) -> float | None:
        return self._timeout

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def close(self) -> Any:  # noqa: ANN401 - None, or an awaitable in the asynchronous driver
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    @property
    def get_conn(self) -> Connection:
        return self

    @property
    def sock(self) -> Connection:
        return self

    def send(self, buf: bytes) -> None:
        """Take a message; what expects no reply is answered for now, so that a miss shows where it happened."""
        message = mongodb.parse_message(buf)
        if message.more_to_come:
            self._answer(message, buf)
        else:
            self._replies.append(lambda: self._answer(message, buf))

    def receive(self) -> Any:  # noqa: ANN401 - the driver's _OpMsg
        """Give the reply to the message last sent, or the next one of an exhaust cursor."""
        return self._reply(time.sleep)

    async def receive_async(self) -> Any:  # noqa: ANN401 - the driver's _OpMsg
        """As :meth:`receive`; what has to wait waits on the loop."""
        waits: list[float] = []
        reply = self._reply(waits.append)
        for seconds in waits:
            await asyncio.sleep(seconds)
        return reply

    def _reply(self, wait: Callable[[float], None]) -> Any:  # noqa: ANN401 - the driver's _OpMsg
        from pymongo.message import _OpMsg  # noqa: PLC0415 - the driver is there when a connection of it is

        if self._replies:
            flags, document = self._replies.popleft()()
        else:
            recorded = next(self._streaming or iter(()), None)
            if recorded is None:
                raise CassetteError("an exhaust cursor asks for more batches than were recorded; record it to its end")
            flags, document = self._decode(self._responder.serve(recorded))
        if flags < 0:
            wait(-flags / 1000)
            flags = 0
        return _OpMsg(flags, document)

    def _answer(self, message: mongodb.Message, buf: bytes) -> tuple[int, bytes]:
        """Give flags and document; negative flags are milliseconds to wait first."""
        made_up = self._made_up(message)
        if made_up is not None:
            return 0, made_up
        cursor = mongodb.getmore_cursor_id(message)
        if cursor is not None and cursor in _cursors:
            return self._next_batch(cursor, message)
        description = mongodb.describe(message)
        answer = self._responder.answer(description, lambda: mongodb.render(buf, None)["request"])
        return self._decode(answer)

    def _decode(self, answer: Answer, live_cursor: int | None = None) -> tuple[int, bytes]:
        recorded = answer.recorded
        if (error := recorded.text(spans.ERROR)) is not None:
            raise rebuilt(error)
        reply = recorded.payload(spans.RESPONSE)
        if reply is None:
            return 0, _document({"ok": 1.0})  # unacknowledged: the driver makes the same up
        reply = mongodb.rebind(reply, answer.bindings)
        cursor = mongodb.cursor_id(reply)
        if cursor:
            if live_cursor is None:
                live_cursor = next(_cursor_ids)
                _cursors[live_cursor] = _batches(self._responder, recorded, cursor)
                _note_tailable(live_cursor, recorded)
            reply = mongodb.set_cursor_id(reply, live_cursor)
        elif live_cursor is not None:
            _cursors.pop(live_cursor, None)
        more = bool(recorded.attributes.get("timetracer.mongodb.more_to_come"))
        if more and self._streaming is None:
            self._streaming = _continuations(self._responder, recorded)
        elif not more:
            self._streaming = None
        return (_MORE_TO_COME if more else 0), reply

    def _next_batch(self, cursor: int, message: mongodb.Message) -> tuple[int, bytes]:
        recorded = next(_cursors[cursor], None)
        if recorded is not None:
            return self._decode(self._responder.serve(recorded), cursor)
        # The recording ended while the cursor was open. Nothing new is what a tailable cursor says of that; any
        # other cursor's missing batch is a miss, which the responder words.
        if cursor in _tailable:
            wait, namespace = _tailable[cursor]
            return -wait, _document({"cursor": {"nextBatch": [], "id": cursor, "ns": namespace}, "ok": 1.0})
        description = mongodb.describe(message)
        return self._decode(self._responder.answer(description, lambda: mongodb.render_message(message)), cursor)

    def _made_up(self, message: mongodb.Message) -> bytes | None:
        name = message.name
        if name in ("hello", "ismaster", "isMaster"):
            return _document(self._hello())
        if name == "killCursors":
            return _document({"cursorsKilled": [], "cursorsNotFound": [], "cursorsAlive": [], "cursorsUnknown": [], "ok": 1.0})
        if name in ("endSessions", "logout", "saslStart", "saslContinue", "authenticate"):
            return _document({"ok": 1.0, "done": True, "conversationId": 1, "payload": b""})
        return None

    def _hello(self) -> dict[str, Any]:
        """A hello reply: the recorded limits, and the kind of server that the URI needs or that was recorded."""
        recorded = json.loads(self._responder.facts("timetracer.mongodb.server") or "{}")
        settings = _seeds.get(self._address)
        name = getattr(settings, "replica_set_name", None) or ("rs0" if recorded.get("is_repl") else None)
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
        if recorded.get("is_mongos") and name is None:
            return hello | {"msg": "isdbgrid"}
        if name is None:
            return hello
        return hello | self._member(name, getattr(settings, "seeds", None) or [self._address])

    def _member(self, name: str, seeds: Any) -> dict[str, Any]:  # noqa: ANN401 - the driver's set of addresses
        hosts = sorted(f"{host}:{port or 27017}" for host, port in seeds)
        me = f"{self._address[0]}:{self._address[1] or 27017}"
        primary = hosts[0]
        member: dict[str, Any] = {"setName": name, "setVersion": 1, "hosts": [*hosts, f"{_SECONDARY}:27017"], "primary": primary, "me": me}
        if me != primary:
            member |= {"isWritablePrimary": False, "ismaster": False, "secondary": True}
        return member


class AsyncConnection(Connection):
    """The same for the asynchronous driver since 4.13, whose interface has a property and a coroutine instead."""

    @property
    def gettimeout(self) -> float | None:  # type: ignore[override]  # the driver's own two interfaces differ so
        return self._timeout

    async def close(self) -> None:
        self.closed = True


_tailable: dict[int, tuple[int, str]] = {}
"""Milliseconds to wait and namespace, of cursors that the server would keep open."""


def _note_tailable(cursor: int, opener: Span) -> None:
    message = mongodb.parse_message(opener.payload(spans.REQUEST) or b"")
    if b"$changeStream\x00" in message.body or b"\x08tailable\x00\x01" in message.body:
        key = mongodb.describe(message).key
        _tailable[cursor] = (_TAILABLE_WAIT, f"{key[1]}.{key[3]}")


def _batches(responder: Responder, opener: Span, cursor: int) -> Iterator[Span]:
    """The recorded getMores of a cursor, from the call that opened it until another call opens the same id."""
    after = False
    for call in responder.siblings(opener):
        if call is opener:
            after = True
        elif after and call.text(spans.PLUGIN) == _NAME and (request := call.payload(spans.REQUEST)) is not None:
            asked = mongodb.getmore_cursor_id(mongodb.parse_message(request))
            if asked == cursor:
                yield call
            elif asked is None and mongodb.cursor_id(call.payload(spans.RESPONSE) or b"") == cursor:
                return


def _continuations(responder: Responder, first: Span) -> Iterator[Span]:
    """The recorded replies of an exhaust cursor that followed one another on a connection."""
    last = first.span_id
    for call in responder.siblings(first):
        if call.text("timetracer.mongodb.continues") == last:
            last = call.span_id
            yield call


def early_description(step: str) -> Description:
    """How a failure before any command is addressed: by the driver's step."""
    return Description(("mongodb", "", step, ""), b"", (), read=False)


def raise_recorded(step: str) -> None:
    """Raise what that step of the driver raised in the recording, if its turn has come in this lane."""
    responder = seams.responder(_NAME)
    if responder is None:
        return
    answer = responder.next_in_lane(early_description(step))
    if answer is not None and (error := answer.recorded.text(spans.ERROR)) is not None:
        raise rebuilt(error)


def is_driver_error(error: Exception) -> bool:
    """Whether an exception is one of the driver's own."""
    errors = sys.modules.get("pymongo.errors")
    return errors is not None and isinstance(error, errors.PyMongoError)


def connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
    responder = seams.responder(_NAME)
    if responder is not None:
        return Connection(responder, args[0])
    token = seams.live_io.set(True)
    try:
        return wrapped(*args, **kwargs)
    finally:
        seams.live_io.reset(token)


async def connect_async(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
    responder = seams.responder(_NAME)
    if responder is not None:
        return AsyncConnection(responder, args[0]) if "interface" in wrapped.__name__ else Connection(responder, args[0])
    token = seams.live_io.set(True)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        seams.live_io.reset(token)


def conn_closed(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
    if isinstance(instance.conn, Connection):
        return instance.conn.closed
    return wrapped(*args, **kwargs)


def topology(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
    wrapped(*args, **kwargs)
    if seams.responder(_NAME) is not None:
        settings = instance._settings  # noqa: SLF001 - the driver keeps what the URI wants there
        _seeds.update(dict.fromkeys(settings.seeds, settings))
        _seeds[_SECONDARY, 27017] = settings


def authenticate(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
    return None if isinstance(args[1].conn, Connection) else wrapped(*args, **kwargs)


async def authenticate_async(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
    return None if isinstance(args[1].conn, Connection) else await wrapped(*args, **kwargs)


def ssl_context(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
    """TLS options count only as far as the driver checks them: files that this machine lacks are not opened."""
    if seams.responder(_NAME) is None:
        return wrapped(*args, **kwargs)
    return wrapped(None, None, None, None, *args[4:], **kwargs)


def readable(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
    try:
        return wrapped(*args, **kwargs)
    except OSError:
        if seams.responder(_NAME) is None:
            raise
        return io.StringIO()


def srv(*, asynchronous: bool) -> dict[str, Wrapper]:
    """Wrappers for the SRV resolver: the domain itself stands for its servers, and nothing is looked up."""

    def made_up(give: Callable[[str], Any]) -> Wrapper:
        def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401 - wrapt's signature
            if seams.responder(_NAME) is None:
                return wrapped(*args, **kwargs)
            result = give(instance._SrvResolver__fqdn)  # noqa: SLF001 - the only place that has the name
            return _resolved(result) if asynchronous else result

        return wrapper

    return {
        "get_hosts": made_up(lambda name: [(name, 27017)]),
        "get_hosts_and_min_ttl": made_up(lambda name: ([(name, 27017)], 86400)),
        "get_options": made_up(lambda _name: None),
    }


async def _resolved(result: Any) -> Any:  # noqa: ANN401 - whatever the resolver gives
    return result


def _document(fields: dict[str, Any]) -> bytes:
    import bson  # noqa: PLC0415 - part of the driver, which is there when it asks

    return bson.encode(fields)


def _object_id() -> Any:  # noqa: ANN401 - bson.ObjectId
    import bson  # noqa: PLC0415 - part of the driver, which is there when it asks

    return bson.ObjectId("0" * 24)
