"""Celery's broker in a replay: a transport of kombu's that has the recorded messages, and no server."""

from __future__ import annotations

import functools
import importlib
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any, Final
from weakref import WeakKeyDictionary

import pybase64

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Lane as RecordedLane
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.amqp.deliveries import any_in_hand
from timetracer_otel.families.amqp.ending import end_program
from timetracer_otel.families.amqp.fields import unpacked
from timetracer_otel.families.amqp.messages import Message, came_with
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.kinds import message as messages
from timetracer_otel.families.kinds import task as tasks
from timetracer_otel.seams import Answer, Lane, Responder
from timetracer_otel.seams.lanes import entering
from timetracer_otel.seams.values import Blanker

__all__ = ["BROKER", "LOST_WORDS", "NAME", "is_messages", "transport"]

NAME: Final = "celery"
LOST_WORDS: Final = "timetracer-lost"
"""The header by which a message tells how the loss of the child was put that ran it."""
_POLL_SECONDS: Final = 0.02
_STUCK_SECONDS: Final = 10.0
"""How long a program may have handled its messages without a word of them: it gets no more until it says one."""
_TIMEOUTS: Final = 10
"""How often a program is told that there was nothing in its time, before it is taken to wait for ever."""
_clock: Final = time.monotonic
_QUEUES: Final = "_timetracer_queues"
_PROGRAMS: Final = "_timetracer_programs"
_GENERATED: Final = re.compile(r"^(amq\.gen-).*")


