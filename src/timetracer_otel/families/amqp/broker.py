"""A broker that is not there, on one connection of an app in a replay.

What an app asks was answered from the cassette at the seam, before its driver sends it: here the driver is told so.
Consumers get the recorded messages in order, as many at once as they take, and are cancelled behind the last one.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from timetracer_otel.cassette.model import Lane
from timetracer_otel.families.amqp import frames
from timetracer_otel.families.amqp.fields import short, table
from timetracer_otel.families.amqp.frames import Frame, Reader, method
from timetracer_otel.families.amqp.messages import Message
from timetracer_otel.families.amqp.numbers import lowest_free
from timetracer_otel.families.amqp.office import Office
from timetracer_otel.families.kinds import message
from timetracer_otel.families.nowhere import Dialogue, Reply, Say

__all__ = ["PUBLISHED", "Broker"]

PUBLISHED: Final = "published"
"""Names what a message is answered, which comes behind its body; see :meth:`Broker.expect`."""

_START: Final = (
    b"\0\x09"
    + table(
        {
            "product": "RabbitMQ",
            "capabilities": {
                "publisher_confirms": True,
                "exchange_exchange_bindings": True,
                "basic.nack": True,
                "consumer_cancel_notify": True,
                "connection.blocked": True,
                "authentication_failure_close": True,
                "per_consumer_qos": True,
                "direct_reply_to": True,
            },
        }
    )
    + struct.pack(">I20sI5s", 20, b"PLAIN EXTERNAL PLAIN", 5, b"en_US")
)
_CHANNELS: Final = 2047
_NOT_RECORDED: Final = 541
_AT_ONCE: Final = 250
"""Messages that a consumer without a limit of its own gets before it has settled any."""
_HAS_NO_ANSWER: Final = frozenset({"connection.start-ok", "connection.close-ok", "channel.close-ok", "basic.cancel-ok"})
_NOWAIT: Final = {"basic.consume": 3, "basic.cancel": 0, "confirm.select": 0}
"""The bit that says that no answer is wanted, in methods that are no calls."""


@dataclass
class _Consumer:
    """One consumer of a channel.

    Attributes:
        tag: that the app knows it by.
        queue: whose messages it gets.
        number: which of the queue's it is.
        no_ack: whether it settles nothing.
        limit: messages that it gets before it has settled any.
        unsettled: delivery tags, and whether the recorded app has said something of that message.
        has_had: whether it got a recorded entry.
        has_settled: whether the app has said something of one.
        is_exhausted: whether there are no more.
    """

    tag: str
    queue: str
    number: int
    no_ack: bool
    limit: int
    unsettled: dict[int, bool] = field(default_factory=dict)
    has_had: bool = False
    has_settled: bool = False
    is_exhausted: bool = False

    @property
    def has_room(self) -> bool:
        """Whether it may get another message."""
        return len(self.unsettled) < self.limit

    def settle(self, tag: int) -> None:
        """Take that the app has said something of a delivery, or never will.

        Args:
            tag: of the delivery.
        """
        if tag in self.unsettled:
            del self.unsettled[tag]
            self.has_settled = True

    @property
    def is_done(self) -> bool:
        """Whether it has got all that was recorded, and said of it what it had."""
        return self.is_exhausted and not any(self.unsettled.values())


@dataclass
class _Channel:
    """One channel of a connection."""

    consumers: dict[str, _Consumer] = field(default_factory=dict)
    prefetch: int = 0
    delivered: int = 0
    confirms: bool = False
    published: int = 0
    told: dict[str, deque[Mapping[str, Any] | None]] = field(default_factory=dict)
    """What is answered to each method, in order, that the seam has found in the cassette."""
    passing: _Passing | None = None
    lanes: dict[int, tuple[str, Lane]] = field(default_factory=dict)
    """Of each delivery that is an entry, the consumer's tag and the recorded lane, until the seam asks for it."""


@dataclass
class _Passing:
    """A message that the app publishes, while it comes in frames."""

    exchange: str
    routing_key: str
    properties: bytes = b""
    size: int = -1
    body: bytearray = field(default_factory=bytearray)


