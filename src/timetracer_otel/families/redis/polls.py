"""How often a subscriber looked for a message and there was none: what it saw so is seen again, without the waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from timetracer_otel.cassette.model import Span
from timetracer_otel.seams import Answer

__all__ = ["POLLS", "Held", "polls_before"]

POLLS: Final = "timetracer.redis.polls"
"""On a message, how often its subscriber looked in vain since the one before; absent for never."""
_MOMENT: Final = 0.02
"""Seconds to wait where no message came: who looks again and again is not to keep a processor busy."""
_LATE: Final = 1.0
"""Seconds by which a message that came may be later now."""


def polls_before(message: Span) -> int:
    """Give how often the subscriber looked in vain before a recorded message came.

    Args:
        message: its span.
    """
    found = message.attributes.get(POLLS)
    return found if isinstance(found, int) else 0


class Held:
    """The messages of one connection that are due, until their subscriber has looked as often as then; any thread may.

    Args:
        tell: says a message to the client.
    """

    def __init__(self, tell: Callable[[Answer], object]) -> None:
        self._tell = tell
        self._messages: deque[Answer] = deque()
        self._polls = 0
        self._spared = 0.0
        """Seconds that the subscriber wanted to wait, and did not: others may need them to come as far as then."""
        self._lock = threading.RLock()

    def add(self, message: Answer) -> None:
        """Take a message that is due."""
        with self._lock:
            self._messages.append(message)
            self._release()

    def polled(self) -> None:
        """Count that the subscriber looked in vain."""
        with self._lock:
            self._polls += 1
            self._release()

    def patience(self, timeout: float | None, upcoming: Iterable[Span | None], *, waits: bool) -> float | None:
        """Give how long the subscriber is to wait: for a message that came then, until it comes, else for a moment.

        Args:
            timeout: how long it wants to; None for ever.
            upcoming: of each subscription the next message that is not due yet, if there is one.
            waits: whether it is to wait as long as then.
        """
        with self._lock:
            if timeout is None:
                self._release(all_of_them=True)
                return None
            comes = any(one is not None and polls_before(one) <= self._polls for one in upcoming)
            if comes and not self._messages:
                return timeout + self._spared + _LATE
            if waits:
                return timeout
            self._spared += max(timeout - _MOMENT, 0.0)
            return min(timeout, _MOMENT)

    def _release(self, *, all_of_them: bool = False) -> None:
        while self._messages and (all_of_them or polls_before(self._messages[0].recorded) <= self._polls):
            self._polls, self._spared = 0, 0.0
            self._tell(self._messages.popleft())
