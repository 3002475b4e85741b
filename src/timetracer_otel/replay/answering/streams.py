"""Streams of a recording: what came after a call without being asked for, or being asked for as "the next"."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.replay.answering.matching import Matcher
from timetracer_otel.seams import Answer, InStream

__all__ = ["History", "LiveStream", "Watched"]


class History:
    """The calls of one integration in one recorded lane or session, by the streams that they open and continue.

    Args:
        calls: in order of start.
        place: where a call that was asked stands, see :attr:`Integration.stream`.
    """

    def __init__(self, calls: Iterable[Span], place: Callable[[Span], InStream | None]) -> None:
        self._number: dict[str, int] = {}
        self._openers: dict[str, list[int]] = defaultdict(list)
        self._asked: dict[str, list[tuple[int, Span]]] = defaultdict(list)
        self._followers: dict[str, list[Span]] = defaultdict(list)
        for number, call in enumerate(calls):
            self._number[call.span_id] = number
            if (before := call.text(spans.FOLLOWS)) is not None:
                self._followers[before].append(call)
            elif (found := place(call)) is not None:
                if found.continues:
                    self._asked[found.continues].append((number, call))
                if found.opens:
                    self._openers[found.opens].append(number)

    def following(self, opener: Span, name: str) -> Iterator[Span]:
        """The calls of a stream in order, up to where another call opens one of the same name.

        Args:
            opener: that opened it.
            name: of the stream; empty for none.
        """
        yield from self._unasked(opener)
        start = self._number.get(opener.span_id, -1)
        openers = self._openers[name] if name else []
        later = bisect_right(openers, start)
        stop = openers[later] if later < len(openers) else None
        for number, call in self._asked[name] if name else ():
            if number > start and (stop is None or number < stop):
                yield call
                yield from self._unasked(call)

    def _unasked(self, call: Span) -> Iterator[Span]:
        """What came after a call by itself, and after that."""
        to_come = [iter(self._followers.get(call.span_id, ()))]
        while to_come:
            follower = next(to_come[-1], None)
            if follower is None:
                to_come.pop()
            else:
                yield follower
                to_come.append(iter(self._followers.get(follower.span_id, ())))


class Watched(Protocol):
    """A stream that gives its next one by itself."""

    def tell_if_due(self) -> None:
        """Do so, where it is time."""
        ...


class LiveStream:
    """One stream while a replay reads it; any thread may.

    Args:
        calls: what was recorded.
        matcher: of the lane that opened it, which knows what was asked.
        serve: counts a call as answered, and gives the answer.
        watched: the streams that are told of each answered call.
    """

    def __init__(
        self, calls: Iterator[Span], matcher: Matcher, serve: Callable[[Span], Answer], watched: list[Watched]
    ) -> None:
        self._calls = calls
        self._matcher = matcher
        self._serve = serve
        self._watched = watched
        self._lock = threading.RLock()
        self._upcoming = next(calls, None)
        self._tell: Callable[[Answer], object] | None = None

    def next(self) -> Answer | None:
        """See :meth:`timetracer_otel.seams.Stream.next`, likewise the others."""
        with self._lock:
            upcoming = self._take()
        return None if upcoming is None else self._serve(upcoming)

    def upcoming(self) -> Span | None:
        """The next one, due or not."""
        return self._upcoming

    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        upcoming = self._upcoming
        return upcoming is not None and self._matcher.has_reached(upcoming)

    def watch(self, tell: Callable[[Answer], object]) -> None:
        """Give each next one by itself."""
        self._tell = tell
        self._watched.append(self)
        self.tell_if_due()

    def tell_if_due(self) -> None:
        """Give all that is due."""
        with self._lock:
            while self._tell is not None and self.is_due() and (upcoming := self._take()) is not None:
                self._tell(self._serve(upcoming))
            if self._upcoming is None:
                self.close()

    def close(self) -> None:
        """Give nothing more by itself."""
        self._tell = None
        if self in self._watched:
            self._watched.remove(self)

    def _take(self) -> Span | None:
        upcoming = self._upcoming
        if upcoming is not None:
            self._upcoming = next(self._calls, None)
        return upcoming
