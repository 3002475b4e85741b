"""What is known of aiormq's channels beside what it knows, and what stands at the other end in a replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from timetracer_otel.families.amqp.broker import Broker
from timetracer_otel.families.amqp.deliveries import Awaited, Deliveries, Handled
from timetracer_otel.families.amqp.ending import end_program, when_quiet
from timetracer_otel.families.amqp.fields import PROPERTIES, packed
from timetracer_otel.families.amqp.messages import Message
from timetracer_otel.families.amqp.numbers import Numbers
from timetracer_otel.families.amqp.office import Office

__all__ = [
    "AWAITED",
    "LINK",
    "NAME",
    "NUMBERS",
    "OFFICE",
    "Link",
    "State",
    "link_of",
    "message_of",
    "properties_of",
    "state_of",
]

NAME: Final = "aio_pika"
LINK: Final = "_timetracer_link"
"""Where a connection of a replay has its other end."""
_STATE: Final = "_timetracer"
OFFICE: Final = Office(NAME)
NUMBERS: Final = Numbers()
AWAITED: Final = Awaited()


class Link:
    """What stands at the other end of a connection in a replay.

    Attributes:
        broker: that is not there.
        over: set behind the last message.
    """

    def __init__(self) -> None:
        self.broker = Broker(OFFICE, self._end)
        self.over = asyncio.Event()
        self.calls_back = False
        self._loop = asyncio.get_running_loop()

    def _end(self) -> None:
        when_quiet(self._loop.call_later, self._heard, self._end_iterators)

    def _end_iterators(self) -> None:
        self.over.set()
        if self.calls_back:
            when_quiet(self._loop.call_later, self._heard, end_program)

    def _heard(self) -> int:
        return self.broker.heard


class State:
    """What is known of one channel.

    Attributes:
        deliveries: that are at work.
        pulled: by delivery tag, the messages that an iterator has and the app has not.
    """

    def __init__(self) -> None:
        self.deliveries = Deliveries(NAME)
        self.pulled: dict[int, Callable[[], Handled | None]] = {}


def state_of(channel: Any) -> State:
    """Give what is known of a channel.

    Args:
        channel: aiormq's.
    """
    found: State | None = channel.__dict__.get(_STATE)
    if found is None:
        found = channel.__dict__[_STATE] = State()
    return found


def link_of(channel: Any) -> Link | None:
    """Give what stands at the other end; None where a real broker is connected.

    Args:
        channel: aiormq's.
    """
    found: Link | None = channel.connection.__dict__.get(LINK)
    return found


_NAMES: Final = {"type": "message_type"}
"""Where aiormq has another name for a property."""


def properties_of(of: Any) -> dict[str, Any]:
    """Give the properties of a message that it has.

    Args:
        of: aiormq's; None for none.
    """
    told = {} if of is None else {name: getattr(of, _NAMES.get(name, name), None) for name in PROPERTIES}
    return {name: packed(value) for name, value in told.items() if value is not None}


def message_of(came: Any) -> Message:
    """Give a message that has come.

    Args:
        came: as aiormq has it.
    """
    of, properties = came.delivery, properties_of(came.header.properties)
    return Message(bytes(came.body), of.exchange or "", of.routing_key or "", bool(of.redelivered), properties)
