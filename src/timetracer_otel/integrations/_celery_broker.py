"""Celery's broker in a replay: a transport of kombu's that has the recorded messages, and no server."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any, Final

import pybase64

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane as RecordedLane
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.kinds import task as tasks

__all__ = ["LOST_WORDS", "NAME", "transport"]

NAME: Final = "celery"
LOST_WORDS: Final = "timetracer-lost"
"""The header by which a message tells how the loss of the child was put that ran it."""
_POLL_SECONDS: Final = 0.02


@functools.cache
def transport() -> type:  # noqa: C901 - two classes of short methods
    """A broker that has the recorded messages, takes everything and keeps nothing."""
    virtual = importlib.import_module("kombu.transport.virtual")
    broker = _Broker()

    class Channel(virtual.Channel):  # type: ignore[misc, name-defined] # kombu ships no types
        do_restore = False
        supports_fanout = True

        def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
            return broker.next(queue, self._next_delivery_tag)

        def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:  # noqa: FBT001, FBT002 - as kombu calls it
            super().basic_ack(delivery_tag, multiple)
            broker.unsettled.discard(delivery_tag)

        def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - as above
            super().basic_reject(delivery_tag, requeue)
            broker.unsettled.discard(delivery_tag)

        def _put(self, queue: str, message: Any, **_: Any) -> None:
            pass

        def _put_fanout(self, exchange: str, message: Any, routing_key: str | None = None, **_: Any) -> None:
            pass

        def _queue_bind(self, *_: Any) -> None:
            pass

        def _purge(self, queue: str) -> int:
            return 0

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

        def driver_version(self) -> str:
            return "replay"

    Transport.Channel = Channel
    return Transport


class _Broker:
    """The recorded messages that wait for the worker. Behind the last one it is told to end."""

    def __init__(self) -> None:
        self._waiting = Waiting(NAME, tasks.KIND.name, _queue_of)
        self.unsettled: set[str] = set()
        """Delivery tags that the worker has said nothing of: such a task may wait for its time."""

    def next(self, queue: str, tag: Callable[[], str]) -> dict[str, Any]:
        """Give the next message for a queue.

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
        lane = self._waiting.next(lambda wanted: wanted == queue or wanted not in known)
        if lane is not None:
            given = tag()
            self.unsettled.add(given)
            return _raw(lane, given)
        if self._waiting.is_over and not self.unsettled:
            _stop_when_done()
        raise Empty


def _stop_when_done() -> None:
    """End the worker behind its last task.

    Raises:
        TimeoutError: there is nothing to wait for.
    """
    state: Any = importlib.import_module("celery.worker.state")
    if not state.requests:
        state.should_stop = 0
        raise TimeoutError


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
