"""RQ: each execution of a job is an entry, each job that is enqueued a call.

The seam is the worker's function that performs a job, in the work horse where there is one: in it are the job, its
callbacks, its retries and what depends on it. What RQ writes to Redis for its own sake is not recorded; what the app
asks of Redis by RQ's objects is. In a replay a worker is handed the recorded jobs, beside a Redis that is empty.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
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
from timetracer_otel.families.kinds.task import Outcome, Payload, Task, plain
from timetracer_otel.families.messaging import publishing, working
from timetracer_otel.families.messaging.publishing import Published, Publishing
from timetracer_otel.families.redis import forgetful
from timetracer_otel.seams import Bequest, Description, Integration, Patch, faults
from timetracer_otel.seams.brokering import AppsWork, BrokersWork, by_app, by_broker, is_brokering

__all__ = ["INTEGRATION", "NAME"]

NAME: Final = "rq"
_LANE: Final = "_timetracer_lane"
"""Where a job that was handed out has the id of its lane."""
_SEEN: Final = "_timetracer_rq"
_BEQUEST: Final = "TIMETRACER_RQ_LANE"
"""The environment variable by which a work horse knows what its lane is called."""
_DEPENDENTS: Final = "dependents"
_OF_ONE: Final = frozenset({
    "created_at", "data", "description", "ended_at", "enqueued_at", "exc_info", "last_heartbeat", "result",
    "started_at", "status", "worker_name",
})  # fmt: skip
"""Fields of a job that say the same as its data, or another thing in each run."""
_enqueuing: ContextVar[bool] = ContextVar("timetracer_rq_enqueuing", default=False)


# --- executions ---


def _performed(original: Any) -> Any:
    """Around ``perform_job(job, queue, …)``, in the process that runs the job."""

    def perform_job(self: Any, job: Any, queue: Any, *args: Any, **kwargs: Any) -> Any:
        if seams.is_off(NAME):
            return original(self, job, queue, *args, **kwargs)
        lane_id = os.environ.pop(_BEQUEST, "")
        with Running(_task(job), bequest=Bequest(lane_id) if lane_id else None):
            released: list[str] = []
            token = _released.set(released)
            try:
                with BrokersWork():
                    return original(self, job, queue, *args, **kwargs)
            finally:
                _released.reset(token)
                faults.guarded("rq.dependents", _tell_released, released)

    return perform_job


def _lost(original: Any) -> Any:
    """Around ``handle_job_failure(job, queue, …)``: in the main process, a work horse that was killed wrote no lane."""

    def handle_job_failure(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        if working.running_task(NAME) is not None or seams.is_off(NAME):
            return original(self, job, *args, **kwargs)
        lane_id, entry = _forked.pop(job.id, ("", None))
        entry = entry or _task(job)
        entry.outcome = Outcome("FAILURE", error=RuntimeError(str(kwargs.get("exc_string", "")).strip()))
        bequest = Bequest(lane_id, is_heir=True) if lane_id or seams.responder(NAME) is not None else None
        with Running(entry, bequest=bequest), BrokersWork():
            return original(self, job, *args, **kwargs)

    return handle_job_failure


def _handed_over(original: Any) -> Any:
    """Around ``fork_work_horse(job, …)``: a work horse may be killed, so both processes know what to call its lane."""

    def fork_work_horse(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        if seams.is_off(NAME) or seams.responder(NAME) is not None:
            return original(self, job, *args, **kwargs)
        _forked.clear()  # one at a time
        os.environ[_BEQUEST] = os.urandom(16).hex()
        _forked[job.id] = os.environ[_BEQUEST], faults.guarded("rq.fork", _task, job)
        try:
            return original(self, job, *args, **kwargs)
        finally:
            os.environ.pop(_BEQUEST, None)

    return fork_work_horse


_forked: Final[dict[str, tuple[str, Task | None]]] = {}
"""The lane of the job that a work horse is at, and the job as it was before, by the job's id."""


_released: ContextVar[list[str] | None] = ContextVar("timetracer_rq_released", default=None)
"""Names of the jobs that the current one has released, which wait for it."""


