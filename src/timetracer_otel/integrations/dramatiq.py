"""Dramatiq: each execution of an actor is an entry, each message that is enqueued a call, whichever broker carries it.

The seam is the function of a worker's thread that processes a message; the lane ends before the message is
acknowledged. Middleware belongs to it: retries, pipelines, callbacks, groups. In a replay consumers are handed the
recorded messages, and no broker is asked; a stub broker, which is memory of the program, does as it does.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final

import pybase64

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Lane as RecordedLane
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.entry.running import Running
from timetracer_otel.families.kinds import task as tasks
from timetracer_otel.families.kinds.task import Outcome, Payload, Task
from timetracer_otel.families.messaging import publishing, under_way, working
from timetracer_otel.families.messaging.ending import Ending
from timetracer_otel.families.messaging.publishing import Published, Publishing
from timetracer_otel.families.messaging.under_way import UnderWay
from timetracer_otel.seams import Description, Integration, Patch, faults
from timetracer_otel.seams.brokering import BrokersWork, by_app, by_broker, is_brokering

__all__ = ["INTEGRATION", "NAME"]

NAME: Final = "dramatiq"
_LANE: Final = "_timetracer_lane"
"""Where a message that was handed out has the id of its lane."""
_RUNNING: Final = "_timetracer_running"
"""Where a message that is processed has its lane, and what the main process is to end where this one is killed."""
_POLL_SECONDS: Final = 0.05
_OF_ONE: Final = frozenset({"eta", "redis_message_id", "requeue_timestamp", "traceback"})
"""Options of a message that are another thing in each run; of a delay, the delay counts."""
_is_outermost: ContextVar[bool] = ContextVar("timetracer_dramatiq_outermost", default=False)
"""Whether the next actor that is called is the one that the message asks for."""


# --- executions ---


def _processed(original: Any) -> Any:
    """Around ``process_message(message)`` of a worker's thread."""

    def process_message(self: Any, message: Any) -> Any:
        if seams.is_off(NAME):
            return original(self, message)
        entry = _task(self.broker, message)
        bequest = under_way.begin(entry)
        running = Running(entry, bequest=bequest)
        running.__enter__()
        message.__dict__[_RUNNING] = running, bequest
        token = _is_outermost.set(True)
        try:
            return original(self, message)
        finally:
            _is_outermost.reset(token)
            _end(message)

    return process_message


def _settled(original: Any) -> Any:
    """Around ``post_process_message(message)`` of a consumer's thread, which acknowledges or rejects."""

    def post_process_message(self: Any, message: Any) -> Any:
        _end(message)
        with BrokersWork():
            return original(self, message)

    return post_process_message


def _end(message: Any) -> None:
    """End the lane of a message, if that was not done."""
    running, bequest = message.__dict__.pop(_RUNNING, (None, None))
    if running is None:
        return
    entry, error = running.entry, getattr(message, "_exception", None)
    if entry.outcome is None or (error is not None and entry.outcome.error is None):
        entry.outcome = Outcome("SKIPPED") if error is None else working.failed(error)
    running.__exit__(None, None, None)
    under_way.end(bequest)


def _task(broker: Any, message: Any) -> Task:
    raw = faults.guarded("dramatiq.message", message.encode) or b""
    headers = [(spans.LANE_HEADER, json.dumps(lane))] if (lane := message.__dict__.get(_LANE)) else []
    actor = broker.actors.get(message.actor_name)
    return Task(
        target=str(message.actor_name),
        id=str(message.message_id),
        arguments=working.arguments(getattr(actor, "fn", None), message.args, message.kwargs),
        plugin=NAME,
        headers=headers,
        queue=str(message.queue_name),
        retries=int(message.options.get("retries") or 0),
        content_type=working.JSON if raw[:1] == b"{" else working.PICKLE,
        came=Payload(tasks.BODY, [raw] if raw else []),
    )


