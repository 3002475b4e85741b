"""Celery: each execution of a task is an entry, each message that is published a call.

The seam is the function that a pool runs with the message as it came: below the pools, above the task's own code and
all that the worker does for it (results, retries, links, chords). A replay has a transport of its own, and no broker.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from timetracer_otel import seams, spans
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families.amqp import asking
from timetracer_otel.families.entry.executing import executed
from timetracer_otel.families.entry.running import Running
from timetracer_otel.families.kinds import task as tasks
from timetracer_otel.families.kinds.task import Outcome, Payload, Task
from timetracer_otel.families.messaging.working import to_json
from timetracer_otel.integrations import _kombu_consumers, _kombu_producers
from timetracer_otel.integrations._celery_broker import LOST_WORDS, NAME, transport
from timetracer_otel.seams import Bequest, Instrumentor, Integration, Lane, Patch, faults
from timetracer_otel.seams.brokering import by_broker
from timetracer_otel.seams.lanes import entering

__all__ = ["INTEGRATION", "NAME"]

_ADDED: Final = frozenset({"args", "kwargs", "delivery_info", "properties", "reply_to", "correlation_id", "hostname"})
"""What a worker adds to the headers of a message for the task's request."""
_LOST: Final = frozenset({"WorkerLostError", "SystemExit", "KeyboardInterrupt"})
"""How the main process knows that a child has ended in mid-task."""
_BROKERS: Final = (
    *(("kombu.transport.virtual.base", f"Channel.basic_{what}") for what in ("ack", "reject", "recover")),
    *(("kombu.transport.redis", f"QoS.{what}") for what in ("append", "restore_visible", "restore_by_tag")),
)
"""Where kombu keeps queues by a client that an app uses too, such as Redis's: what it asks is no call of the app's."""
_BEQUEST: Final = "timetracer-bequest"
"""Where a forked child is told by the main process what both call its lane, and how long the task may take."""
_T = TypeVar("_T")
_clock: Final = time.monotonic


# --- executions ---


def _traced(original: Any) -> Any:
    """Around what a pool runs: ``(name, id, request, body, content type, content encoding)``."""

    def trace(*args: Any, **kwargs: Any) -> Any:
        lane_id, limit = _told(args)
        lane, began = _open(*args, bequest=Bequest(lane_id) if lane_id else None), _clock()
        if lane is None:
            return original(*args, **kwargs)
        try:
            with lane.entered():
                result = executed(original, args, kwargs)
        except ReplayMiss as miss:  # a worker of one process would end with it
            _close(lane, miss)
            return 0, repr(miss), 0.0
        except BaseException as error:
            if isinstance(error, SystemExit):
                is_limit = bool(limit) and _clock() - began >= limit
                faults.guarded("celery.exit", _note_exit, lane, error, limit if is_limit else None)
            elif type(error).__module__ == "gevent.timeout":
                faults.guarded("celery.limit", _note_exit, lane, error, getattr(error, "seconds", None))
            _close(lane, error)
            raise
        _close(lane, None)
        return result

    return trace


def _told(args: Sequence[Any]) -> tuple[str, float]:
    """What the main process has told of a task: the id of its lane, and its time limit; empty and none of most."""
    lane_id, limit = "", 0.0
    if len(args) > 2 and isinstance(args[2], dict):  # noqa: PLR2004 - name, id and request
        lane_id, limit = args[2].pop(_BEQUEST, (lane_id, limit))
    return lane_id, limit


def _open(*args: Any, bequest: Bequest | None = None) -> Lane | None:
    runtime = seams.active()
    if runtime is None or NAME in seams.switched_off or entering() is not None:
        return None
    try:
        name, task_id, request, body, content_type, content_encoding, *_ = args
        lane = runtime.open_lane(_task(name, task_id, request, body, content_type, content_encoding), bequest)
        if runtime.strips_lane_header:
            request.pop(spans.LANE_HEADER, None)
            request.pop(LOST_WORDS, None)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("celery.open", error)
        return None
    return lane


