"""Our own faults while recording: logged once, counted, and raised only under tests."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["counts", "guarded", "report", "tell_off"]

_log = logging.getLogger("timetracer_otel")
_T = TypeVar("_T")

counts: Counter[str] = Counter()
"""How often each place failed in this process."""


_told_off: set[str] = set()


def tell_off(error: BaseException) -> None:
    """Say, once in this process, that nothing is recorded.

    Args:
        error: why.
    """
    if str(error) not in _told_off:
        _told_off.add(str(error))
        _log.error("timetracer is off: %s", error)


def report(where: str, error: BaseException) -> None:
    """Take note of a fault of ours; the app goes on as if nothing had happened.

    Args:
        where: a stable name of the place, such as ``pymongo.sendall``.
        error: what was raised there.

    Raises:
        BaseException: the same error, when ``TIMETRACER_RAISE_FAULTS`` is set (our own tests set it).
    """
    counts[where] += 1
    if os.environ.get("TIMETRACER_RAISE_FAULTS"):
        raise error
    if counts[where] == 1:
        _log.error(
            "timetracer could not record at %s: %s: %s. The app is not affected; later faults there are only counted",
            where,
            type(error).__name__,
            error,
            exc_info=_log.isEnabledFor(logging.DEBUG),
        )


def guarded(where: str, step: Callable[..., _T], *args: Any) -> _T | None:
    """Do a step of ours; None after a fault, which is reported: recording never breaks the app.

    Args:
        where: as :func:`report` takes it.
        step: what is done.
        args: for it.
    """
    try:
        return step(*args)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        report(where, error)
        return None
