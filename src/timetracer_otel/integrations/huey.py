"""Huey: each execution of a task is an entry, each task that is enqueued a call, whatever keeps the queue.

The seam is the function that executes a task which a consumer has taken, below revoking and expiring, above hooks,
results, pipelines and retries. What the app keeps beside the queue (locks, results it reads, counters) is asked through
a storage, whose methods are calls then; a storage in memory is left alone. A replay has the recorded tasks and no
storage.
"""

from __future__ import annotations

import functools
import importlib
import json
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pybase64
import wrapt

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Lane as RecordedLane
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.kinds import task as tasks
from timetracer_otel.families.kinds.task import Outcome, Payload, Task, plain
from timetracer_otel.families.messaging import publishing, storing, working
from timetracer_otel.families.messaging.ending import Ending
from timetracer_otel.families.messaging.publishing import Published, Publishing
from timetracer_otel.integrations import _huey_processes as processes
from timetracer_otel.seams import Description, Integration, Patch, faults
from timetracer_otel.seams.brokering import AppsWork, BrokersWork, by_app, by_broker, is_brokering

__all__ = ["INTEGRATION", "NAME"]

NAME: Final = processes.NAME
_LANE: Final = "_timetracer_lane"
"""Where a task that was handed out has the id of its lane."""
_RAW: Final = "_timetracer_raw"
"""Where a task that came by a queue has its message."""
_FUNCTION: Final = "_timetracer_function"
"""Where a class of tasks has the app's function."""
_CONTEXT: Final = "task"
"""By what name a function gets its own task, where it asks for that: none of the arguments that it was asked with."""
_POLL_SECONDS: Final = 0.05


# --- executions ---


def _executed(original: Any) -> Any:
    """Around ``Huey._execute(task, timestamp)``."""

    def execute(self: Any, task: Any, timestamp: Any) -> Any:
        if seams.is_off(NAME):
            return original(self, task, timestamp)
        entry = _task(self, task)
        with processes.running(entry):
            run = task.execute
            task.execute = lambda: _noted(entry, run)
            try:
                with BrokersWork():
                    return original(self, task, timestamp)
            finally:
                task.__dict__.pop("execute", None)
                entry.outcome = entry.outcome or Outcome("CANCELED")

    return execute


def _noted(entry: Task, run: Callable[[], Any]) -> Any:
    try:
        with AppsWork():
            value = run()
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):
            entry.outcome = working.failed(error)
        raise
    faults.guarded("huey.outcome", lambda: setattr(entry, "outcome", Outcome.succeeded(value)))
    return value


def _task(huey: Any, task: Any) -> Task:
    raw = task.__dict__.get(_RAW) or faults.guarded("huey.message", huey.serialize_task, task)
    headers = [(spans.LANE_HEADER, json.dumps(lane))] if (lane := task.__dict__.get(_LANE)) else []
    first = getattr(type(task), "default_retries", 0) or 0
    return Task(
        target=_name(task),
        id=str(task.id),
        arguments=working.arguments(getattr(type(task), _FUNCTION, None), task.args, task.kwargs),
        plugin=NAME,
        headers=headers,
        queue=str(huey.name),
        retries=max(0, first - (task.retries or 0)),
        eta=str(task.eta or ""),
        content_type=working.PICKLE,
        properties=working.to_json({"retries": task.retries, "priority": task.priority}),
        came=Payload(tasks.BODY, [raw] if raw else []),
    )


def _name(task: Any) -> str:
    return f"{type(task).__module__}.{type(task).__name__}"


