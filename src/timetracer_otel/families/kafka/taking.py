"""A Kafka consumer's loop: the lanes of what it takes, and in a replay the recorded messages in their place."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final
from weakref import WeakSet

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Lane
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.kafka.asking import SYSTEM
from timetracer_otel.families.kinds import message
from timetracer_otel.families.kinds.message import Delivery, Record
from timetracer_otel.families.messaging.consuming import Consumption

__all__ = ["POLL_SECONDS", "EndOfMessages", "Loop", "Taken"]

POLL_SECONDS: Final = 0.02
"""How often who waits at the end looks whether all others are there too."""
_GRACE_SECONDS: Final = 2.0
"""How long recorded messages that nobody has asked for may keep a program that is at its end."""
_MOST_EMPTY: Final = 100
_EMPTY: Final = "empty"
"""Of the first message of a consumer: how often it had asked before and got nothing."""
_GROUP: Final = "group"
IDLE: Final = "timetracer.kafka.idle"
"""On the closing of a consumer: how often it had asked behind its last message and got nothing."""
_SEPARATOR: Final = "\0"
_NEVER: Final = float("inf")


class EndOfMessages(SystemExit):
    """There are no recorded messages any more: it ends a loop that would wait for ever, and its program well."""

    def __init__(self) -> None:
        super().__init__(0)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a consumer got in a replay.

    Attributes:
        lane: the id of the recorded one.
        records: the messages.
    """

    lane: str
    records: Sequence[Record]


