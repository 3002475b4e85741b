"""How often a subscriber looked for a message and there was none: what it saw so is seen again, without the waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import itemgetter
from typing import Final

from timetracer_otel.cassette.model import Span
from timetracer_otel.families.nowhere import Reply
from timetracer_otel.seams import Answer, Stream

__all__ = ["POLLS", "Heard", "polls_before"]

POLLS: Final = "timetracer.redis.polls"
"""On a message, and a call that subscribed, how often its subscriber looked in vain since the one before, if it did."""
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


class Heard:
    """The messages of one connection, each said when it is due; any thread may look.

    Its subscriber must have looked as often as then, too, and have read those before: they are not kept here.

    Args:
        say: says what an iterator gives, as the client reads.
        said: gives what a message has the server say.
    """

    def __init__(
        self, say: Callable[[Iterator[Reply[bytes]]], object], said: Callable[[Answer], Iterable[Reply[bytes]]]
    ) -> None:
        self._say = say
        self._said = said
        self._streams: list[Stream] = []
        self._unconfirmed: deque[tuple[int, Iterable[Reply[bytes]]]] = deque()
        self._flows = False
        """Whether the client has something to read that gives what is due."""
        self._waits_for_good = False
        self._polls = 0
        self._spared = 0.0
        """Seconds that the subscriber wanted to wait, and did not: others may need them to come as far as then."""
        self._lock = threading.RLock()

    def add(self, stream: Stream) -> None:
        """Listen to one more subscription."""
        with self._lock:
            self._streams.append(stream)
        stream.wake(self._go_on)

    def confirm(self, polls: int, said: Iterable[Reply[bytes]]) -> Iterable[Reply[bytes]]:
        """Give what confirms a command now; where it is to come later, behind others that are, it is said then.

        Args:
            polls: how often the subscriber looks in vain before it; messages come behind it.
            said: the answer.
        """
        with self._lock:
            if not polls and not self._unconfirmed:
                return said
            self._unconfirmed.append((polls, said))
        self._go_on()
        return ()

    def polled(self) -> None:
        """Count that the subscriber looked in vain."""
        with self._lock:
            self._polls += 1
        self._go_on()

    def patience(self, timeout: float | None, *, waits: bool) -> float | None:
        """Give how long the subscriber is to wait: for a message that came then, until it comes, else for a moment.

        Args:
            timeout: how long it wants to; None for ever.
            waits: whether it is to wait as long as then.
        """
        with self._lock:
            self._waits_for_good = timeout is None
        if timeout is None:
            self._go_on()
            return None
        with self._lock:
            due = [stream.is_due() for stream in self._streams]
            upcoming = [stream.upcoming() for stream in self._streams]
            comes = any(one is not None and polls_before(one) <= self._polls for one in upcoming)
            if comes and not any(due) and not self._unconfirmed:
                return timeout + self._spared + _LATE
            if waits:
                return timeout
            self._spared += max(timeout - _MOMENT, 0.0)
            return min(timeout, _MOMENT)

    def close(self) -> None:
        """Listen no more."""
        for stream in self._streams:
            stream.close()

    def _go_on(self) -> None:
        with self._lock:
            if self._flows or self._next() is None:
                return
            self._flows = True
        self._say(self._flow())

    def _flow(self) -> Iterator[Reply[bytes]]:
        while True:
            with self._lock:
                take = self._next()
                if take is None:
                    self._flows = False
                    return
                self._polls, self._spared = 0, 0.0
                said = take()
            yield from said

    def _next(self) -> Callable[[], Iterable[Reply[bytes]]] | None:
        """Take what is to be said now, when called."""
        if self._unconfirmed:
            return self._confirmed if self._has_looked(self._unconfirmed[0][0]) else None
        due: list[tuple[int, Stream]] = []
        for stream in self._streams:
            upcoming = stream.upcoming()
            if upcoming is not None and stream.is_due() and self._has_looked(polls_before(upcoming)):
                due.append((upcoming.start, stream))
        return partial(self._told, min(due, key=itemgetter(0))[1]) if due else None

    def _has_looked(self, polls: int) -> bool:
        return self._waits_for_good or polls <= self._polls

    def _confirmed(self) -> Iterable[Reply[bytes]]:
        return self._unconfirmed.popleft()[1]

    def _told(self, stream: Stream) -> Iterable[Reply[bytes]]:
        message = stream.next()
        return () if message is None else self._said(message)
