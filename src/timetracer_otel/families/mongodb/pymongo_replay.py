"""MongoDB in replay: connections that are none, and replies from the cassette, in the caller."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NoReturn, Self

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.mongodb import bson_walk, family, going_out, report, wire
from timetracer_otel.families.mongodb import pymongo_cursors as cursors
from timetracer_otel.families.mongodb import pymongo_server as server
from timetracer_otel.families.nowhere import Dialogue, Fail, Peer, Reply, Wait
from timetracer_otel.families.nowhere.recorded import failure
from timetracer_otel.seams import Answer, Description, GoesOut, Responder, Runtime, exceptions

__all__ = ["STEP", "Connection", "Generation", "connect", "early_description", "raise_recorded", "retire_live"]

STEP = "timetracer.mongodb.step"
"""The driver's step that failed before any command was sent."""
MORE_TO_COME = "timetracer.mongodb.more_to_come"
"""On a reply that the server lets others follow by itself."""

_NAME = server.NAME
_MORE_TO_COME = 2  # OP_MSG flag bit 1 (MongoDB wire protocol, OP_MSG)


def _saying(document: bytes, *, more: bool = False) -> Any:
    from pymongo.message import _OpMsg  # noqa: PLC0415 - the driver is there when a connection of it is

    return _OpMsg(_MORE_TO_COME if more else 0, document)


def _time_left() -> float:
    """Seconds to the deadline that the app gave the driver: one that fails sooner would be retried."""
    from pymongo import _csot  # noqa: PLC0415 - the driver is there when a connection of it is

    return max(_csot.remaining() or 0.0, 0.0)


class Commands(Dialogue[Any]):
    """What a server says to the driver's messages, in messages of the driver's class.

    A command is matched when its reply is received: there the driver takes an error for what it is.

    Args:
        responder: gives the recorded calls.
        address: the (host, port) that the driver believes in.
    """

    def __init__(self, responder: Responder, address: tuple[str, int | None]) -> None:
        self._responder = responder
        self._runtime = seams.installed.runtime
        self._address = address
        self._streaming: cursors.OpenCursor | None = None

    @property
    def is_over(self) -> bool:
        """Whether the replay that it answers for is over."""
        return seams.installed.runtime is not self._runtime or _NAME in seams.switched_off

    def feed(self, data: bytes) -> Iterable[Reply[Any]]:
        """Take a message; what expects no reply is answered for now, so that a miss shows where it happened."""
        name = wire.command_name(data)
        if name is None or name.lower() in wire.GUARDED:
            data = wire.redacted(data)  # as it was recorded
        message = wire.parse_message(data)
        said = self._answer(message, data)
        if message.more_to_come:
            deque(said, maxlen=0)
        return said

    def awaited(self) -> Iterable[Reply[Any]]:
        """The next one of an exhaust cursor."""
        cursor = self._streaming
        answer = cursor.next() if cursor is not None else None
        if answer is None:
            self._responder.refuse("an exhaust cursor asks for more batches than were recorded: record it to its end")
        return self._decode(answer, cursor)

    def _answer(self, message: wire.Message, buf: bytes) -> Iterator[Reply[Any]]:
        name = message.name
        if name in server.ADMINISTRATION and server.is_drivers_own(message):
            yield _saying(server.made_up(message, self._responder, self._address))
        elif name == "getMore" and not going_out.is_open(wire.getmore_cursor_id(message)):
            yield from self._next_batch(message)
        else:
            try:
                yield from self._decode(self._recorded(message, buf))
            except GoesOut:
                said = going_out.exchange(self._address, buf, answered=not message.more_to_come)
                yield _saying(server.acknowledged() if said is None else said)

    def _recorded(self, message: wire.Message, buf: bytes) -> Answer:
        """Find the recorded call that answers; the batches of a real server's cursor are that server's."""
        if message.name == "getMore":
            raise GoesOut
        return self._responder.answer(
            family.asked(message),
            lambda: report.render(buf, None)["request"],
            recording=lambda: spans.encode_binary(spans.REQUEST, buf),
        )

    def _next_batch(self, message: wire.Message) -> Iterator[Reply[Any]]:
        """Only the cursor's own next batch will do: what another cursor was given looks the same from here."""
        cursor = cursors.continued(wire.getmore_cursor_id(message))
        answer = cursor.next() if cursor is not None else None
        if cursor is None or (answer is None and not cursor.tailable):
            what = " ".join(family.describe(message).key)
            self._responder.refuse(
                f"no recorded call answers {what}: the recorded app did not read this cursor so far; "
                "record it to where it is read now"
            )
        if answer is not None:
            yield from self._decode(answer, cursor)
            return
        # The recording ended while it was open: it has nothing new.
        yield Wait(cursor.patience(wire.max_time_ms(message)))
        yield _saying(server.no_batch(cursor))

    def _decode(self, answer: Answer, cursor: cursors.OpenCursor | None = None) -> Iterator[Reply[Any]]:
        recorded = answer.recorded
        if wait := self._responder.wait(recorded):
            yield Wait(wait)
        if spans.ERROR in recorded.attributes:
            if cursor is not None:
                cursors.close([cursor.id])
            yield from failure(self._responder, recorded, _time_left)
        else:
            yield self._reply(answer, cursor)

    def _reply(self, answer: Answer, cursor: cursors.OpenCursor | None) -> Any:
        recorded = answer.recorded
        document = recorded.payload(spans.RESPONSE)
        if document is None:
            return self._unanswered(recorded)
        if answer.bindings:
            document = bson_walk.rebind(document, answer.bindings)
        recorded_id = wire.cursor_id(document)
        if recorded_id:
            cursor = cursor or cursors.opened(self._responder, recorded, recorded_id, wire.cursor_namespace(document))
            document = wire.set_cursor_id(document, cursor.id)
        elif cursor is not None:
            cursors.close([cursor.id])
        more = bool(recorded.attributes.get(MORE_TO_COME))
        self._streaming = cursor if more else None
        return _saying(document, more=more)

    def _unanswered(self, recorded: Span) -> Any:
        request = recorded.payload(spans.REQUEST)
        if request is None or not wire.parse_message(request).more_to_come:
            self._responder.refuse("the recording ended before this call was answered: record it to its end")
        return _saying(server.acknowledged())  # the driver awaits none