@dataclass(eq=False)
class Loop:
    """What one consumer takes, and by which topics.

    Attributes:
        plugin: the integration's name.
        group: of the consumer; empty of one without.
        topics: that it has subscribed to.
        pattern: likewise, of their names; None where it has none.
        partitions: that it has assigned to itself.
        paused: partitions that it does not want to hear of for now.
        has_asked: whether it has asked for a message.
        waits_since: when it came to the end of the recorded ones.
        idles: whether the last answer was empty because others still work.
        inside: whether the client is at work in a method that the app has called.
    """

    plugin: str
    group: str = ""
    topics: set[str] = field(default_factory=set)
    pattern: re.Pattern[str] | None = None
    partitions: set[tuple[str, int]] = field(default_factory=set)
    paused: set[tuple[str, int]] = field(default_factory=set)
    work: Consumption = field(default_factory=Consumption)
    _empty: int = 0
    _has_taken: bool = False
    _next: Lane | None = None
    has_asked: bool = False
    _idle: int = 0
    waits_since: float = _NEVER
    idles: bool = False
    inside: bool = False

    def __post_init__(self) -> None:
        _loops().add(self)

    # Recording.

    def comes_back(self) -> None:
        """The app asks for more: what it has got until now is handled."""
        self.work.end()

    def got(self, records: Sequence[Record], *, is_batch: bool, follows: str = "") -> None:
        """Let what the app does from here on belong to what it is given now.

        Args:
            records: none where nothing has come.
            is_batch: whether it asked for several.
            follows: in a replay, the recorded lane.
        """
        if not records:
            self._empty += 1
            self._idle += 1
            return
        self._idle = 0
        first, *others = records
        about: dict[str, Any] = {**first.properties, _GROUP: self.group}
        if not self._has_taken and self._empty:
            about[_EMPTY] = min(self._empty, _MOST_EMPTY)
        self._has_taken = True
        came = [replace(first, properties=about), *others]
        self.work.begin(
            Delivery(first.destination, came, self.plugin, is_batch, follows, semantics=self._semantics(came, is_batch))
        )

    def _semantics(self, came: Sequence[Record], is_batch: bool) -> Mapping[str, spans.Attribute]:  # noqa: FBT001 - as above
        first = came[0]
        told: dict[str, spans.Attribute] = {
            "messaging.system": SYSTEM,
            "messaging.operation.name": "poll" if is_batch else "receive",
            "messaging.operation.type": "receive",
            "messaging.destination.name": first.destination,
        }
        if self.group:
            told["messaging.consumer.group.name"] = self.group
        if len({(one.destination, one.properties["partition"]) for one in came}) == 1:
            told["messaging.destination.partition.id"] = str(first.properties["partition"])
        if not is_batch:
            told["messaging.kafka.offset"] = first.properties["offset"]
        return told

    def leaves(self) -> None:
        """The consumer is closed: what it is at work on ends, by the exception that is on its way if there is one."""
        _loops().discard(self)
        error = sys.exc_info()[1]
        if error is None or isinstance(error, Exception):
            self.work.end(error)
        else:  # interrupted by hand, it was not handled
            self.work.leave()
        if self._idle and (call := seams.start(self.plugin, self._closing)) is not None:
            call.attributes[IDLE] = str(min(self._idle, _MOST_EMPTY))
            call.end()

    def _closing(self) -> tuple[str, dict[str, spans.Attribute]]:
        return f"close {self.group}".rstrip(), {"messaging.system": SYSTEM, "messaging.operation.name": "close"}

    # In a replay.

    def take(self, *, is_batch: bool) -> Taken | None:
        """Give what was recorded next; None when there is nothing, for now or for ever.

        Args:
            is_batch: whether the app asks for several at once.
        """
        self.comes_back()
        self.has_asked = True
        if self._next is None:
            self._next = _waiting(self.plugin).next(lambda place: self._wants(place, is_batch=is_batch))
        lane = self._next
        if lane is None or lane.entry is None:
            return None
        records = message.records(lane.entry)
        if not self._has_taken and self._empty < records[0].properties.get(_EMPTY, 0):
            self._empty += 1
            return None
        self._next, self.waits_since = None, _NEVER
        own = [replace(one, properties=_of_message(one.properties)) for one in records]
        self.got(own, is_batch=is_batch, follows=lane.id)
        return Taken(lane.id, own)

    def subscribes_to_nothing(self) -> None:
        """Take back what it has subscribed to and assigned to itself."""
        self.topics, self.pattern, self.partitions = set(), None, set()

    def _wants(self, place: str, *, is_batch: bool) -> bool:
        group, topic, partition, batch = place.split(_SEPARATOR)
        if group != self.group or (batch == "batch") is not is_batch or (topic, int(partition)) in self.paused:
            return False
        return (
            topic in self.topics
            or (topic, int(partition)) in self.partitions
            or (self.pattern is not None and self.pattern.match(topic) is not None)
        )

    def next_one(self) -> Taken | None:
        """Give the next message; None while others still work, to be asked again after a moment.

        Raises:
            EndOfMessages: there is none any more.
        """
        taken = self.take(is_batch=False)
        if taken is None and self._next is None and self.is_over():
            raise EndOfMessages
        return taken

    def next_or_nothing(self, *, is_batch: bool) -> Taken | None:
        """Give what comes next; None where nothing does.

        That is so before the first as often as it was recorded, and behind the last likewise, but once at least.

        Args:
            is_batch: whether the app asks for several at once.

        Raises:
            EndOfMessages: the app asks again behind the last.
        """
        taken = self.take(is_batch=is_batch)
        self._idle = 0 if taken is not None or self._next is not None else self._idle + 1
        self.idles = self._idle > self._most_idle
        if self.idles and self.is_over():
            raise EndOfMessages
        return taken

    @property
    def _most_idle(self) -> int:
        """How often a consumer may ask in vain behind the last message: as often as one did that was closed then."""
        responder = seams.responder(self.plugin)
        return max([1, *map(int, responder.all_facts(IDLE))]) if responder is not None and self._idle > 1 else 1

    def is_over(self) -> bool:
        """Whether every consumer of the process is at its end, so that nothing will happen any more."""
        now = time.monotonic()
        self.waits_since = min(self.waits_since, now)
        if _serves(self.plugin):
            return False
        since = max(one.waits_since for one in list(_loops()) if one.has_asked)
        return since <= now and (_waiting(self.plugin).is_over or now - since > _GRACE_SECONDS)


def _of_message(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in properties.items() if name not in {_GROUP, _EMPTY}}


@cache
def _loops() -> WeakSet[Loop]:
    return WeakSet()


@cache
def _waiting(plugin: str) -> Waiting[str]:
    return Waiting(plugin, message.KIND.name, _place)


def _place(lane: Lane) -> str:
    assert lane.entry is not None  # noqa: S101 - only lanes with one are handed out
    first = message.records(lane.entry)[0]
    batch = "batch" if message.is_batch(lane.entry) else "one"
    told: Iterable[Any] = (first.properties[_GROUP], first.destination, first.properties["partition"], batch)
    return _SEPARATOR.join(map(str, told))


def _serves(plugin: str) -> bool:
    """Whether the program that was recorded took requests too: it goes on when there are no more messages."""
    responder = seams.responder(plugin)
    return responder is not None and responder.takes_requests(message.KIND.name)
