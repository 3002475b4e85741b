"""What libraries of tasks share: an execution as its worker sees it, what came of it, a task that is called plainly."""

from __future__ import annotations

import functools
import inspect
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar

from timetracer_otel import encoding, seams
from timetracer_otel.families.entry.running import Running
from timetracer_otel.families.kinds.task import Outcome, Task, plain
from timetracer_otel.seams import Patch
from timetracer_otel.seams.lanes import entering

__all__ = [
    "JSON",
    "PICKLE",
    "arguments",
    "asked",
    "callable_at",
    "failed",
    "followed",
    "running_task",
    "to_json",
]

JSON: Final = "application/json"
PICKLE: Final = "application/x-python-serialize"
_T = TypeVar("_T")


def to_json(value: object) -> str:
    """Give a value as JSON; what that does not know is said as a text."""
    try:
        return encoding.dumps(value, default=str).decode()
    except TypeError:  # keys that are no texts, numbers of more than 64 bits
        return json.dumps(value, default=str)


def arguments(function: Callable[..., Any] | None, args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:
    """Give arguments by the names that a function has for them, JSON-like; as they are where they do not fit it.

    Args:
        function: that gets them; None where it is not known.
        args: by position.
        kwargs: by name.
    """
    if function is not None:
        try:
            return plain(dict(_signature(function).bind(*args, **kwargs).arguments))
        except (TypeError, ValueError):
            pass
    return plain([list(args), dict(kwargs)])


@functools.lru_cache(maxsize=1024)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def asked(args: Sequence[Any], kwargs: Mapping[str, Any], raw: bytes) -> tuple[bytes, str]:
    """Give what a message's body is compared by, and its type: readable where that says all that the bytes say.

    Args:
        args: that it holds.
        kwargs: likewise.
        raw: its bytes.
    """
    given = [list(args), dict(kwargs)]
    try:
        readable = json.dumps(given, sort_keys=True).encode()
        if json.loads(readable) == given:
            return readable, JSON
    except (TypeError, ValueError):
        pass
    return raw, PICKLE


def running_task(plugin: str) -> Task | None:
    """The task of a library that runs here; None outside of any.

    Args:
        plugin: the integration's name.
    """
    lane = entering()
    entry = None if lane is None else lane.entry
    return entry if isinstance(entry, Task) and entry.plugin == plugin else None


def failed(error: BaseException, state: str = "FAILURE", value: object = None) -> Outcome:
    """Give the outcome of a task that raised, with where it did.

    Args:
        error: of any class.
        state: another word where it is tried again.
        value: when.
    """
    frames = "".join(traceback.format_tb(error.__traceback__))  # not the message, which may hold a secret
    return Outcome(state, value, error, frames)


# --- a task that is called plainly, in a replay ---


def followed(plugin: str, target: str, given: Callable[[], object]) -> AbstractContextManager[Running | None]:
    """Give a block for a call that is no execution of a worker's: in a replay it follows the lane of the like.

    Args:
        plugin: the integration's name.
        target: the task's name.
        given: its arguments, JSON-like.
    """
    responder = seams.responder(plugin)
    if responder is None or entering() is not None:
        return nullcontext()
    entry = Task(target, "", given(), plugin)
    lane = responder.follow(entry)
    return nullcontext() if lane is None else Running(entry, lane)


def callable_at(plugin: str, target: str, told: Callable[..., object] | None = None) -> Patch | None:
    """Give a patch by which a function that workers import follows a recorded lane when it is called plainly.

    Args:
        plugin: the integration's name.
        target: its module and its name, with a dot between them.
        told: gives the arguments as they were recorded, from the function and what it gets.
    """
    module, _, name = target.rpartition(".")
    if not module:
        return None
    says = told or arguments

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.isroutine(original):
            raise TypeError(f"{target} is no function")

        def block(args: Sequence[Any], kwargs: Mapping[str, Any]) -> AbstractContextManager[Running | None]:
            return followed(plugin, target, lambda: says(original, args, kwargs))

        def call(*args: Any, **kwargs: Any) -> Any:
            with block(args, kwargs) as running:
                return _told(running, original(*args, **kwargs))

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with block(args, kwargs) as running:
                return _told(running, await original(*args, **kwargs))

        return call_async if inspect.iscoroutinefunction(original) else call

    return Patch(module, name, maker=make, required=False)


def _told(running: Running | None, value: _T) -> _T:
    if running is not None:
        running.returned(value)
    return value
