"""ARQ: each execution of a job is an entry, each job that is enqueued a call.

The seam is the coroutine that runs a job, in a task of its own: it fetches the job, so that the lane begins where the
job is read, and ends before the job is taken from the queue. What ARQ asks Redis for its own sake is not recorded; what
jobs and hooks ask by the same pool is. In a replay a worker is handed the recorded jobs, beside a Redis that is empty.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Lane as RecordedLane
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.entry.running import opened
from timetracer_otel.families.kinds import task as tasks
from timetracer_otel.families.kinds.task import Outcome, Payload, Task
from timetracer_otel.families.messaging import publishing, working
from timetracer_otel.families.messaging.publishing import Published, Publishing
from timetracer_otel.families.redis import forgetful
from timetracer_otel.seams import Description, Integration, Lane, Patch, faults
from timetracer_otel.seams.brokering import AppsWork, BrokersWork, is_brokering

__all__ = ["INTEGRATION", "NAME"]

NAME: Final = "arq"
_JOB: Final = b"arq:job:"
_RETRY: Final = b"arq:retry:"
"""Where ARQ keeps a job, and how often it was tried."""
_SEEN: Final = "_timetracer_arq"
_MOST: Final = 10
"""Jobs at a time, as ARQ has it by default; its older workers do not tell."""


@dataclass
class _Execution:
    """One execution, from when a worker takes up a job.

    Attributes:
        worker: that runs it.
        job_id: the job's.
        score: when it was to run.
        follows: in a replay, the lane that it was handed out from.
        lane: once the job has been read.
    """

    worker: Any
    job_id: str
    score: int
    follows: str = ""
    lane: Lane | None = None

    @property
    def entry(self) -> Task | None:
        """What the lane is of."""
        entry = None if self.lane is None else self.lane.entry
        return entry if isinstance(entry, Task) else None

    def begin(self, raw: bytes, told: Sequence[Any]) -> None:
        """Open the lane: from here on all belongs to it, in this task and those that it starts."""
        name, args, kwargs, *_ = told
        function = getattr(self.worker.functions.get(name), "coroutine", None)
        plain = getattr(function, "__wrapped__", function)
        self.lane = opened(
            Task(
                target=_target(plain, name),
                id=self.job_id,
                arguments=_arguments(plain, args, kwargs),
                plugin=NAME,
                headers=[(spans.LANE_HEADER, json.dumps(self.follows))] if self.follows else [],
                queue=str(self.worker.queue_name),
                content_type=working.PICKLE,
                properties=json.dumps({"score": self.score, "function": name}),
                came=Payload(tasks.BODY, [raw]),
            )
        )
        if self.lane is not None:
            self.lane.take_up()

    def end(self) -> None:
        """End the lane, if that was not done: the job is about to leave the queue, or to stay in it."""
        lane, entry, self.lane = self.lane, self.entry, None
        if lane is None or entry is None:
            return
        error = None if entry.outcome is None else entry.outcome.error
        if isinstance(error, ReplayMiss):
            entry.outcome = None
        lane.end_code()
        lane.finish(error if isinstance(error, ReplayMiss) else None)


_running: Final[ContextVar[_Execution | None]] = ContextVar("timetracer_arq_running", default=None)


def _target(function: Any, name: str) -> str:
    module = getattr(function, "__module__", None)
    return f"{module}.{function.__qualname__}" if module else name


@functools.lru_cache(maxsize=1024)
def _without_context(function: Callable[..., Any]) -> Callable[..., Any]:
    return functools.partial(function, None)


def _arguments(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
    """A job's arguments by name; the context that a worker gives every job is none."""
    return working.arguments(None if function is None else _without_context(function), args, kwargs)


# --- executions ---


def _ran(original: Any) -> Any:
    """Around ``Worker.run_job(job_id, score)``, which runs in a task of its own."""

    async def run_job(self: Any, job_id: str, score: int) -> Any:
        if seams.is_off(NAME):
            return await original(self, job_id, score)
        lane_id, score = _handed_out.pop(job_id, ("", score))
        execution = _Execution(self, job_id, score, lane_id)
        _running.set(execution)
        with BrokersWork():
            try:
                return await original(self, job_id, score)
            finally:
                faults.guarded("arq.end", execution.end)

    return run_job


def _read(original: Any) -> Any:
    """Around ``deserialize_job_raw(raw, …)`` as a worker has it."""

    def deserialize(raw: bytes, *args: Any, **kwargs: Any) -> Any:
        told = original(raw, *args, **kwargs)
        execution = _running.get()
        if execution is not None and execution.lane is None:
            faults.guarded("arq.begin", execution.begin, raw, told)
        return told

    return deserialize