class Connection:
    """A connection of the driver that reaches nowhere. It answers in the thread or task that asks.

    Args:
        dialogue: says what the server answers.
    """

    def __init__(self, dialogue: Commands) -> None:
        self._dialogue = dialogue
        self._peer = Peer(dialogue)
        self._timeout: float | None = None
        self.closed = False

    @property
    def is_over(self) -> bool:
        """Whether the replay that made it is over."""
        return self._dialogue.is_over

    # What the driver asks of a socket or of its networking interface.

    def gettimeout(self) -> float | None:
        """The timeout, in seconds."""
        return self._timeout

    def settimeout(self, timeout: float | None) -> None:
        """Keep a timeout that nothing waits for, in seconds."""
        self._timeout = timeout

    def close(self) -> Any:
        """Be closed; what the driver's own gives, which may be awaited."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it is closed."""
        return self.closed

    @property
    def get_conn(self) -> Connection:
        """Itself: the driver asks its networking interface for the connection."""
        return self

    @property
    def sock(self) -> Connection:
        """Itself, as :attr:`get_conn`."""
        return self

    def send(self, buf: bytes) -> None:
        """Take a message."""
        self._peer.feed(buf)

    def sendall(self, _buf: bytes) -> NoReturn:
        """What the driver calls when our patches are gone: a client that outlives the replay must connect anew."""
        raise ConnectionResetError("the replay that made this connection is over")

    write = sendall

    def receive(self) -> Any:
        """Give the reply to the message last sent, or the next one of an exhaust cursor."""
        reply = self._peer.awaited()
        if isinstance(reply, Wait):
            time.sleep(reply.seconds or 0.0)
            return self.receive()
        return _given(reply)

    async def receive_async(self) -> Any:
        """As :meth:`receive`; what has to wait waits on the loop."""
        reply = self._peer.awaited()
        if isinstance(reply, Wait):
            await asyncio.sleep(reply.seconds or 0.0)
            return await self.receive_async()
        return _given(reply)