@functools.cache
def transport() -> type:  # noqa: C901 - two classes of short methods
    """A broker that has the recorded messages, takes everything and keeps nothing."""
    virtual = importlib.import_module("kombu.transport.virtual")

    class Taken(virtual.Message):  # type: ignore[misc, name-defined] # kombu ships no types
        def __init__(self, payload: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(payload, *args, **kwargs)
            if payload["properties"].pop("is_text", False):
                self.body: Any = self.body.decode()

    class Channel(virtual.Channel):  # type: ignore[misc, name-defined] # as above
        do_restore = False
        supports_fanout = True

        def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
            if queue in BROKER.queues(self):
                return BROKER.next_message(queue, self._next_delivery_tag)
            return BROKER.next_task(queue, self._next_delivery_tag)

        def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:  # noqa: FBT001, FBT002 - as kombu calls it
            super().basic_ack(delivery_tag, multiple)
            BROKER.settle(delivery_tag)

        def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - as above
            super().basic_reject(delivery_tag, requeue)
            BROKER.settle(delivery_tag)

        def _put(self, queue: str, message: Any, **_: Any) -> None:
            pass

        def _put_fanout(self, exchange: str, message: Any, routing_key: str | None = None, **_: Any) -> None:
            pass

        def _queue_bind(self, *_: Any) -> None:
            pass

        def _purge(self, queue: str) -> int:
            return 0

        def queue_declare(self, queue: str | None = None, passive: bool = False, **how: Any) -> Any:  # noqa: FBT001, FBT002 - as above
            if passive and queue and (responder := seams.responder(NAME)) is not None:
                responder.refuse(f"how many messages are in {queue} was not recorded")
            return super().queue_declare(queue, passive, **how)

    class Transport(virtual.Transport):  # type: ignore[misc, name-defined] # as above
        # With a loop each forked child has pipes of its own. Else all share two locks, and a killed one keeps them.
        implements = virtual.Transport.implements.extend(asynchronous=True)
        polling_interval = _POLL_SECONDS
        driver_type = "timetracer"
        driver_name = "timetracer"

        def register_with_event_loop(self, connection: Any, loop: Any) -> None:
            loop.call_repeatedly(_POLL_SECONDS, self._drain)

        def _drain(self) -> None:
            with suppress(Empty, TimeoutError):  # both: not now
                while True:
                    self.cycle.get(self._deliver)
            if self._is_apps() and BROKER.is_over:
                end_program()

        def _is_apps(self) -> bool:
            """Whether it is the app that takes messages here, and no worker of Celery's."""
            taken = [(BROKER.queues(one), set(one._active_queues)) for one in self.channels]  # noqa: SLF001 - of our own class
            return any(apps for apps, _all in taken) and all(active <= apps for apps, active in taken)

        def drain_events(self, connection: Any, timeout: float | None = None) -> None:
            if not self._is_apps():
                super().drain_events(connection, timeout=timeout)
                return
            until = None if timeout is None else _clock() + timeout
            while True:
                try:
                    self.cycle.get(self._deliver, timeout=timeout)
                except Empty:
                    if BROKER.is_over:
                        BROKER.end(self, waits=timeout is None)
                else:
                    return
                if until is not None and _clock() >= until:
                    raise TimeoutError
                time.sleep(_POLL_SECONDS)

        def driver_version(self) -> str:
            return "replay"

    Channel.Message = Taken
    Transport.Channel = Channel
    return Transport


class _Broker:
    """The recorded tasks and messages that wait for a program. Behind the last one it is told to end."""

    def __init__(self) -> None:
        self._tasks = Waiting(NAME, tasks.KIND.name, _queue_of)
        self._messages = Waiting(NAME, messages.KIND.name, _destination_of)
        self._unsettled: set[str] = set()
        """Delivery tags that the program has said nothing of: such a task may wait for its time."""
        self._lanes: dict[Any, str] = {}
        self._expected: set[str] = set()
        """Queues that the app takes messages of, and that may have another one."""
        self._for_answers: set[str] = set()
        """Queues by which the results of tasks come."""
        self._pushed: defaultdict[str, deque[Message]] = defaultdict(deque)
        self._moved = _clock()
        self._told: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    # What the seam says.

    def consume(self, channel: Any, queue: str, *, is_for_answers: bool = False) -> None:
        """Take that the app takes messages of a queue.

        Args:
            channel: by which.
            queue: its name.
            is_for_answers: whether nothing but answers comes by it.
        """
        self.queues(channel).add(queue)
        (self._for_answers if is_for_answers else self._expected).add(queue)

    def queues(self, channel: Any) -> set[str]:
        """Give the queues that the app takes messages of, on a channel.

        Args:
            channel: of ours.
        """
        found: set[str] = channel.__dict__.setdefault(_QUEUES, set())
        return found

    def lane_of(self, tag: Any) -> str:
        """Give the recorded lane of a delivery; empty where it is no entry.

        Args:
            tag: of the delivery.
        """
        return self._lanes.pop(tag, "")

    def settle(self, tag: Any) -> None:
        """Take that the program has said something of a delivery, or never will.

        Args:
            tag: of the delivery.
        """
        self._unsettled.discard(tag)
        self._moved = _clock()

    def listen(self, responder: Responder, answer: Answer, reply_to: str, correlation_id: str) -> None:
        """Give what answered a request, as soon as it is due.

        Args:
            responder: of the integration.
            answer: the request, as it was recorded.
            reply_to: the queue that the live one wants to be answered by.
            correlation_id: that the live one has.
        """

        def tell(pushed: Answer) -> None:
            if (came := came_with(pushed)) is not None:
                self._pushed[reply_to].append(came[1].answering(correlation_id))

        responder.stream(answer.recorded).watch(tell)

    def stop_at_end(self, transport: Any, program: Any) -> None:
        """Tell a program to stop behind the last message, by its ``should_stop``.

        Args:
            transport: that it consumes by.
            program: a mixin of kombu's.
        """
        transport.__dict__.setdefault(_PROGRAMS, []).append(program)

    # What the program takes.

    def next_message(self, queue: str, tag: Callable[[], str]) -> dict[str, Any]:
        """Give the next message of a queue that the app consumes.

        Args:
            queue: that is asked.
            tag: makes a delivery tag.

        Raises:
            Empty: there is none.
            ReplayMiss: it is a request or a task that asks, and what it got was not recorded.
        """
        given = tag()
        if self._pushed.get(queue):
            return _raw_message(self._pushed[queue].popleft(), given)
        if queue in self._for_answers:
            raise Empty
        asking, responder = entering(), seams.responder(NAME)
        if asking is not None and responder is not None and not is_messages(asking):
            responder.refuse(f"what a lane takes from {queue} by itself is not recorded")
        lane = self._messages.next(lambda wanted: _plain(wanted) == _plain(queue))
        if lane is None:
            self._expected.discard(queue)
            raise Empty
        assert lane.entry is not None  # noqa: S101 - only lanes with one are handed out
        self._moved = _clock()
        self._lanes[given] = lane.id
        if messages.is_settled(lane.entry):
            self._unsettled.add(given)
        [record, *_] = messages.records(lane.entry)
        return _raw_message(Message.of(record), given)

    def next_task(self, queue: str, tag: Callable[[], str]) -> dict[str, Any]:
        """Give the next task for a queue.

        Args:
            queue: that a worker asks.
            tag: makes a delivery tag.

        Raises:
            Empty: there is none.
            TimeoutError: there will be none.
        """
        if queue.endswith(".pidbox") or queue.startswith("celeryev"):
            raise Empty
        known = importlib.import_module("celery").current_app.amqp.queues
        lane = self._tasks.next(lambda wanted: wanted == queue or wanted not in known)
        if lane is not None:
            given = tag()
            self._unsettled.add(given)
            return _raw(lane, given)
        if self._tasks.is_over and self.is_over:
            _stop_when_done()
        raise Empty

    # The end.

    @property
    def is_over(self) -> bool:
        """Whether all is given, and said of it what there was to say; or nothing is said any more."""
        is_stuck = _clock() - self._moved > _STUCK_SECONDS
        return not any_in_hand() and (is_stuck or not (self._unsettled or self._expected))

    def end(self, transport: Any, *, waits: bool) -> None:
        """End a program that waits for a message behind the last one, or tell it that there is none.

        Args:
            transport: that it waits by.
            waits: for good.

        Raises:
            TimeoutError: it is told so, if that is all it goes by.
            SystemExit: it would wait for ever, and serves nothing.
        """
        programs = transport.__dict__.get(_PROGRAMS, ())
        for program in programs:
            program.should_stop = True
        self._told[transport] = told = self._told.get(transport, 0) + 1
        if programs or not (waits or told > _TIMEOUTS):
            raise TimeoutError
        end_program()


def is_messages(lane: Lane | None) -> bool:
    """Whether a lane is that of a message of the app's.

    Args:
        lane: a live one.
    """
    entry = lane.entry if lane is not None else None
    return isinstance(entry, messages.Delivery) and entry.plugin == NAME


def _stop_when_done() -> None:
    """End the worker behind its last task.

    Raises:
        TimeoutError: there is nothing to wait for.
    """
    state: Any = importlib.import_module("celery.worker.state")
    if not state.requests:
        state.should_stop = 0
        raise TimeoutError


def _destination_of(lane: RecordedLane) -> str:
    return (lane.entry.text(messages.DESTINATION) if lane.entry is not None else None) or ""


def _plain(queue: str) -> str:
    """A queue's name without what a broker, or an id, makes another in each run."""
    return _GENERATED.sub(r"\1", Blanker().text(queue))


def _raw_message(given: Message, tag: str) -> dict[str, Any]:
    """A message as virtual transports keep it."""
    told: dict[str, Any] = unpacked(dict(given.properties))
    headers = told.pop("headers", None) or {}
    headers.pop("compression", None)  # it was recorded as the app had it, which is unpacked
    return {
        "body": pybase64.b64encode_as_string(given.body),
        "content-type": told.pop("content_type", None),
        "content-encoding": told.pop("content_encoding", None),
        "headers": headers,
        "properties": {"delivery_info": {}, **told, "body_encoding": "base64", "delivery_tag": tag},
    }


def _queue_of(lane: RecordedLane) -> str:
    return (lane.entry.text(tasks.QUEUE) if lane.entry is not None else None) or ""


def _raw(lane: RecordedLane, tag: str) -> dict[str, Any]:
    """A message as virtual transports keep it."""
    entry = lane.entry
    assert entry is not None  # noqa: S101 - only lanes with one are handed out
    headers = {name: json.loads(value) for name, value in spans.decode_headers(entry.attributes, tasks.HEADERS)}
    headers.pop("compression", None)  # the task's body was recorded as the worker had it, which is unpacked
    told: dict[str, Any] = json.loads(entry.text(tasks.PROPERTIES) or "{}")
    info = {"exchange": told.get("exchange") or "", "routing_key": told.get("routing_key") or ""}
    return {
        "body": pybase64.b64encode_as_string(entry.payload(tasks.BODY) or b""),
        "content-type": entry.text(tasks.CONTENT_TYPE),
        "content-encoding": entry.text(tasks.CONTENT_ENCODING),
        "headers": {**headers, spans.LANE_HEADER: lane.id, **_lost_words(entry)},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": tag,
            "delivery_info": info,
            "priority": told.get("priority"),
            "reply_to": told.get("reply_to"),
            "correlation_id": told.get("correlation_id"),
        },
    }


def _lost_words(entry: Span) -> dict[str, str]:
    error = json.loads(entry.text(spans.ERROR) or "{}")
    is_lost = str(error.get("type")).endswith(".WorkerLostError")
    return {LOST_WORDS: str(error["args"][0])} if is_lost and error.get("args") else {}


BROKER: Final = _Broker()