def _called(original: Any) -> Any:
    """Around ``Actor.__call__``: a worker's call tells what comes of it; outside any entry one follows a lane."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        entry = working.running_task(NAME) if _is_outermost.get() else None
        if entry is None:
            given = lambda: working.arguments(self.fn, args, kwargs)  # noqa: E731 - two words for two arguments
            with working.followed(NAME, self.actor_name, given) as running:
                if running is None:
                    return original(self, *args, **kwargs)
                with _loop() if inspect.iscoroutinefunction(inspect.unwrap(self.fn)) else nullcontext():
                    value = original(self, *args, **kwargs)
                running.returned(value)
                return value
        token = _is_outermost.set(False)
        try:
            value = original(self, *args, **kwargs)
        except BaseException as error:
            entry.outcome = working.failed(error)
            raise
        finally:
            _is_outermost.reset(token)
        faults.guarded("dramatiq.outcome", lambda: setattr(entry, "outcome", Outcome.succeeded(value)))
        return value

    return call


@contextmanager
def _loop() -> Iterator[None]:
    """Run the event loop that a worker has for async actors, in a thread of its own, unless the program does."""
    loops = importlib.import_module("dramatiq.asyncio")
    if loops.get_event_loop_thread() is not None:
        yield
        return
    thread = loops.EventLoopThread(logging.getLogger(loops.__name__))
    thread.start()
    loops.set_event_loop_thread(thread)
    try:
        yield
    finally:
        loops.set_event_loop_thread(None)
        thread.stop()


# --- messages that are enqueued ---


def _enqueued(*, asks: bool) -> Callable[[Any], Any]:
    """Around ``enqueue(message, delay=None)`` of a broker; whether it would ask one that is not there in a replay."""

    def make(original: Any) -> Any:
        def enqueue(self: Any, message: Any, *, delay: Any = None) -> Any:
            entry = working.running_task(NAME)
            is_own = is_brokering() and entry is None  # a delayed message whose time has come
            if seams.is_off(NAME) or is_own:
                return original(self, message, delay=delay)
            if entry is not None and entry.id == message.message_id:
                outcome = entry.outcome or Outcome("RETRY")
                entry.outcome = replace(outcome, state="RETRY", value=None if delay is None else "later")
            told = faults.guarded("dramatiq.enqueue", _message, message, delay)
            if told is None:
                return original(self, message, delay=delay)
            with Publishing(NAME, told):
                if asks and seams.responder(NAME) is not None:
                    return _forgotten(self, message, delay)
                return original(self, message, delay=delay)

        return enqueue

    return make


def _forgotten(broker: Any, message: Any, delay: Any) -> Any:
    """Do what a broker does but for sending."""
    if delay is not None:
        eta = int(time.time() * 1000) + delay
        message = message.copy(queue_name=f"{message.queue_name}.DQ", options={"eta": eta})
    broker.emit_before("enqueue", message, delay)
    broker.emit_after("enqueue", message, delay)
    return message


def _message(message: Any, delay: Any) -> Published:
    raw = message.encode()
    body, kind = working.asked(message.args, message.kwargs, raw)
    options = {name: value for name, value in message.options.items() if name not in _OF_ONE}
    return Published(
        system=NAME,
        destination=str(message.queue_name),
        name=str(message.actor_name),
        body=body,
        content_type=kind,
        headers={"id": message.message_id, "delay": delay, "options": json.loads(working.to_json(options))},
        others={"message": pybase64.b64encode_as_string(raw), "timestamp": message.message_timestamp},
    )


def _kept(original: Any) -> Any:
    """Around what the middleware of results does, which writes them for whoever asks: the outcome says them."""

    def keep(self: Any, *args: Any, **kwargs: Any) -> Any:
        in_memory = type(getattr(self, "backend", None)).__name__ == "StubBackend"
        if seams.responder(NAME) is not None and not in_memory:
            return None
        with BrokersWork():
            return original(self, *args, **kwargs)

    return keep


# --- consumers in a replay ---


class _Recorded:
    """The recorded messages, handed to the consumers of a process; behind the last one its program is told to end."""

    def __init__(self) -> None:
        self.waiting = Waiting(NAME, tasks.KIND.name, _queue_of)
        self.ending: Ending | None = None
        """How the program ends; None where that is not Dramatiq's own command."""
        self.workers: list[Any] = []
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._dry: set[str] = set()

    def next(self, queue: str, most: int) -> RecordedLane | None:
        """Give the next message of a queue; None when there is none, or so many are under way."""
        with self._lock:
            if len(self._under_way) >= most:
                return None
            lane = self.waiting.next(lambda name: name == queue)
            if lane is None:
                self._dry.add(queue)
                self._end_when_done()
            else:
                self._under_way.add(lane.id)
            return lane

    def settle(self, lane_id: str) -> None:
        """Take that a message was acknowledged or rejected."""
        with self._lock:
            self._under_way.discard(lane_id)

    def _end_when_done(self) -> None:
        consumed = {name for worker in self.workers for name in worker.consumers if not name.endswith(".DQ")}
        if self.ending is not None and self.workers and consumed <= self._dry and not self._under_way:
            self.ending.tell()


def _queue_of(lane: RecordedLane) -> str:
    return (lane.entry.text(tasks.QUEUE) if lane.entry is not None else None) or ""


_recorded: Final = _Recorded()


class _Consumer:
    """A consumer of a broker that is not there."""

    def __init__(self, queue: str, prefetch: int) -> None:
        self._queue = queue
        self._prefetch = prefetch

    def __iter__(self) -> _Consumer:
        return self

    def __next__(self) -> Any:
        lane = None if self._queue.endswith(".DQ") else _recorded.next(self._queue, self._prefetch)
        if lane is None:
            time.sleep(_POLL_SECONDS)
            return None
        return _proxy(lane)

    def ack(self, message: Any) -> None:
        _recorded.settle(message.__dict__.get(_LANE, ""))

    nack = ack

    def requeue(self, messages: Any) -> None:
        pass

    def close(self) -> None:
        pass