class Broker(Dialogue[bytes]):
    """Answers a driver.

    Args:
        office: that all connections of the app have together.
        over: called behind the last message; then those consumers stay that had none, as answers may come to them.
            Without it all of them are cancelled.

    Attributes:
        heard: how many frames have come from the driver.
    """

    def __init__(self, office: Office, over: Callable[[], object] | None = None) -> None:
        self.heard = 0
        self._office = office
        self._over = over
        self._data = bytearray()
        self._most = frames.FRAME_MAX
        self._channels: dict[int, _Channel] = {}
        self._say: Say[bytes] = lambda _reply: None
        office.open(self)

    # What the seam says.

    def expect(self, channel: int, name: str, reply: Mapping[str, Any] | None) -> None:
        """Take what a method is answered that the driver is about to send.

        Args:
            channel: that it is sent on.
            name: of the method.
            reply: as it was recorded; None for no answer.
        """
        self._channel(channel).told.setdefault(name, deque()).append(reply)

    def lane_of(self, channel: int, tag: int) -> str:
        """Give the recorded lane of a delivery; empty where it is no entry.

        Args:
            channel: of the delivery.
            tag: of it.
        """
        _consumer, lane = self._channel(channel).lanes.pop(tag, ("", None))
        return "" if lane is None else lane.id

    def give_up(self, channel: int, tag: int) -> None:
        """Wait no more for what the app tells of a delivery.

        Args:
            channel: of the delivery.
            tag: of it.
        """
        for consumer in self._channel(channel).consumers.values():
            consumer.settle(tag)
        for reply in list(self._deliver()):
            self._say(reply)

    def takes(self, queue: str) -> bool:
        """Whether a consumer of a queue is here.

        Args:
            queue: its name.
        """
        return any(one.queue == queue for channel in self._channels.values() for one in channel.consumers.values())

    def numbers(self, queue: str) -> list[int]:
        """Give the numbers of a queue's consumers that are here.

        Args:
            queue: its name.
        """
        return [one.number for _, _, one in self._consumers() if one.queue == queue]

    def push(self, queue: str, pushed: Message) -> None:
        """Give a message to a consumer that is here.

        Args:
            queue: whose consumer.
            pushed: that is no entry of its own.
        """
        for number, channel in self._channels.items():
            for consumer in channel.consumers.values():
                if consumer.queue == queue:
                    self._say(self._delivered(number, channel, consumer, pushed))
                    return

    # What the driver says.

    def greet(self, say: Say[bytes]) -> Iterable[Reply[bytes]]:
        """Say nothing before the client has."""
        self._say = say
        return ()

    def feed(self, data: bytes) -> Iterable[Reply[bytes]]:
        """Answer what the driver sends."""
        self._data += data
        came = list(frames.cut(self._data))
        self.heard += len(came)
        return [reply for frame in came for reply in self._answered(frame) if reply]

    def close(self) -> None:
        """Give no more messages."""
        self._office.leave(self)
        for number in list(self._channels):
            self._close_channel(number)

    def _channel(self, number: int) -> _Channel:
        return self._channels.setdefault(number, _Channel())

    def _answered(self, frame: Frame) -> Iterator[bytes]:
        if frame.kind == 0:
            yield method(0, "connection.start", _START)
        elif frame.kind == frames.HEARTBEAT:
            yield frames.frame(frames.HEARTBEAT, 0, b"")
        elif frame.kind == frames.METHOD:
            yield from self._asked(frame)
        else:
            yield from self._passed(frame)

    def _asked(self, frame: Frame) -> Iterator[bytes]:
        name, channel = frame.name, self._channel(frame.channel)
        if channel.told.get(name):
            yield from self._told(frame, channel, channel.told[name].popleft())
            return
        own = getattr(self, "_on_" + name.replace(".", "_").replace("-", "_"), None)
        if own is not None:
            yield from own(frame.channel, channel, Reader(frame.payload))
        elif name + "-ok" in frames.NUMBERS and name not in _HAS_NO_ANSWER:
            yield method(frame.channel, name + "-ok", b"\0\0\0\0" if name == "channel.open" else b"")

    # The connection.

    def _on_connection_start_ok(self, *_: object) -> Iterator[bytes]:
        yield method(0, "connection.tune", struct.pack(">HIH", _CHANNELS, frames.FRAME_MAX, 0))

    def _on_connection_tune_ok(self, _number: int, _channel: _Channel, reader: Reader) -> Iterator[bytes]:
        reader.number("H")
        self._most = reader.number("I") or frames.FRAME_MAX
        yield b""

    def _on_connection_open(self, *_: object) -> Iterator[bytes]:
        yield method(0, "connection.open-ok", short(""))

    # Channels.

    def _on_channel_flow(self, number: int, _channel: _Channel, reader: Reader) -> Iterator[bytes]:
        yield method(number, "channel.flow-ok", struct.pack("B", reader.bit(0)))

    def _on_channel_close(self, number: int, *_: object) -> Iterator[bytes]:
        self._close_channel(number)
        yield method(number, "channel.close-ok")

    def _on_channel_close_ok(self, number: int, *_: object) -> Iterator[bytes]:
        self._close_channel(number)
        yield b""

    def _close_channel(self, number: int) -> None:
        channel = self._channels.pop(number, None)
        if channel is not None:
            self._take_back(channel, list(channel.lanes))

    def _on_confirm_select(self, number: int, channel: _Channel, reader: Reader) -> Iterator[bytes]:
        channel.confirms = True
        if not reader.bit(0):
            yield method(number, "confirm.select-ok")

    def _on_basic_qos(self, number: int, channel: _Channel, reader: Reader) -> Iterator[bytes]:
        reader.number("I")
        channel.prefetch = reader.number("H")
        for consumer in channel.consumers.values() if reader.bit(0) else ():
            consumer.limit = channel.prefetch or _AT_ONCE
        yield method(number, "basic.qos-ok")
        yield from self._deliver()

    # Calls, as they were recorded.

    def _told(self, frame: Frame, channel: _Channel, reply: Mapping[str, Any] | None) -> Iterator[bytes]:
        if reply is not None and reply.get("method") == "channel.close":
            text = short(reply.get("reply_text") or "")
            yield method(frame.channel, "channel.close", struct.pack(">H", reply["reply_code"]) + text + b"\0\0\0\0")
        elif frame.name == "basic.consume":
            yield from self._consume(frame.channel, channel, Reader(frame.payload), answers=reply is not None)
        elif reply is not None:
            yield self._reply(frame.channel, channel, reply)

    def _reply(self, number: int, channel: _Channel, reply: Mapping[str, Any]) -> bytes:
        name = str(reply["method"])
        if name == "queue.declare-ok":
            counts = struct.pack(">II", reply.get("message_count") or 0, reply.get("consumer_count") or 0)
            return method(number, name, short(reply.get("queue") or "") + counts)
        if name in {"queue.purge-ok", "queue.delete-ok"}:
            return method(number, name, struct.pack(">I", reply.get("message_count") or 0))
        if name == "basic.get-ok":
            got, count = reply["came"], struct.pack(">I", reply.get("message_count") or 0)
            return self._content(number, channel, name, got, count)
        return method(number, name, short("") if name == "basic.get-empty" else b"")

    def _content(self, number: int, channel: _Channel, name: str, given: Message, more: bytes = b"") -> bytes:
        channel.delivered += 1
        place = frames.delivery(channel.delivered, given.exchange, given.routing_key, redelivered=given.redelivered)
        lead = more if name == "basic.deliver" else b""
        behind = b"" if lead else more
        return method(number, name, lead + place + behind) + frames.content(
            number, given.properties, given.body, self._most
        )

    # What the app publishes.

    def _on_basic_publish(self, _number: int, channel: _Channel, reader: Reader) -> Iterator[bytes]:
        reader.number("H")
        channel.passing = _Passing(reader.short(), reader.short())
        yield b""

    def _passed(self, frame: Frame) -> Iterator[bytes]:
        channel = self._channel(frame.channel)
        passing = channel.passing
        if passing is None:
            return
        if frame.kind == frames.HEADER:
            passing.properties, passing.size = frame.properties, frame.body_size
        else:
            passing.body += frame.payload
        if len(passing.body) == passing.size:
            channel.passing = None
            yield from self._took(frame.channel, channel, passing)

    def _took(self, number: int, channel: _Channel, passed: _Passing) -> Iterator[bytes]:
        waiting = channel.told.get(PUBLISHED)
        reply = (waiting.popleft() if waiting else None) or {}
        if reply.get("method") == "channel.close":
            text = short(reply.get("reply_text") or "")
            yield method(number, "channel.close", struct.pack(">H", reply["reply_code"]) + text + b"\0\0\0\0")
            return
        if (returned := reply.get("returned")) is not None:
            why = struct.pack(">H", returned["reply_code"]) + short(returned["reply_text"])
            place = short(passed.exchange) + short(passed.routing_key)
            yield method(number, "basic.return", why + place)
            yield frames.content(number, passed.properties, bytes(passed.body), self._most)
        if channel.confirms:
            channel.published += 1
            name = "basic.nack" if reply.get("method") == "basic.nack" else "basic.ack"
            yield method(number, name, struct.pack(">QB", channel.published, 0))

    # Consumers.

    def _on_basic_consume(self, number: int, *_: object) -> Iterator[bytes]:
        yield method(number, "channel.close", struct.pack(">H", _NOT_RECORDED) + short("not recorded") + b"\0\0\0\0")

    def _consume(self, number: int, channel: _Channel, reader: Reader, *, answers: bool) -> Iterator[bytes]:
        reader.number("H")
        queue, tag = reader.short(), reader.short()
        no_ack = reader.bit(1)
        limit = _AT_ONCE if no_ack else channel.prefetch or _AT_ONCE
        consumer = lowest_free(self._office.numbers(queue))
        channel.consumers[tag] = _Consumer(tag, queue, consumer, no_ack, limit)
        if answers:
            yield method(number, "basic.consume-ok", short(tag))
        for pushed in self._office.kept(queue):
            yield self._delivered(number, channel, channel.consumers[tag], pushed)
        yield from self._deliver()

    def _on_basic_cancel(self, number: int, channel: _Channel, reader: Reader) -> Iterator[bytes]:
        tag = reader.short()
        channel.consumers.pop(tag, None)
        self._take_back(channel, [number for number, (of, _lane) in channel.lanes.items() if of == tag])
        if not reader.bit(0):
            yield method(number, "basic.cancel-ok", short(tag))

    def _on_basic_ack(self, _number: int, channel: _Channel, reader: Reader) -> Iterator[bytes]:
        tag, multiple = reader.number("Q"), reader.bit(0)
        for consumer in channel.consumers.values():
            settled = [one for one in consumer.unsettled if one == tag or (multiple and (one <= tag or not tag))]
            for one in settled:
                consumer.settle(one)
            self._take_back(channel, [one for one in settled if one in channel.lanes])
        yield from self._deliver()

    _on_basic_nack = _on_basic_ack

    def _on_basic_reject(self, _number: int, channel: _Channel, reader: Reader) -> Iterator[bytes]:
        tag = reader.number("Q")
        for consumer in channel.consumers.values():
            consumer.settle(tag)
        self._take_back(channel, [tag] if tag in channel.lanes else [])
        yield from self._deliver()

    def _take_back(self, channel: _Channel, tags: list[int]) -> None:
        """Keep deliveries that the driver had and the app did not get for who consumes next, as a broker does."""
        for tag in reversed(tags):
            _consumer, lane = channel.lanes.pop(tag)
            self._office.give_back(lane)

    def _deliver(self) -> Iterator[bytes]:
        """Give recorded messages to consumers that can take them, in order; cancel all behind the last one."""
        given = 0
        while given < _AT_ONCE and (turn := self._turn()) is not None:
            given += 1
            yield self._handed_out(*turn)
        with_entries = [one for _, _, one in self._consumers() if one.has_had]
        if with_entries and all(one.is_done for one in with_entries):
            yield from self._cancel()

    def _turn(self) -> tuple[int, _Channel, _Consumer, Lane] | None:
        """Take the next message that any consumer has room for; None when none has, or there are no more."""
        ready = [one for one in self._consumers() if one[2].has_room and not self._lets_pass(one[2])]
        lane = self._office.next({(one.queue, one.number) for _, _, one in ready})
        for number, channel, one in ready:
            if lane is not None and self._office.suits(lane, one.queue, one.number):
                return number, channel, one, lane
        for number, channel, one in ready:
            # Its own are over. Those of one that is not here, only when it has nothing else to do: it may yet come.
            lane = None if one.unsettled else self._office.next_of_absent(one.queue)
            if lane is not None:
                return number, channel, one, lane
            one.is_exhausted = one.has_had
        return None

    def _lets_pass(self, consumer: _Consumer) -> bool:
        """Whether it is another's turn, which may begin in a moment: until the app has said something of a message."""
        is_new = consumer.has_had and not consumer.no_ack and not consumer.has_settled
        return is_new and not self._office.is_turn_of(consumer.queue, consumer.number)

    def _consumers(self) -> list[tuple[int, _Channel, _Consumer]]:
        return [
            (number, channel, one) for number, channel in self._channels.items() for one in channel.consumers.values()
        ]

    def _handed_out(self, number: int, channel: _Channel, consumer: _Consumer, lane: Lane) -> bytes:
        assert lane.entry is not None  # noqa: S101 - only lanes with one are handed out
        [record, *_] = message.records(lane.entry)
        consumer.has_had, consumer.is_exhausted = True, False
        data = self._delivered(number, channel, consumer, Message.of(record), is_settled=message.is_settled(lane.entry))
        channel.lanes[channel.delivered] = consumer.tag, lane
        return data

    def _delivered(
        self, number: int, channel: _Channel, consumer: _Consumer, given: Message, *, is_settled: bool = False
    ) -> bytes:
        data = self._content(number, channel, "basic.deliver", given, short(consumer.tag))
        if not consumer.no_ack:
            consumer.unsettled[channel.delivered] = is_settled
        return data

    def _cancel(self) -> Iterator[bytes]:
        for number, channel, consumer in self._consumers():
            if consumer.has_had or self._over is None:
                del channel.consumers[consumer.tag]
                yield method(number, "basic.cancel", short(consumer.tag) + b"\x01")
        if self._over is not None:
            self._over()
