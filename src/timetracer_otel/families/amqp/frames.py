"""AMQP's frames: cut out of what a client sends, and made for what a broker says.

Source: https://www.rabbitmq.com/amqp-0-9-1-reference; the numbers of classes and methods are its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from timetracer_otel.families.amqp.fields import encoded_properties, short

__all__ = [
    "BODY",
    "FRAME_MAX",
    "HEADER",
    "HEARTBEAT",
    "METHOD",
    "NUMBERS",
    "Frame",
    "Reader",
    "content",
    "cut",
    "delivery",
    "frame",
    "method",
]

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
FRAME_MAX: Final = 131072
"""Bytes of a frame at most, as RabbitMQ has it when nobody says otherwise."""
_AROUND: Final = 8
_END: Final = b"\xce"
_GREETING: Final = b"AMQP"
_BASIC: Final = 60

NUMBERS: Final[Mapping[str, tuple[int, int]]] = {
    "connection.start": (10, 10), "connection.start-ok": (10, 11), "connection.tune": (10, 30),
    "connection.tune-ok": (10, 31), "connection.open": (10, 40), "connection.open-ok": (10, 41),
    "connection.close": (10, 50), "connection.close-ok": (10, 51), "connection.update-secret": (10, 70),
    "connection.update-secret-ok": (10, 71),
    "channel.open": (20, 10), "channel.open-ok": (20, 11), "channel.flow": (20, 20), "channel.flow-ok": (20, 21),
    "channel.close": (20, 40), "channel.close-ok": (20, 41),
    "exchange.declare": (40, 10), "exchange.declare-ok": (40, 11), "exchange.delete": (40, 20),
    "exchange.delete-ok": (40, 21), "exchange.bind": (40, 30), "exchange.bind-ok": (40, 31),
    "exchange.unbind": (40, 40), "exchange.unbind-ok": (40, 51),
    "queue.declare": (50, 10), "queue.declare-ok": (50, 11), "queue.bind": (50, 20), "queue.bind-ok": (50, 21),
    "queue.purge": (50, 30), "queue.purge-ok": (50, 31), "queue.delete": (50, 40), "queue.delete-ok": (50, 41),
    "queue.unbind": (50, 50), "queue.unbind-ok": (50, 51),
    "basic.qos": (60, 10), "basic.qos-ok": (60, 11), "basic.consume": (60, 20), "basic.consume-ok": (60, 21),
    "basic.cancel": (60, 30), "basic.cancel-ok": (60, 31), "basic.publish": (60, 40), "basic.return": (60, 50),
    "basic.deliver": (60, 60), "basic.get": (60, 70), "basic.get-ok": (60, 71), "basic.get-empty": (60, 72),
    "basic.ack": (60, 80), "basic.reject": (60, 90), "basic.recover-async": (60, 100), "basic.recover": (60, 110),
    "basic.recover-ok": (60, 111), "basic.nack": (60, 120),
    "confirm.select": (85, 10), "confirm.select-ok": (85, 11),
    "tx.select": (90, 10), "tx.select-ok": (90, 11), "tx.commit": (90, 20), "tx.commit-ok": (90, 21),
    "tx.rollback": (90, 30), "tx.rollback-ok": (90, 31),
}  # fmt: skip
"""Class and method of each name."""
_NAMES: Final = {number: name for name, number in NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a client.

    Attributes:
        kind: METHOD, HEADER, BODY or HEARTBEAT; 0 for the greeting that a connection begins with.
        channel: that it is for.
        payload: what it holds.
    """

    kind: int
    channel: int
    payload: bytes

    @property
    def name(self) -> str:
        """The name of the method; empty of one that is unknown."""
        return _NAMES.get(struct.unpack_from(">HH", self.payload), "")

    @property
    def body_size(self) -> int:
        """In a header: bytes of the body that follows."""
        size: int = struct.unpack_from(">Q", self.payload, 4)[0]
        return size

    @property
    def properties(self) -> bytes:
        """In a header: the properties, with their flags."""
        return self.payload[12:]


class Reader:
    """Reads the arguments of a method, one after the other."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 4

    def number(self, form: str) -> int:
        """Read a number.

        Args:
            form: of it, as :mod:`struct` has it.
        """
        value: int = struct.unpack_from(">" + form, self._payload, self._at)[0]
        self._at += struct.calcsize(">" + form)
        return value

    def short(self) -> str:
        """Read a short string."""
        size = self.number("B")
        raw = self._payload[self._at : self._at + size]
        self._at += size
        return raw.decode("utf-8", "replace")

    def bit(self, place: int) -> bool:
        """Read one of the bits that stand together; they are passed over by reading a number.

        Args:
            place: from 0.
        """
        return bool(self._payload[self._at] >> place & 1)


def cut(data: bytearray) -> Iterator[Frame]:
    """Take the whole frames from the beginning of what a client has sent.

    Args:
        data: what is taken is removed.
    """
    while len(data) >= _AROUND:
        if data.startswith(_GREETING):
            del data[:_AROUND]
            yield Frame(0, 0, b"")
            continue
        kind, channel, size = struct.unpack_from(">BHI", data)
        if len(data) < size + _AROUND:
            return
        payload = bytes(data[7 : 7 + size])
        del data[: size + _AROUND]
        yield Frame(kind, channel, payload)


def frame(kind: int, channel: int, payload: bytes) -> bytes:
    """Make a frame.

    Args:
        kind: METHOD, HEADER, BODY or HEARTBEAT.
        channel: that it is for.
        payload: what it holds.
    """
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + _END


def method(channel: int, name: str, arguments: bytes = b"") -> bytes:
    """Make the frame of a method.

    Args:
        channel: that it is for.
        name: such as ``queue.declare-ok``.
        arguments: encoded.
    """
    return frame(METHOD, channel, struct.pack(">HH", *NUMBERS[name]) + arguments)


def content(channel: int, properties: Mapping[str, Any] | bytes, body: bytes, most: int = FRAME_MAX) -> bytes:
    """Make the frames of a message, which follow a method.

    Args:
        channel: that it is for.
        properties: of the message; bytes when they are encoded.
        body: of the message.
        most: bytes of a frame.
    """
    raw = properties if isinstance(properties, bytes) else encoded_properties(properties)
    frames = [frame(HEADER, channel, struct.pack(">HHQ", _BASIC, 0, len(body)) + raw)]
    size = most - _AROUND
    frames += [frame(BODY, channel, body[at : at + size]) for at in range(0, len(body), size)]
    return b"".join(frames)


def delivery(tag: int, exchange: str, routing_key: str, *, redelivered: bool) -> bytes:
    """Encode what a delivery and the answer to ``basic.get`` say of a message.

    Args:
        tag: of the delivery.
        exchange: that the message came by.
        routing_key: of it.
        redelivered: whether it was delivered before.
    """
    return struct.pack(">QB", tag, redelivered) + short(exchange) + short(routing_key)