def _proxy(lane: RecordedLane) -> Any:
    from dramatiq.broker import MessageProxy  # noqa: PLC0415 - an optional library
    from dramatiq.message import Message  # noqa: PLC0415 - as above

    assert lane.entry is not None  # noqa: S101 - only lanes with one are handed out
    message = MessageProxy(Message.decode(lane.entry.payload(tasks.BODY) or b""))
    message.__dict__[_LANE] = lane.id
    return message


def _consumed(original: Any) -> Any:
    """Around ``consume(queue_name, prefetch, timeout)`` of a broker."""

    def consume(self: Any, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Any:
        if seams.responder(NAME) is None:
            return original(self, queue_name, prefetch, timeout)
        return _Consumer(queue_name, prefetch)

    return consume


def _started(original: Any) -> Any:
    """Around ``Worker.start()``: its consumers are known then."""

    def start(self: Any) -> Any:
        result = original(self)
        if seams.responder(NAME) is not None:
            _recorded.workers.append(self)
        return result

    return start


class _Mastering:
    """What the processes of Dramatiq's command share: the main one goes on to its end where another is killed."""

    shared: UnderWay | None = None


_mastering: Final = _Mastering()


def _mastered(original: Any) -> Any:
    """Around the command's ``main(…)``, in the process that a signal ends with its children."""

    def main(*args: Any, **kwargs: Any) -> Any:
        if seams.responder(NAME) is not None:
            _recorded.ending = Ending(signal.SIGTERM)
        shared = None if seams.is_off(NAME) else faults.guarded("dramatiq.main", UnderWay)
        _mastering.shared = shared
        try:
            return original(*args, **kwargs)
        finally:
            if shared is not None:
                shared.end_left()

    return main


def _in_process(original: Any) -> Any:
    """Around the command's ``worker_process(…)``, in a child of that; one that was not forked knows nothing of it."""

    def worker_process(args: Any, worker_id: int, *more: Any, **kwargs: Any) -> Any:
        if _recorded.ending is None and seams.responder(NAME) is not None:
            _recorded.ending = Ending(signal.SIGTERM, os.getppid())
        if _mastering.shared is not None:
            _mastering.shared.join(worker_id)
        return original(args, worker_id, *more, **kwargs)

    return worker_process


def _describe(recorded: Span) -> Description | None:
    message = publishing.recorded(recorded)
    return None if message is None else publishing.describe(message)


_THREADS: Final = {"WorkerThread": "ConsumerThread", "_WorkerThread": "_ConsumerThread"}
"""Names of a worker's threads and of its consumers', since Dramatiq 2, and before."""

INTEGRATION = Integration(
    name=NAME,
    patches=(
        *(Patch("dramatiq.worker", f"{name}.process_message", maker=_processed, required=False) for name in _THREADS),
        *(
            Patch("dramatiq.worker", f"{name}.{method}", maker=maker, required=False)
            for name in _THREADS.values()
            for method, maker in (("post_process_message", _settled), ("run", by_broker))
        ),
        Patch("dramatiq.worker", "Worker.start", maker=_started),
        Patch("dramatiq.cli", "main", maker=_mastered),
        Patch("dramatiq.cli", "worker_process", maker=_in_process),
        Patch("dramatiq.actor", "Actor.__call__", maker=_called),
        Patch("dramatiq.broker", "Broker.emit_before", maker=by_app),
        Patch("dramatiq.broker", "Broker.emit_after", maker=by_app),
        Patch("dramatiq.brokers.redis", "RedisBroker.enqueue", maker=_enqueued(asks=True)),
        Patch("dramatiq.brokers.rabbitmq", "RabbitmqBroker.enqueue", maker=_enqueued(asks=True)),
        Patch("dramatiq.brokers.stub", "StubBroker.enqueue", maker=_enqueued(asks=False)),
        Patch("dramatiq.brokers.redis", "RedisBroker.consume", maker=_consumed),
        Patch("dramatiq.brokers.rabbitmq", "RabbitmqBroker.consume", maker=_consumed),
        *(
            Patch("dramatiq.results.middleware", f"Results.{name}", maker=_kept, required=False)
            for name in ("after_process_message", "after_skip_message", "after_nack")
        ),
    ),
    describe=_describe,
    render=publishing.rendered,
    packages={NAME: NAME},
    oldest=(NAME, (1, 17)),
    plumbing=("dramatiq.brokers.", "dramatiq.worker", "dramatiq.cli", "dramatiq.watcher"),
)