def _given(reply: Any) -> Any:
    if isinstance(reply, Fail):
        raise reply.make()
    return reply


class AsyncConnection(Connection):
    """The same for the asynchronous driver since 4.13, whose interface has a property and a coroutine instead."""

    @property
    def gettimeout(self) -> float | None:  # type: ignore[override]  # the driver's own two interfaces differ so
        return self._timeout

    async def close(self) -> None:
        self.closed = True


class Generation(int):
    """The generation of a connection, by which the driver's pool knows which are of before.

    One that reaches nowhere is of before as soon as its replay is over. The pool drops it then without a command that
    fails, also when our patches are gone.
    """

    connection: Connection

    @classmethod
    def of(cls, number: int, connection: Connection) -> Self:
        """Give the generation of a connection.

        Args:
            number: the driver's own.
            connection: that reaches nowhere.
        """
        made = cls(number)
        made.connection = connection
        return made

    def __ne__(self, other: object) -> bool:
        return self.connection.is_over or int(self) != other

    def __eq__(self, other: object) -> bool:
        return not self != other

    __hash__ = int.__hash__


def retire_live(pool: Any) -> None:
    """In a replay let a pool drop the connections that were opened before it, as those of an older generation.

    Args:
        pool: the driver's.
    """
    runtime = seams.installed.runtime
    if runtime is None or not runtime.answers:
        return
    live = [conn for conn in tuple(pool.conns) if not isinstance(conn.conn, Connection)]
    if live and runtime.responder(_NAME) is not None:
        for conn in live:
            conn.generation = -1


def refuse_live(runtime: Runtime) -> None:
    """Keep a connection that was opened before the replay from being used: the driver then makes another one.

    Args:
        runtime: of this process.

    Raises:
        ConnectionResetError: there is a replay.
    """
    if runtime.responder(_NAME) is not None:
        raise ConnectionResetError("this connection was opened before the replay began")


@cache
def early_description(step: str) -> Description:
    """How a failure before any command is addressed: by the driver's step."""
    return Description(("mongodb", "", step, ""), b"", (), read=False, subjects=())


def raise_recorded(responder: Responder, step: str) -> None:
    """Raise what that step of the driver raised in the recording, if its turn has come in this lane.

    Args:
        responder: gives the recorded calls.
        step: the driver's name of it.
    """
    answer = responder.next_in_lane(early_description(step))
    if answer is not None and (error := answer.recorded.text(spans.ERROR)) is not None:
        raise exceptions.rebuilt(error)


def is_driver_error(error: Exception) -> bool:
    """Whether an exception is one of the driver's own."""
    errors = sys.modules.get("pymongo.errors")
    return errors is not None and isinstance(error, errors.PyMongoError)


def connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the making of a connection: in a replay one that reaches nowhere."""
    responder = seams.responder(_NAME)
    if responder is not None:
        server.refuse_if_down(responder, args[0])
        return Connection(Commands(responder, args[0]))
    token = seams.live_io.set(True)
    try:
        return wrapped(*args, **kwargs)
    finally:
        seams.live_io.reset(token)


async def connect_async(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(_NAME)
    if responder is not None:
        server.refuse_if_down(responder, args[0])
        kind = AsyncConnection if "interface" in wrapped.__name__ else Connection
        return kind(Commands(responder, args[0]))
    token = seams.live_io.set(True)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        seams.live_io.reset(token)


def conn_closed(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if isinstance(instance.conn, Connection):
        return instance.conn.closed
    return wrapped(*args, **kwargs)


def authenticate(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    return None if isinstance(args[1].conn, Connection) else wrapped(*args, **kwargs)


async def authenticate_async(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    return None if isinstance(args[1].conn, Connection) else await wrapped(*args, **kwargs)