def _task(  # noqa: PLR0913, PLR0917 - what a pool is given
    name: str, task_id: str, request: Mapping[str, Any], body: Any, content_type: str | None, content_encoding: Any
) -> Task:
    delivery = request.get("delivery_info") or {}
    data = body.encode() if isinstance(body, str) else bytes(body) if isinstance(body, bytes | memoryview) else b""
    properties = {key: request.get(key) for key in ("reply_to", "correlation_id")} | dict(delivery)
    return Task(
        target=name,
        id=task_id,
        # As they are now: the task may change what it is given.
        arguments=tasks.plain(_by_name(name, request.get("args") or (), request.get("kwargs") or {})),
        plugin=NAME,
        headers=[(key, to_json(value)) for key, value in request.items() if key not in _ADDED],
        queue=str(delivery.get("routing_key") or ""),
        retries=int(request.get("retries") or 0),
        eta=str(request.get("eta") or ""),
        content_type=content_type or "",
        content_encoding=str(content_encoding or ""),
        properties=to_json(properties),
        came=Payload(tasks.BODY, [data] if data else []),
    )


def _by_name(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
    """Arguments by the names that the task's function has for them."""
    try:
        return dict(_signature(name).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError, KeyError):
        return [list(args), dict(kwargs)]


@functools.lru_cache(maxsize=1024)
def _signature(name: str) -> inspect.Signature:
    return inspect.signature(importlib.import_module("celery").current_app.tasks[name].run)


def _close(lane: Lane, error: BaseException | None) -> None:
    entry = lane.entry
    if isinstance(entry, Task) and entry.outcome is not None and not isinstance(error, ReplayMiss | SystemExit):
        error = None  # rejected, and passed on to the worker
    faults.guarded("celery.close", lane.end_code)
    faults.guarded("celery.close", lane.finish, error)
    faults.guarded("celery.close", lane.settle)


# --- tasks whose child process is ended, by the main process ---


def _handed_over(original: Any) -> Any:
    """Around ``TaskPool.apply_async(target, args, …)`` of forked children: such a child may be killed."""

    def apply_async(self: Any, target: Any, args: Any = None, *more: Any, **options: Any) -> Any:
        if args and len(args) > 2 and isinstance(args[2], dict) and not seams.is_off(NAME):  # noqa: PLR2004 - see _told
            limit = options.get("timeout") or getattr(self, "options", {}).get("timeout")
            args[2][_BEQUEST] = os.urandom(16).hex(), limit
        return original(self, target, args, *more, **options)

    return apply_async


def _lost(original: Any) -> Any:
    """Around ``Request.on_failure(exc_info, …)``: a child that was killed could not end its lane."""

    def on_failure(self: Any, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        faults.guarded("celery.lost", _say_as_then, self, exc_info, error)
        lane = _inherited(self, error) if type(error).__name__ in _LOST else None
        if lane is None:
            return original(self, exc_info, *args, **kwargs)
        try:
            with lane.entered():
                return original(self, exc_info, *args, **kwargs)
        finally:
            _close(lane, None)

    return on_failure


def _say_as_then(request: Any, exc_info: Any, error: BaseException) -> None:
    """In a replay, say of a lost child what was said of it then: its number, and by whom its end was seen first."""
    words, now = request._request_dict.get(LOST_WORDS), str(error)  # noqa: SLF001 - what the pool got
    if words and type(error).__name__ == "WorkerLostError":
        error.args = (words,)
        exc_info.traceback = str(exc_info.traceback).replace(now, words)


def _timed_out(original: Any) -> Any:
    """Around ``Request.on_timeout(soft, timeout)``: behind a hard limit the child is ended, see :func:`_limited`."""

    def on_timeout(self: Any, soft: bool, timeout: Any) -> Any:  # noqa: FBT001 - as the pool calls it
        lane = None if soft else _inherited(self, _limit_error(timeout))
        if lane is None:
            return original(self, soft, timeout)
        _ending.append(lane)
        with lane.entered():
            return original(self, soft, timeout)

    return on_timeout


def _limited(original: Any) -> Any:
    """Around ``TimeoutHandler.on_hard_timeout(job)``, at whose end the child is no more."""

    def on_hard_timeout(self: Any, job: Any) -> Any:
        try:
            return original(self, job)
        finally:
            while _ending:
                _close(_ending.pop(), None)

    return on_hard_timeout


_ending: Final[list[Lane]] = []
"""Lanes whose child is about to be ended."""


def _inherited(request: Any, error: BaseException) -> Lane | None:
    """Open the lane of a task that another process ran; its outcome is an error."""
    lane_id, _ = request._request_dict.get(_BEQUEST, ("", 0.0))  # noqa: SLF001 - what the pool got
    if not lane_id:  # a greenlet's, whose own lane says that it took too long
        return None
    told = request._request_dict, request._body, request._content_type, request._content_encoding  # noqa: SLF001 - as above
    lane = _open(request.name, request.id, *told, bequest=Bequest(lane_id, is_heir=True))
    if lane is not None and isinstance(lane.entry, Task):
        lane.entry.outcome = Outcome("FAILURE", error=error)
    return lane


def _note_exit(lane: Lane, error: BaseException, limit: float | None) -> None:
    """Say what came of a task that has ended its process; of a process that a signal ends, the task did not end."""
    code = getattr(error, "code", None)
    is_signal = isinstance(code, int) and code < 0
    if isinstance(lane.entry, Task) and (limit is not None or not is_signal):
        lane.entry.outcome = Outcome("FAILURE", error=error if limit is None else _limit_error(limit))


def _limit_error(limit: Any) -> BaseException:
    error: BaseException = importlib.import_module("celery.exceptions").TimeLimitExceeded(limit)
    return error


def _succeeded(original: Any) -> Any:
    """Around ``Backend.mark_as_done(task_id, result, …)``, which sees what every task returned."""

    def mark_as_done(self: Any, task_id: Any, result: Any, *args: Any, **kwargs: Any) -> Any:
        faults.guarded("celery.outcome", lambda: _note(Outcome.succeeded(result), task_id))
        return original(self, task_id, result, *args, **kwargs)

    return mark_as_done


def _failed(original: Any) -> Any:
    """Around ``TraceInfo.__init__``: every other end of a task makes one."""

    def init(self: Any, state: Any, retval: Any = None) -> None:
        original(self, state, retval)
        faults.guarded("celery.outcome", _note_error, state, retval)

    return init


def _note_error(state: str, error: object) -> None:
    if not isinstance(error, BaseException):
        return
    when = getattr(error, "when", None) if state == "RETRY" else None
    reason = getattr(error, "exc", None) if state == "RETRY" else error
    frames = "".join(traceback.format_tb(error.__traceback__))  # not the message, which may hold a secret
    value = when if isinstance(when, int | float) else None
    _note(Outcome(state, value, reason if isinstance(reason, BaseException) else None, frames))


def _note(outcome: Outcome, task_id: str | None = None) -> None:
    lane = entering()
    entry = lane.entry if lane is not None else None
    if isinstance(entry, Task) and entry.is_message and task_id in {None, entry.id}:
        entry.outcome = outcome


# --- a task called as a function, in a replay ---


def _called(original: Any) -> Any:
    """Around ``Task.__call__``: outside a worker, a call follows the lane of that task with those arguments."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _followed(self, args, kwargs, lambda: original(self, *args, **kwargs))

    return call


def _applied(original: Any) -> Any:
    """Around ``Task.apply``, which runs a task here and now, and inside of that a retry of it: of another lane."""

    def apply(self: Any, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        is_retry = bool(options.get("retries"))
        return _followed(
            self, args or (), kwargs or {}, lambda: original(self, args, kwargs, *more, **options), is_retry=is_retry
        )

    return apply


def _followed(
    task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], run: Callable[[], _T], *, is_retry: bool = False
) -> _T:
    responder = seams.responder(NAME)
    if responder is None or (entering() is not None and not is_retry):
        return run()
    entry = Task(task.name, "", tasks.plain(_by_name(task.name, args, kwargs)), NAME)
    lane = responder.follow(entry)
    if lane is None:
        return run()
    # As in a worker, where a task that asks for others does not subscribe to their results.
    with Running(entry, lane) as running, importlib.import_module("celery.result").denied_join_result():
        result = run()
        running.returned(result)
    return result


# --- the broker of a replay ---


def _transport_class(original: Any) -> Any:
    """Around ``Connection.get_transport_cls``: in a replay every broker's address leads to our transport."""

    def get_transport_cls(self: Any) -> Any:
        return original(self) if seams.responder(NAME) is None else transport()

    return get_transport_cls


def _never_expires(original: Any) -> Any:
    """Around ``Request.maybe_expire``: a recorded task has expired long ago, and ran all the same."""

    def maybe_expire(self: Any) -> Any:
        return original(self) if seams.responder(NAME) is None else False

    return maybe_expire


def _not_in_replay(original: Any) -> Any:
    """Around ``Scheduler.apply_entry(entry, …)`` of beat's, which asks for a periodic task that is due."""

    def apply_entry(self: Any, *args: Any, **kwargs: Any) -> Any:
        return original(self, *args, **kwargs) if seams.responder(NAME) is None else None

    return apply_entry


INTEGRATION = Integration(
    name=NAME,
    patches=(
        # The module that has them first: what is imported from it later is wrapped then.
        Patch("celery.app.trace", "trace_task_ret", maker=_traced),
        Patch("celery.app.trace", "fast_trace_task", maker=_traced),
        Patch("celery.worker.request", "trace_task_ret", maker=_traced),
        Patch("celery.worker.request", "fast_trace_task", maker=_traced),
        Patch("celery.app.trace", "TraceInfo.__init__", maker=_failed),
        Patch("celery.backends.base", "Backend.mark_as_done", maker=_succeeded),
        Patch("celery.app.task", "Task.__call__", maker=_called),
        Patch("celery.app.task", "Task.apply", maker=_applied),
        Patch("celery.worker.request", "Request.on_failure", maker=_lost),
        Patch("celery.worker.request", "Request.on_timeout", maker=_timed_out),
        Patch("celery.concurrency.prefork", "TaskPool.apply_async", maker=_handed_over),
        Patch("billiard.pool", "TimeoutHandler.on_hard_timeout", maker=_limited),
        Patch("celery.worker.request", "Request.maybe_expire", maker=_never_expires),
        Patch("celery.beat", "Scheduler.apply_entry", maker=_not_in_replay),
        Patch("kombu.messaging", "Producer._publish", maker=_kombu_producers.published),
        Patch("kombu.connection", "Connection.get_transport_cls", maker=_transport_class),
        *_kombu_consumers.PATCHES,
        *(Patch(module, name, maker=by_broker, required=False) for module, name in _BROKERS),
    ),
    aliases=("kombu",),
    describe=_kombu_producers.describe,
    reply_values=asking.reply_values,
    render=_kombu_producers.render,
    packages={name: name for name in (NAME, "kombu", "billiard")},
    instrumentors=(Instrumentor(NAME, NAME),),
    oldest=(NAME, (5, 2)),
    plumbing=(
        "celery.app.trace", "celery.concurrency.", "celery.utils.timer2", "celery.worker.", "billiard.",
        "kombu.asynchronous.", "kombu.utils.limits",
    ),
    apart=("kombu.transport.", "kombu.common", "kombu.connection", "kombu.pools", "kombu.resource"),
)  # fmt: skip
