"""What a library does to keep its queue: neither a call of the app's nor recorded, and in a replay there is no queue.

Many task libraries keep their queues by a client that the app uses as well, such as Redis's. A worker's bookkeeping and
the way of a published message to the broker are the library's own: the entry and the publish are what is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from typing import Any, Final

__all__ = ["AppsWork", "BrokersWork", "by_app", "by_broker", "is_brokering"]

_brokering: Final[ContextVar[bool]] = ContextVar("timetracer_brokering", default=False)
is_brokering: Final = _brokering.get
"""Whether the current code keeps a queue."""


class BrokersWork:
    """A ``with`` block of a library that keeps its queue."""

    __slots__ = ("_token",)
    keeps_queue = True

    def __enter__(self) -> None:
        self._token: Token[bool] = _brokering.set(self.keeps_queue)

    def __exit__(self, *_: object) -> None:
        try:
            _brokering.reset(self._token)
        except ValueError:  # an abandoned coroutine is closed from another context, where there is nothing to reset
            return


class AppsWork(BrokersWork):
    """A ``with`` block inside such a one that runs the app's code."""

    __slots__ = ()
    keeps_queue = False


def by_broker(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that keeps the queue all the while, for a :class:`Patch`.

    Args:
        original: the library's own.
    """
    return _within(BrokersWork, original)


def by_app(original: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function that runs the app's code, such as its callbacks.

    Args:
        original: the library's own.
    """
    return _within(AppsWork, original)


def _within(block: type[BrokersWork], original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def run(*args: Any, **kwargs: Any) -> Any:
        with block():
            return original(*args, **kwargs)

    return run
