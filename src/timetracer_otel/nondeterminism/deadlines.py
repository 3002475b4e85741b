"""Deadlines that code made from a recorded clock: event loops wait by the live one, which may be days apart.

``loop.call_at(time.monotonic() + 5)`` would fire at once or never in a replay. The recorded reading that was given last
in the lane tells which live moment it stands for. What asyncio itself computes is of the live clock already.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from timetracer_otel.nondeterminism.callers import PLUMBING, classify, known
from timetracer_otel.nondeterminism.draws import Given
from timetracer_otel.seams.branches import current_lane

__all__ = ["call_at", "live_moment", "timeout_at"]

_now = time.monotonic
_getframe = sys._getframe  # noqa: SLF001 - the only cheap way to the caller
_PASSED: Final = 0.05
"""Seconds: what passed so recently may be a deadline of the live clock, such as that of no wait at all."""


def live_moment(when: float, recorded: float, live: float, now: float) -> float:
    """Say when a deadline is on the live clock.

    Args:
        when: the deadline, of either clock.
        recorded: a recorded reading.
        live: when it was given, on the live clock.
        now: on the live clock.
    """
    moment = when - recorded + live
    is_recorded = moment >= live and (recorded > live or when < now - _PASSED)
    return moment if is_recorded else when


def _translated(when: Any) -> Any:
    lane = current_lane()
    given = None if lane is None else lane.draws
    if not isinstance(given, Given) or given.monotonic is None or not isinstance(when, int | float):
        return when
    return live_moment(when, *given.monotonic, _now())


def call_at(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around a loop's ``call_at``."""

    @wraps(original)
    def call_at(self: Any, when: Any, *args: Any, **kwargs: Any) -> Any:
        frame = _getframe(1)
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        return original(self, when if module == PLUMBING else _translated(when), *args, **kwargs)

    return call_at


def timeout_at(original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``asyncio.timeout_at``."""

    @wraps(original)
    def timeout_at(when: Any) -> Any:
        return original(_translated(when))

    return timeout_at