def _by_worker(coroutine: Any) -> Any:
    """What a worker calls in place of a job's coroutine."""

    @functools.wraps(coroutine)
    async def run(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        execution = _running.get()
        entry = None if execution is None else execution.entry
        with AppsWork():
            if entry is None:
                return await coroutine(ctx, *args, **kwargs)
            entry.retries = int(ctx.get("job_try", 1)) - 1
            try:
                value = await coroutine(ctx, *args, **kwargs)
            except BaseException as error:
                entry.outcome = working.failed(error)
                raise
            faults.guarded("arq.outcome", lambda: setattr(entry, "outcome", Outcome.succeeded(value)))
            return value

    setattr(run, _SEEN, True)
    return run


def _hook(hook: Any) -> Any:
    """What a worker calls in place of the app's hook."""

    @functools.wraps(hook)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with AppsWork():
            return await hook(*args, **kwargs)

    setattr(run, _SEEN, True)
    return run


def _made(original: Any) -> Any:
    """Around ``Worker.__init__(…)``: a worker runs its jobs and hooks by us."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if seams.is_off(NAME):
            return
        functions = {name: _exchanged(function) for name, function in self.functions.items()}
        self.functions = functions
        for name in ("on_startup", "on_shutdown", "on_job_start", "on_job_end", "after_job_end"):
            hook = getattr(self, name, None)
            if hook is not None and not hasattr(hook, _SEEN):
                setattr(self, name, _hook(hook))

    return init


def _exchanged(function: Any) -> Any:
    if hasattr(function.coroutine, _SEEN):
        return function
    if hasattr(function, "next_run"):  # a cron job, which the worker keeps in two places
        function.coroutine = _by_worker(function.coroutine)
        return function
    return replace(function, coroutine=_by_worker(function.coroutine))


def _told(original: Any) -> Any:
    """Around ``serialize_result(function, args, kwargs, job_try, enqueued, success, result, …)`` as a worker has it."""

    def serialize(*args: Any, **kwargs: Any) -> Any:
        faults.guarded("arq.result", _note_result, args, kwargs)
        return original(*args, **kwargs)

    return serialize


def _note_result(args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    names = ("function", "args", "kwargs", "job_try", "enqueue_time_ms", "success", "result")
    told = {**dict(zip(names, args, strict=False)), **kwargs}
    execution = _running.get()
    entry = None if execution is None else execution.entry
    if entry is None:
        return
    entry.retries = int(told["job_try"]) - 1
    result = told["result"]
    if not told["success"] and isinstance(result, BaseException) and not _holds_miss(entry):
        entry.outcome = working.failed(result)


def _holds_miss(entry: Task) -> bool:
    return entry.outcome is not None and isinstance(entry.outcome.error, ReplayMiss)


def _finished(original: Any) -> Any:
    """Around ``Worker.finish_job(job_id, finish, …)``: the job is done, or stays in the queue."""

    async def finish_job(self: Any, job_id: str, finish: Any, *args: Any, **kwargs: Any) -> Any:
        execution = _running.get()
        entry = None if execution is None else execution.entry
        if entry is not None and entry.outcome is not None and entry.outcome.error is not None and not finish:
            defers = getattr(entry.outcome.error, "defer_score", None)
            entry.outcome = replace(entry.outcome, state="RETRY", value=defers)
        _end(execution, self)
        return await original(self, job_id, finish, *args, **kwargs)

    return finish_job


def _failed(original: Any) -> Any:
    """Around ``Worker.finish_failed_job(job_id, …)``: a job that was not run."""

    async def finish_failed_job(self: Any, *args: Any, **kwargs: Any) -> Any:
        _end(_running.get(), self)
        return await original(self, *args, **kwargs)

    return finish_failed_job


def _end(execution: _Execution | None, worker: Any) -> None:
    if execution is not None and getattr(worker, "after_job_end", None) is None:  # else that hook is a part of it
        faults.guarded("arq.end", execution.end)


# --- jobs that are enqueued ---


def _enqueued(original: Any) -> Any:
    """Around ``ArqRedis.enqueue_job(function, *args, **kwargs)``."""

    async def enqueue_job(self: Any, function: str, *args: Any, **kwargs: Any) -> Any:
        if seams.is_off(NAME) or is_brokering():  # a cron job's is the worker's
            return await original(self, function, *args, **kwargs)
        message = faults.guarded("arq.enqueue", _message, self, function, args, kwargs)
        if message is None:
            return await original(self, function, *args, **kwargs)
        with Publishing(NAME, message) as publishing_now:
            job = await original(self, function, *args, **kwargs)
            told = publishing_now.told(None if job is None else job.job_id)
            return None if told is None else job

    return enqueue_job


def _message(pool: Any, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Published:
    options = {name[1:]: value for name, value in kwargs.items() if name in _OPTIONS}
    given = {name: value for name, value in kwargs.items() if name not in _OPTIONS}
    queue = options.pop("queue_name", None) or pool.default_queue_name
    dumps = pool.job_serializer or _pickled
    body, kind = working.asked(args, given, dumps({"f": function, "a": tuple(args), "k": given}))
    return Published(
        system=NAME,
        destination=str(queue),
        name=function,
        body=body,
        content_type=kind,
        headers={name: str(value) for name, value in options.items() if value is not None},
    )


_OPTIONS: Final = frozenset({"_job_id", "_queue_name", "_defer_until", "_defer_by", "_expires", "_job_try"})


def _pickled(value: Any) -> bytes:
    import pickle  # noqa: PLC0415 - as ARQ does, which only then needs it

    return pickle.dumps(value)


# --- a worker in a replay ---


def _polled(original: Any) -> Any:
    """Around ``Worker._poll_iteration()``: the recorded jobs, as many at a time as the worker takes."""

    async def poll_iteration(self: Any) -> Any:
        if seams.responder(NAME) is None:
            return await original(self)
        for job_id, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[job_id]
                task.result()
        while len(self.tasks) < getattr(self, "max_jobs", _MOST):
            lane = _waiting.next(lambda place: _suits(self, place))
            if lane is None:
                break
            job_id, score = _put(lane)
            self.tasks[job_id] = asyncio.get_running_loop().create_task(self.run_job(job_id, score))
        if not self.tasks and _waiting.next(lambda place: _suits(self, place)) is None:
            self.burst = True  # it ends when its queue is empty
        return None

    return poll_iteration


def _suits(worker: Any, place: str) -> bool:
    queue, _, job_id = place.partition("\0")
    return queue == worker.queue_name and job_id not in worker.tasks


def _put(lane: RecordedLane) -> tuple[str, int]:
    """Let a worker find a job where it looks for it."""
    assert lane.entry is not None  # noqa: S101 - only lanes with one are handed out
    job_id = lane.entry.text(tasks.TASK_ID) or ""
    told: dict[str, Any] = json.loads(lane.entry.text(tasks.PROPERTIES) or "{}")
    score = int(told.get("score") or 0)
    forgetful.kept[_JOB + job_id.encode()] = lane.entry.payload(tasks.BODY) or b""
    forgetful.kept[_RETRY + job_id.encode()] = str(lane.entry.attributes.get(tasks.RETRIES) or 0).encode()
    _handed_out[job_id] = lane.id, score
    return job_id, score


def _place(lane: RecordedLane) -> str:
    entry = lane.entry
    return "" if entry is None else f"{entry.text(tasks.QUEUE) or ''}\0{entry.text(tasks.TASK_ID) or ''}"


_waiting: Final = Waiting(NAME, tasks.KIND.name, _place)
_handed_out: Final[dict[str, tuple[str, int]]] = {}
"""The lanes of jobs that are about to be run, and when those were to run."""


def _not_in_replay(original: Any) -> Any:
    """Around ``Worker.run_cron(…)``."""

    async def skip(*args: Any, **kwargs: Any) -> Any:
        return None if seams.responder(NAME) is not None else await original(*args, **kwargs)

    return skip


def _by_broker(original: Any) -> Any:
    """Around what a worker does for its own sake."""

    async def run(*args: Any, **kwargs: Any) -> Any:
        with BrokersWork():
            return await original(*args, **kwargs)

    return run


def _describe(recorded: Span) -> Description | None:
    message = publishing.recorded(recorded)
    return None if message is None else publishing.describe(message)


INTEGRATION = Integration(
    name=NAME,
    patches=(
        Patch("arq.worker", "Worker.__init__", maker=_made),
        Patch("arq.worker", "Worker.main", maker=_by_broker),
        Patch("arq.worker", "Worker.close", maker=_by_broker),
        Patch("arq.worker", "Worker.run_job", maker=_ran),
        Patch("arq.worker", "Worker.finish_job", maker=_finished),
        Patch("arq.worker", "Worker.finish_failed_job", maker=_failed),
        Patch("arq.worker", "Worker._poll_iteration", maker=_polled),
        Patch("arq.worker", "Worker.run_cron", maker=_not_in_replay),
        Patch("arq.worker", "deserialize_job_raw", maker=_read),
        Patch("arq.worker", "serialize_result", maker=_told),
        Patch("arq.connections", "ArqRedis.enqueue_job", maker=_enqueued),
    ),
    describe=_describe,
    render=publishing.rendered,
    packages={NAME: NAME},
    oldest=(NAME, (0, 25)),
    plumbing=("arq.worker", "arq.cron", "arq.jobs"),
    function=lambda target: working.callable_at(
        NAME, target, lambda function, args, kwargs: _arguments(function, args[1:], kwargs)
    ),
)