def _created(original: Any) -> Any:
    """Around ``TaskWrapper.create_task(func, …)``, which makes a class of tasks."""

    def create_task(self: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(self, func, *args, **kwargs)
        function = functools.partial(func, **{_CONTEXT: None}) if made.context else func
        setattr(made, _FUNCTION, staticmethod(function))
        return made

    return create_task


def _called(original: Any) -> Any:
    """Around ``TaskWrapper.call_local(…)``: outside a consumer, a call follows the lane of the like."""

    def call_local(self: Any, *args: Any, **kwargs: Any) -> Any:
        target = f"{self.task_class.__module__}.{self.task_class.__name__}"
        given = {name: value for name, value in kwargs.items() if name != _CONTEXT or not self.task_class.context}
        function = getattr(self.task_class, _FUNCTION, None)
        with working.followed(NAME, target, lambda: working.arguments(function, args, given)) as running:
            value = original(self, *args, **kwargs)
            if running is not None:
                running.returned(value)
            return value

    return call_local


# --- tasks that are enqueued ---


def _enqueued(original: Any) -> Any:
    """Around ``Huey.enqueue(task)``."""

    def enqueue(self: Any, task: Any) -> Any:
        return _tell(self, task, lambda: original(self, task))

    return enqueue


def _scheduled(original: Any) -> Any:
    """Around ``Huey.add_schedule(task)``: a retry that is to wait."""

    def add_schedule(self: Any, task: Any) -> Any:
        return _tell(self, task, lambda: original(self, task))

    return add_schedule


def _tell(huey: Any, task: Any, run: Callable[[], Any]) -> Any:
    entry = working.running_task(NAME)
    leaves = not huey.immediate and hasattr(task, "revoke_id")  # no group, no chord
    if not leaves or seams.is_off(NAME) or (is_brokering() and entry is None):
        return run()
    if entry is not None and entry.id == task.id and entry.outcome is not None and entry.outcome.error is not None:
        entry.outcome = replace(entry.outcome, state="RETRY", value="later" if task.eta else None)
    message = faults.guarded("huey.enqueue", _message, huey, task)
    if message is None:
        return run()
    with Publishing(NAME, message):
        return run()


def _message(huey: Any, task: Any) -> Published:
    raw = huey.serialize_task(task)
    body, kind = working.asked(task.args, task.kwargs, raw)
    told = ("retries", "retry_delay", "priority", "expires", "timeout")
    return Published(
        system=NAME,
        destination=str(huey.name),
        name=_name(task),
        body=body,
        content_type=kind,
        headers={
            **{name: plain(getattr(task, name, None)) for name in told},
            "eta": str(task.eta or ""),
            "id": task.id,
            "then": _chain(task, "on_complete"),
            "on_error": _chain(task, "on_error"),
        },
        others={"message": pybase64.b64encode_as_string(raw)},
    )


def _chain(task: Any, name: str) -> list[object]:
    """The tasks behind one."""
    behind, one = list[object](), getattr(task, name, None)
    while one is not None:
        behind.append([_name(one), plain(list(one.args)), plain(dict(one.kwargs))])
        one = getattr(one, name, None)
    return behind


# --- the storage ---


class _Storage(wrapt.ObjectProxy):  # type: ignore[misc] # wrapt 1 ships no types
    """A storage that is looked at; in a replay one that is not there."""

    def enqueue(self, data: bytes, priority: Any = None) -> Any:
        return self._queue("enqueue", None, data, priority)

    def dequeue(self) -> Any:
        return self._queue("dequeue", None)

    def add_to_schedule(self, data: bytes, ts: Any) -> Any:
        return self._queue("add_to_schedule", None, data, ts)

    def read_schedule(self, ts: Any) -> Any:
        return self._queue("read_schedule", [], ts)

    def _queue(self, method: str, nothing: Any, *args: Any) -> Any:
        if seams.responder(NAME) is not None:
            return nothing
        with BrokersWork():
            return getattr(self.__wrapped__, method)(*args)

    def put_data(self, key: Any, value: Any, is_result: bool = False) -> Any:  # noqa: FBT001, FBT002 - as Huey calls it
        compared = (key,) if is_result else (key, value)  # a result may hold a traceback; the outcome says it
        return self._data("put_data", compared, key, value, is_result=is_result)

    def peek_data(self, key: Any) -> Any:
        return self._data("peek_data", (key,), key)

    def peek_many(self, keys: Any) -> Any:
        return self._data("peek_many", tuple(keys), keys)

    def pop_data(self, key: Any) -> Any:
        return self._data("pop_data", (key,), key)

    def delete_data(self, key: Any) -> Any:
        return self._data("delete_data", (key,), key)

    def has_data_for_key(self, key: Any) -> Any:
        return self._data("has_data_for_key", (key,), key)

    def put_if_empty(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        return self._data("put_if_empty", (key, value), key, value, *args, **kwargs)

    def wait_result(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        return self._data("wait_result", (key,), key, *args, **kwargs)

    def incr(self, key: Any, amount: int = 1) -> Any:
        return self._data("incr", (key, amount), key, amount)

    def delete_counter(self, key: Any) -> Any:
        return self._data("delete_counter", (key,), key)

    def _data(self, method: str, compared: tuple[Any, ...], *args: Any, **kwargs: Any) -> Any:
        """Ask what is kept beside the queue. What a consumer asks for itself is nobody's call."""

        def ask() -> Any:
            with BrokersWork():
                return getattr(self.__wrapped__, method)(*args, **kwargs)

        if is_brokering():
            return ask() if seams.responder(NAME) is None else _when_empty(method)
        return storing.asked(NAME, method, compared, ask, _packed, _unpacked)


def _empty() -> Any:
    return importlib.import_module("huey.storage").EmptyData


def _when_empty(method: str) -> Any:
    """What a storage says that has nothing."""
    if method == "peek_many":
        return {}
    return _empty() if method in {"peek_data", "pop_data"} else method == "put_if_empty"


def _packed(value: Any) -> Any:
    """What a storage says, JSON-like."""
    if value is _empty():
        return {"empty": True}
    if isinstance(value, bytes):
        return {"bytes": pybase64.b64encode_as_string(value)}
    if isinstance(value, dict):
        return {"items": [[storing.text(key), _packed(one)] for key, one in value.items()]}
    return value


def _unpacked(told: Any) -> Any:
    if not isinstance(told, dict):
        return told
    if "empty" in told:
        return _empty()
    if "bytes" in told:
        return pybase64.b64decode(told["bytes"])
    return {key: _unpacked(one) for key, one in told["items"]}


def _stored(original: Any) -> Any:
    """Around ``Huey.create_storage()``. What is in memory is the program's own."""

    def create_storage(self: Any) -> Any:
        if seams.is_off(NAME):
            return original(self)
        own = importlib.import_module("huey.storage")
        kind = self.storage_class or own.RedisStorage
        in_memory = isinstance(kind, type) and issubclass(kind, own.MemoryStorage)
        if (self.immediate and self.immediate_use_memory) or in_memory:
            return original(self)
        if seams.responder(NAME) is not None and not issubclass(kind, own.RedisStorage):  # which connects late
            return _Storage(own.MemoryStorage(self.name))
        with BrokersWork():
            return _Storage(original(self))

    return create_storage


# --- a consumer in a replay ---


def _deserialized(original: Any) -> Any:
    """Around ``Huey.deserialize_task(data)``: an entry has the message as it came."""

    def deserialize_task(self: Any, data: Any) -> Any:
        task = original(self, data)
        if seams.active() is not None and hasattr(task, "__dict__"):
            task.__dict__[_RAW] = data
        return task

    return deserialize_task


def _dequeued(original: Any) -> Any:
    """Around ``Huey.dequeue()``: behind the last recorded task the consumer is told to end."""

    def dequeue(self: Any) -> Any:
        if seams.responder(NAME) is None or not isinstance(self.storage, _Storage):
            return original(self)
        lane = _waiting.next(lambda name: name == self.name)
        if lane is None:
            for consumer in _consumers:
                consumer.tell()
            time.sleep(_POLL_SECONDS)
            return None
        assert lane.entry is not None  # noqa: S101 - only lanes with one are handed out
        task = self.deserialize_task(lane.entry.payload(tasks.BODY) or b"")
        task.__dict__[_LANE] = lane.id
        task.expires_resolved = None  # over by now
        return task

    return dequeue


def _queue_of(lane: RecordedLane) -> str:
    return (lane.entry.text(tasks.QUEUE) if lane.entry is not None else None) or ""


_waiting: Final = Waiting(NAME, tasks.KIND.name, _queue_of)
_consumers: Final[list[Ending]] = []
"""How the consumer ends, which waits for what its workers are at."""


def _started(original: Any) -> Any:
    """Around ``Consumer.start()``."""

    def start(self: Any) -> Any:
        if seams.responder(NAME) is not None:
            graceful = getattr(signal, f"SIG{getattr(self, 'graceful_signal', 'INT')}", signal.SIGINT)
            _consumers[:] = [Ending(graceful)]
        return original(self)

    return start


def _ready(original: Any) -> Any:
    """Around ``Huey.ready_to_run(task, …)``: a recorded task was."""

    def ready_to_run(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        return _LANE in task.__dict__ or original(self, task, *args, **kwargs)

    return ready_to_run


def _not_in_replay(original: Any) -> Any:
    """Around ``Scheduler.enqueue_periodic_tasks(now)``."""

    def skip(*args: Any, **kwargs: Any) -> Any:
        return None if seams.responder(NAME) is not None else original(*args, **kwargs)

    return skip


def _describe(recorded: Span) -> Description | None:
    kept = storing.recorded(recorded)
    if kept is not None:
        return storing.describe(NAME, *kept)
    message = publishing.recorded(recorded)
    return None if message is None else publishing.describe(message)


def _render(recorded: Span) -> dict[str, Any]:
    kept = storing.recorded(recorded)
    return publishing.rendered(recorded) if kept is None else storing.rendered(recorded)


INTEGRATION = Integration(
    name=NAME,
    patches=(
        Patch("huey.api", "Huey._execute", maker=_executed),
        Patch("huey.api", "Huey.enqueue", maker=_enqueued),
        Patch("huey.api", "Huey.add_schedule", maker=_scheduled),
        Patch("huey.api", "Huey._emit", maker=by_app),
        Patch("huey.api", "Huey._run_pre_execute", maker=by_app),
        Patch("huey.api", "Huey._run_post_execute", maker=by_app),
        Patch("huey.api", "Huey._check_chord", maker=by_app, required=False),
        Patch("huey.api", "Huey.ready_to_run", maker=_ready),
        Patch("huey.api", "Huey.create_storage", maker=_stored),
        Patch("huey.api", "Huey.dequeue", maker=_dequeued),
        Patch("huey.api", "Huey.deserialize_task", maker=_deserialized),
        Patch("huey.api", "TaskWrapper.create_task", maker=_created),
        Patch("huey.api", "TaskWrapper.call_local", maker=_called),
        Patch("huey.consumer", "Consumer.start", maker=_started),
        *processes.PATCHES,
        Patch("huey.consumer", "Worker.loop", maker=by_broker),
        Patch("huey.consumer", "Scheduler.loop", maker=by_broker),
        Patch("huey.consumer", "Scheduler.enqueue_periodic_tasks", maker=_not_in_replay),
    ),
    describe=_describe,
    render=_render,
    packages={NAME: NAME},
    oldest=(NAME, (2, 5)),
    plumbing=("huey.consumer", "huey.storage", "huey.bin."),
)
