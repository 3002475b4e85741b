"""What is known of pika's channels beside what pika knows: calls that wait, consumers, the broker of a replay."""

from __future__ import annotations

from typing import Any, Final

from timetracer_otel.families.amqp.broker import Broker
from timetracer_otel.families.amqp.deliveries import Awaited, Deliveries
from timetracer_otel.families.amqp.fields import PROPERTIES, packed
from timetracer_otel.families.amqp.messages import Message
from timetracer_otel.families.amqp.numbers import Numbers
from timetracer_otel.families.amqp.office import Office
from timetracer_otel.seams import Call

__all__ = [
    "AWAITED",
    "BROKER",
    "NAME",
    "NUMBERS",
    "OFFICE",
    "State",
    "Unconfirmed",
    "broker_of",
    "message_of",
    "properties_of",
    "state_of",
]

NAME: Final = "pika"
BROKER: Final = "_timetracer_broker"
"""Where a connection of a replay has its broker."""
_STATE: Final = "_timetracer"
OFFICE: Final = Office(NAME)
NUMBERS: Final = Numbers()
AWAITED: Final = Awaited()


class State:
    """What is known of one channel.

    Attributes:
        deliveries: that are at work.
        consumers: by tag, the queue, whether nothing is settled, the call that began to consume, the consumer's number.
        waiting: calls that the broker has not answered.
        got: the ``basic.get`` among them.
        unconfirmed: published messages by their number, where the broker confirms them.
        queued: methods that wait until another one is answered; they pass the seam again.
    """

    def __init__(self) -> None:
        self.deliveries = Deliveries(NAME)
        self.consumers: dict[str, tuple[str, bool, Call | None, int | None]] = {}
        self.waiting: dict[int, Call] = {}
        self.got: Call | None = None
        self.unconfirmed: dict[int, Unconfirmed] = {}
        self.queued: set[int] = set()
        self.confirms = False
        self.published = 0


class Unconfirmed:
    """A published message until the broker has said what became of it."""

    def __init__(self, call: Call, exchange: str, routing_key: str) -> None:
        self.call = call
        self.place = (exchange, routing_key)
        self.returned: dict[str, Any] | None = None


def state_of(channel: Any) -> State:
    """Give what is known of a channel.

    Args:
        channel: pika's own, not a blocking one.
    """
    found: State | None = channel.__dict__.get(_STATE)
    if found is None:
        found = channel.__dict__[_STATE] = State()
    return found


def broker_of(channel: Any) -> Broker | None:
    """Give the broker of a replay; None where a real one is connected.

    Args:
        channel: pika's own.
    """
    found: Broker | None = channel.connection.__dict__.get(BROKER)
    return found


def properties_of(of: Any) -> dict[str, Any]:
    """Give the properties of a message that it has.

    Args:
        of: pika's; None for none.
    """
    told = {} if of is None else {name: getattr(of, name, None) for name in PROPERTIES}
    return {name: packed(value) for name, value in told.items() if value is not None}


def message_of(method: Any, properties: Any, body: bytes) -> Message:
    """Give a message that has come.

    Args:
        method: that it came with.
        properties: of it.
        body: of it.
    """
    redelivered = bool(getattr(method, "redelivered", False))
    return Message(bytes(body or b""), method.exchange, method.routing_key, redelivered, properties_of(properties))