def _task(job: Any) -> Task:
    target, given = _asked(job)
    headers = [(spans.LANE_HEADER, json.dumps(lane))] if (lane := job.__dict__.get(_LANE)) else []
    fields = faults.guarded("rq.fields", lambda: _fields(job)) or {}
    data = fields.pop("data", None)
    return Task(
        target=target,
        id=job.id,
        arguments=given,
        plugin=NAME,
        headers=headers,
        queue=str(job.origin or ""),
        retries=_retries(job),
        content_type=working.PICKLE,
        properties=json.dumps(fields),
        came=Payload(tasks.BODY, [_bytes(data)] if data is not None else []),
    )


def _retries(job: Any) -> int:
    return int(getattr(job, "number_of_retries", None) or (job.started_at is not None))


def _asked(job: Any) -> tuple[str, Any]:
    """A job's name and arguments, as far as they can be read."""
    try:
        return str(job.func_name), plain([list(job.args), dict(job.kwargs)])
    except Exception:  # noqa: BLE001 - RQ says so itself when it performs the job
        return str(job.description or job.id), []


def _fields(job: Any) -> dict[str, Any]:
    """A job's fields as Redis has them, JSON-like: what is no text as base64."""
    fields = {name: _bytes(value) for name, value in job.to_dict().items() if value is not None}
    return {name: _jsoned(value) for name, value in fields.items()}


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        return pybase64.b64decode(value["base64"])
    return value if isinstance(value, bytes) else str(getattr(value, "value", value)).encode()


