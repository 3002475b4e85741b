"""What all connections of an app to its broker have together in a replay."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection
from typing import Protocol
from weakref import WeakSet

from timetracer_otel.cassette.model import Lane
from timetracer_otel.families.amqp.messages import Message, came_with
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.kinds import message
from timetracer_otel.seams import Answer, Responder

__all__ = ["Office"]


class _Taker(Protocol):
    """A connection with consumers."""

    def takes(self, queue: str) -> bool: ...

    def numbers(self, queue: str) -> list[int]: ...

    def push(self, queue: str, pushed: Message) -> None: ...


class Office:
    """The recorded messages that wait for consumers: entries, and those that came to a lane while it ran.

    Args:
        plugin: the integration that recorded them.
    """

    def __init__(self, plugin: str) -> None:
        self._waiting = Waiting(plugin, message.KIND.name, _consumer_of)
        self._lock = threading.Lock()
        self._kept: defaultdict[str, list[Message]] = defaultdict(list)
        self._connections: WeakSet[_Taker] = WeakSet()

    def open(self, connection: _Taker) -> None:
        """Take that a connection was made.

        Args:
            connection: of the app.
        """
        with self._lock:
            self._connections.add(connection)

    def leave(self, connection: _Taker) -> None:
        """Take that one was closed.

        Args:
            connection: of the app.
        """
        with self._lock:
            self._connections.discard(connection)

    def next(self, consumers: Collection[tuple[str, int]]) -> Lane | None:
        """Give the next entry that any of some consumers had; None behind the last one.

        Args:
            consumers: the queue and the number of each.
        """
        return self._waiting.next(lambda place: _is_for(place, consumers))

    def next_of_absent(self, queue: str) -> Lane | None:
        """Give the next entry of consumers that are not here.

        Args:
            queue: theirs.
        """
        here = self.numbers(queue)
        return self._waiting.next(lambda place: place[0] == queue and place[1] not in here)

    def suits(self, lane: Lane, queue: str, number: int) -> bool:
        """Whether a consumer had an entry, or any of its queue may have.

        Args:
            lane: of the entry.
            queue: of the consumer.
            number: of the consumer.
        """
        return _is_for(_consumer_of(lane), [(queue, number)])

    def is_turn_of(self, queue: str, number: int) -> bool:
        """Whether a consumer had the next entry of its queue.

        Args:
            queue: of the consumer.
            number: of the consumer.
        """
        lane = self._waiting.next(lambda place: place[0] == queue)
        if lane is None:
            return True
        self._waiting.give_back(lane)
        return self.suits(lane, queue, number)

    def give_back(self, lane: Lane) -> None:
        """Take an entry back that a consumer was given which ended before the app got it.

        Args:
            lane: of the entry.
        """
        self._waiting.give_back(lane)

    def numbers(self, queue: str) -> set[int]:
        """Give the numbers of the consumers that a queue has now.

        Args:
            queue: its name.
        """
        with self._lock:
            return {number for one in self._connections for number in one.numbers(queue)}

    def kept(self, queue: str) -> list[Message]:
        """Give what came by a queue before its consumer did.

        Args:
            queue: its name.
        """
        with self._lock:
            return self._kept.pop(queue, [])

    def listen(self, responder: Responder, answer: Answer, correlation_id: str = "") -> None:
        """Give what came to a lane behind one of its calls, as soon as it is due.

        Args:
            responder: of the integration.
            answer: the call.
            correlation_id: that the live call has.
        """

        def tell(pushed: Answer) -> None:
            if (came := came_with(pushed)) is not None:
                queue, given = came
                self._push(queue, given.answering(correlation_id))

        responder.stream(answer.recorded).watch(tell)

    def _push(self, queue: str, pushed: Message) -> None:
        with self._lock:
            taker = next((one for one in self._connections if one.takes(queue)), None)
            if taker is None:
                self._kept[queue].append(pushed)
        if taker is not None:
            taker.push(queue, pushed)


def _consumer_of(lane: Lane) -> tuple[str, int | None]:
    assert lane.entry is not None  # noqa: S101 - only lanes with one are handed out
    [record, *_] = message.records(lane.entry)
    return record.destination, message.consumer(lane.entry)


def _is_for(place: tuple[str, int | None], consumers: Collection[tuple[str, int]]) -> bool:
    """Whether an entry is for one of some consumers: it had it, or nobody knows which of its queue's had."""
    return place in consumers or (place[1] is None and any(place[0] == queue for queue, _number in consumers))
