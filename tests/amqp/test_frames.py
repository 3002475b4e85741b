"""The bytes that a broker which is not there says: drivers read from them what was recorded, in value and type."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pamqp.commands
import pamqp.frame
import pamqp.header
import pika.data
import pika.spec
import pytest
from pamqp.body import ContentBody
from pamqp.header import ProtocolHeader

from tests.support.same import identical
from timetracer_otel.families.amqp import frames
from timetracer_otel.families.amqp.broker import PUBLISHED, Broker
from timetracer_otel.families.amqp.fields import encoded_properties, packed, table, unpacked
from timetracer_otel.families.amqp.messages import Message, published
from timetracer_otel.families.amqp.office import Office
from timetracer_otel.families.messaging import publishing

TABLES: list[dict[str, Any]] = [
    {},
    {"text": "é", "none": None, "yes": True, "no": False, "small": 7, "negative": -7},
    {"list": [1, "two", [3]], "table": {"deep": {"er": 1}}, "bytes": b"\xff\0"},
    {"time": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "money": Decimal("12.50")},
]


@pytest.mark.parametrize("entries", TABLES)
def test_values_survive_json(entries: dict[str, Any]) -> None:
    """What a driver has decoded is the same again behind JSON."""
    assert identical(unpacked(packed(entries)), entries)


@pytest.mark.parametrize("entries", TABLES)
def test_pika_reads_a_table(entries: dict[str, Any]) -> None:
    """Each value comes back with its type."""
    read, size = pika.data.decode_table(table(packed(entries)), 0)
    assert identical(read, entries)
    assert size == len(table(packed(entries)))


def test_pikas_long_numbers_stay_long() -> None:
    """They are a class of their own, which RabbitMQ's counts come as."""
    pieces: list[bytes] = []
    pika.data.encode_table(pieces, {"count": pika.data.long(3)})
    read, _ = pika.data.decode_table(b"".join(pieces), 0)
    again, _ = pika.data.decode_table(table(packed(read)), 0)
    assert identical(again, read)


def test_properties_are_read_by_both_drivers() -> None:
    """All of them, in their order."""
    told: dict[str, Any] = {
        "content_type": "application/json", "content_encoding": "utf-8", "headers": {"a": 1}, "delivery_mode": 2,
        "priority": 5, "correlation_id": "c", "reply_to": "r", "expiration": "60000", "message_id": "m",
        "timestamp": 1767323045, "type": "t", "user_id": "guest", "app_id": "shop",
    }  # fmt: skip
    ours = pika.spec.BasicProperties().decode(encoded_properties(told))
    assert {name: getattr(ours, name) for name in told} == told
    header = frames.content(1, told, b"")
    _, _, read = pamqp.frame.unmarshal(header)
    assert isinstance(read, pamqp.header.ContentHeader)
    assert (read.properties.headers, read.properties.message_type) == ({"a": 1}, "t")


class Client:
    """Sends frames to a broker that is not there, and reads what it says."""

    def __init__(self) -> None:
        self.broker = Broker(Office("pika"))
        self.broker.greet(lambda _reply: None)
        self.send(ProtocolHeader().marshal())

    def send(self, data: bytes) -> list[str]:
        """Send bytes; the names of the frames that come back."""
        said = b"".join(reply for reply in self.broker.feed(data) if isinstance(reply, bytes))
        names = []
        while said:
            size, _channel, frame = pamqp.frame.unmarshal(said)
            names.append(frame.name)
            said = said[size:]
        return names

    def ask(self, *asked: Any, channel: int = 1) -> list[str]:
        """Send methods and contents."""
        return self.send(b"".join(pamqp.frame.marshal(frame, channel) for frame in asked))


def publish(body: bytes) -> tuple[Any, ...]:
    """The frames of a message."""
    return (
        pamqp.commands.Basic.Publish(exchange="", routing_key="q"),
        pamqp.header.ContentHeader(body_size=len(body), properties=pamqp.commands.Basic.Properties()),
        *([ContentBody(body)] if body else []),
    )


def test_what_sets_a_channel_up_is_answered() -> None:
    """Whatever its order, also byte by byte."""
    client = Client()
    opened = b"".join(
        pamqp.frame.marshal(frame, number)
        for frame, number in (
            (pamqp.commands.Connection.Open(), 0),
            (pamqp.commands.Channel.Open(), 1),
            (pamqp.commands.Basic.Qos(prefetch_count=3), 1),
            (pamqp.commands.Tx.Select(), 1),
            (pamqp.commands.Channel.Close(0, "", 0, 0), 1),
        )
    )
    names = [name for byte in opened for name in client.send(bytes([byte]))]
    assert names == ["Connection.OpenOk", "Channel.OpenOk", "Basic.QosOk", "Tx.SelectOk", "Channel.CloseOk"]


def test_confirmations_are_those_that_were_recorded() -> None:
    """A message is accepted, refused or returned, as it was; an empty one too, and one of several frames."""
    client = Client()
    assert client.ask(*publish(b"unconfirmed")) == []
    assert client.ask(pamqp.commands.Confirm.Select()) == ["Confirm.SelectOk"]
    assert client.ask(*publish(b"")) == ["Basic.Ack"]
    client.broker.expect(1, PUBLISHED, {"method": "basic.nack"})
    assert client.ask(*publish(b"x")) == ["Basic.Nack"]
    client.broker.expect(1, PUBLISHED, {"returned": {"reply_code": 312, "reply_text": "NO_ROUTE"}})
    said = client.ask(*publish(b"x" * 300_000))
    assert (said[0], said[1], said[-1]) == ("Basic.Return", "ContentHeader", "Basic.Ack")


def test_a_recorded_close_closes_the_channel() -> None:
    """Instead of the answer, with the code that the broker gave."""
    client = Client()
    client.broker.expect(1, "queue.declare", {"method": "channel.close", "reply_code": 404, "reply_text": "none"})
    assert client.ask(pamqp.commands.Queue.Declare(queue="q", passive=True)) == ["Channel.Close"]
    client.broker.expect(1, "queue.declare", {"method": "queue.declare-ok", "queue": "amq.gen-1", "message_count": 2})
    assert client.ask(pamqp.commands.Queue.Declare(queue="")) == ["Queue.DeclareOk"]


def test_a_message_got_is_the_recorded_one() -> None:
    """With its properties and its body."""
    client = Client()
    came = Message(b"body", "ex", "key", redelivered=True, properties={"headers": {"a": 1}})
    client.broker.expect(1, "basic.get", {"method": "basic.get-ok", "message_count": 3, "came": came})
    assert client.ask(pamqp.commands.Basic.Get(queue="q")) == ["Basic.GetOk", "ContentHeader", "ContentBody"]


def test_messages_compare_by_what_the_app_says() -> None:
    """Not by its instrumentor's headers and the message's own id; a header, a property or a body makes another one."""
    one = published("ex", "key", b'{"a": 1}', {"headers": {"a": 1, "traceparent": "00-1"}, "message_id": "1"})
    same = published("ex", "key", b'{"a": 1}', {"headers": {"a": 1, "traceparent": "00-2"}, "message_id": "2"})
    assert publishing.describe(one) == publishing.describe(same)
    for other in (
        published("ex", "key", b'{"a": 2}', {"headers": {"a": 1}}),
        published("ex", "other", b'{"a": 1}', {"headers": {"a": 1}}),
        published("ex", "key", b'{"a": 1}', {"headers": {"a": 2}}),
        published("ex", "key", b'{"a": 1}', {"headers": {"a": 1}, "priority": 3}),
    ):
        assert publishing.describe(one) != publishing.describe(other)