def _jsoned(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": pybase64.b64encode_as_string(value)}


def _ran(original: Any) -> Any:
    """Around ``Job._execute``, which runs the app's function."""

    def execute(self: Any) -> Any:
        task = working.running_task(NAME)
        if task is None or task.id != self.id:
            return original(self)
        try:
            with AppsWork():
                value = original(self)
        finally:
            faults.guarded("rq.arguments", _name_arguments, task, self)
        faults.guarded("rq.outcome", _note_value, task, value)
        return value

    return execute


def _name_arguments(task: Task, job: Any) -> None:
    """Name the arguments, now that the function is imported, which is the job's own doing."""
    if isinstance(task.arguments, list) and len(task.arguments) == 2:  # noqa: PLR2004 - by position and by name
        task.arguments = working.arguments(job.func, *task.arguments)


def _note_value(task: Task, value: Any) -> None:
    if type(value).__name__ == "Retry" and type(value).__module__ == "rq.job":
        task.outcome = Outcome("RETRY", {"max": value.max, "intervals": value.intervals})
    else:
        task.outcome = Outcome.succeeded(value)


def _raised(original: Any) -> Any:
    """Around ``handle_exception(job, *exc_info)``, which sees how every other execution ends, and asks the app."""

    def handle_exception(self: Any, job: Any, *exc_info: Any) -> Any:
        task = working.running_task(NAME)
        if task is not None and len(exc_info) > 1 and isinstance(exc_info[1], BaseException):
            is_tried_again = task.outcome is not None and task.outcome.state == "RETRY"
            value = task.outcome.value if task.outcome is not None and is_tried_again else None
            task.outcome = working.failed(exc_info[1], "RETRY" if is_tried_again else "FAILURE", value)
        with AppsWork():
            return original(self, job, *exc_info)

    return handle_exception


def _tell_released(names: list[str]) -> None:
    """Record that jobs which waited for this one are enqueued; RQ knows of them by Redis alone."""
    task = working.running_task(NAME)
    state = "" if task is None or task.outcome is None else task.outcome.state
    message = Published(NAME, _DEPENDENTS, "", b"", headers={"after": state}, others={"jobs": sorted(names)})
    responder = seams.responder(NAME)
    if responder is not None:
        if state != "RETRY":
            responder.next_in_lane(publishing.describe(message))
    elif names:
        with AppsWork():
            publishing.end(NAME, publishing.begin(NAME, message), None)


# --- jobs that are enqueued ---


def _enqueued(original: Any) -> Any:
    """Around ``enqueue_job(job, …)`` and ``_enqueue_job(job, …)``."""

    def enqueue(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        return _tell(self, job, "", kwargs, lambda: original(self, job, *args, **kwargs))

    return enqueue


def _scheduled(original: Any) -> Any:
    """Around ``schedule_job(job, datetime, …)``."""

    def schedule(self: Any, job: Any, datetime: Any, *args: Any, **kwargs: Any) -> Any:
        eta = str(getattr(datetime, "isoformat", lambda: datetime)())
        return _tell(self, job, eta, kwargs, lambda: original(self, job, datetime, *args, **kwargs))

    return schedule


def _tell(queue: Any, job: Any, eta: str, options: Mapping[str, Any], run: Callable[[], Any]) -> Any:
    if seams.is_off(NAME) or _enqueuing.get():
        return run()
    task = working.running_task(NAME)
    keeps_queue = is_brokering()
    if keeps_queue and (task is None or task.id != job.id):
        released = _released.get()
        if released is not None and task is not None:
            released.append(f"{_asked(job)[0]} {job.id}")
        return run()
    if keeps_queue and task is not None:
        _note_retry(task, eta)
    message = faults.guarded("rq.enqueue", _message, queue, job, eta, options)
    if message is None or not getattr(queue, "_is_async", True):
        return run()
    token = _enqueuing.set(True)
    try:
        with Publishing(NAME, message) as publishing_now:
            enqueued = run()
            _keep_status(publishing_now, enqueued)
    finally:
        _enqueuing.reset(token)
    return enqueued


def _note_retry(task: Task, eta: str) -> None:
    """The job under way is enqueued again: because it failed, or because it repeats."""
    outcome = task.outcome or Outcome("RETRY")
    if outcome.state != "SUCCESS":
        task.outcome = replace(outcome, state="RETRY", value=outcome.value or ("later" if eta else None))


def _message(queue: Any, job: Any, eta: str, options: Mapping[str, Any]) -> Published:
    fields = _fields(job)
    name, _ = _asked(job)
    data = job.data
    body, kind = working.asked(job.args, job.kwargs, data) if name == job.func_name else (data, working.PICKLE)
    counted = {name: value for name, value in fields.items() if name not in _OF_ONE and value != ""}
    others = {name: value for name, value in fields.items() if name in _OF_ONE and name != "data"}
    at_front = bool(options.get("at_front"))
    return Published(
        system=NAME,
        destination=str(queue.name),
        name=name,
        body=body,
        content_type=kind,
        headers={**counted, "origin": str(queue.name), "id": job.id, "eta": eta, "at_front": at_front},
        others={**others, "data": pybase64.b64encode_as_string(data)},
    )


def _keep_status(publishing_now: Publishing, job: Any) -> None:
    """In a replay a job waits for another one if it did so then."""
    status = getattr(job, "_status", None)
    if status is not None:
        told = publishing_now.told(str(getattr(status, "value", status)))
        if told != getattr(status, "value", status):
            job._status = type(status)(told)  # noqa: SLF001 - where RQ has it


# --- a worker's queue in a replay ---


def _dequeued(wrapped: Any, _cls: Any, args: Any, kwargs: Any) -> Any:
    """Around the class method ``Queue.dequeue_any(queues, timeout, …)``."""
    if seams.responder(NAME) is None:
        return wrapped(*args, **kwargs)
    by_name = {queue.name: queue for queue in (args[0] if args else kwargs["queues"])}
    lane = _waiting.next(by_name.__contains__)
    if lane is None:
        return None  # the worker ends
    queue = by_name[_queue_of(lane)]
    make = kwargs.get("job_class") or queue.job_class
    job = make(_text(lane, tasks.TASK_ID), connection=queue.connection, serializer=kwargs.get("serializer"))
    fields = _hash(lane)
    job.restore(fields)
    forgetful.kept.clear()
    forgetful.kept[job.key if isinstance(job.key, bytes) else job.key.encode()] = fields
    job.__dict__[_LANE] = lane.id
    return job, queue


def _queue_of(lane: RecordedLane) -> str:
    return _text(lane, tasks.QUEUE)


_waiting: Final = Waiting(NAME, tasks.KIND.name, _queue_of)


def _text(lane: RecordedLane, name: str) -> str:
    return (lane.entry.text(name) if lane.entry is not None else None) or ""


def _hash(lane: RecordedLane) -> dict[bytes, bytes]:
    """A job as Redis had it."""
    assert lane.entry is not None  # noqa: S101 - only lanes with one are handed out
    fields: dict[str, Any] = json.loads(_text(lane, tasks.PROPERTIES) or "{}")
    told = {name.encode(): _bytes(value) for name, value in fields.items()}
    return {**told, b"data": lane.entry.payload(tasks.BODY) or b""}


def _not_in_replay(original: Any) -> Any:
    """Around what a worker has no use for beside a queue that is not there: commands by Redis, a scheduler."""

    def skip(*args: Any, **kwargs: Any) -> Any:
        return None if seams.responder(NAME) is not None else by_broker(original)(*args, **kwargs)

    return skip


def _spawned(original: Any) -> Any:
    """Around ``SpawnWorker.fork_work_horse``: another program could not fetch its job from a Redis that is empty."""

    def fork_work_horse(self: Any, *args: Any, **kwargs: Any) -> Any:
        if seams.responder(NAME) is None:
            return _handed_over(original)(self, *args, **kwargs)
        return importlib.import_module("rq.worker").Worker.fork_work_horse(self, *args, **kwargs)

    return fork_work_horse


def _describe(recorded: Span) -> Description | None:
    message = publishing.recorded(recorded)
    return None if message is None else publishing.describe(message)


def _once(maker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A maker that goes around a method once: the class that inherits it may have one of its own in another version."""

    def make(original: Any) -> Any:
        made = _same(original) if hasattr(original, _SEEN) else maker(original)
        setattr(made, _SEEN, True)
        return made

    return make


def _same(original: Any) -> Any:
    def same(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs)

    return same


_WORKERS: Final = (("rq.worker.base", "BaseWorker"), ("rq.worker", "BaseWorker"), ("rq.worker", "Worker"))
"""Where classes of workers have their methods, in RQ 3 and before."""


def _classes(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((module, name) for module in ("rq.worker.worker_classes", "rq.worker") for name in names)


_PERFORMERS: Final = _classes("Worker", "SimpleWorker")


def _of_workers(
    name: str, maker: Callable[[Any], Any], places: Sequence[tuple[str, str]] = _WORKERS
) -> tuple[Patch, ...]:
    once = _once(maker)
    return tuple(Patch(module, f"{owner}.{name}", maker=once, required=False) for module, owner in places)


INTEGRATION = Integration(
    name=NAME,
    patches=(
        *_of_workers("perform_job", _performed),
        *_of_workers("handle_exception", _raised),
        *_of_workers("handle_job_failure", _lost),
        *_of_workers("work", by_broker),
        *_of_workers("__init__", by_broker),
        *_of_workers("execute_job", by_broker, _PERFORMERS),
        *_of_workers("subscribe", _not_in_replay),
        *_of_workers("_start_scheduler", _not_in_replay),
        *_of_workers("fork_work_horse", _handed_over, _classes("Worker")),
        *_of_workers("fork_work_horse", _spawned, _classes("SpawnWorker")),
        Patch("rq.job", "Job._execute", maker=_ran),
        Patch("rq.job", "Job.execute_success_callback", maker=by_app, required=False),
        Patch("rq.job", "Job.execute_failure_callback", maker=by_app, required=False),
        Patch("rq.job", "Job.execute_stopped_callback", maker=by_app, required=False),
        Patch("rq.callbacks", "execute_success_callback", maker=by_app, required=False),
        Patch("rq.callbacks", "execute_failure_callback", maker=by_app, required=False),
        Patch("rq.callbacks", "execute_stopped_callback", maker=by_app, required=False),
        Patch("rq.queue", "Queue.enqueue_job", maker=_enqueued),
        Patch("rq.queue", "Queue._enqueue_job", maker=_enqueued),
        Patch("rq.queue", "Queue.schedule_job", maker=_scheduled),
        Patch("rq.queue", "Queue.dequeue_any", _dequeued),
        Patch("rq.suspension", "is_suspended", maker=by_broker),
        Patch("rq.scheduler", "RQScheduler.work", maker=by_broker, required=False),
        Patch("rq.cron", "CronScheduler.start", maker=by_broker, required=False),
    ),
    describe=_describe,
    render=publishing.rendered,
    packages={NAME: NAME},
    oldest=(NAME, (1, 16)),
    plumbing=(
        "rq.worker", "rq.worker.", "rq.worker_pool", "rq.worker_registration", "rq.registry", "rq.results",
        "rq.executions", "rq.scheduler", "rq.timeouts", "rq.intermediate_queue", "rq.cron",
    ),
    function=lambda target: working.callable_at(NAME, target),
)  # fmt: skip
