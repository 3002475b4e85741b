"""Streams of a recording: what came after a call without being asked for, or being asked for as "the next"."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from heapq import merge
from types import MappingProxyType

from timetracer_otel import spans
from timetracer_otel.cassette.model import Followers, Span
from timetracer_otel.replay.answering.matching import Matcher
from timetracer_otel.seams import Answer, InStream

__all__ = ["History", "LiveStream", "WatchedStreams"]


class History:
    """The calls of one integration in one recorded lane or session, by the streams that they open and continue.

    Args:
        calls: in order of start.
        place: where a call that was asked stands, see :attr:`Integration.stream`.
        rests: of long streams what is left in a file, see :attr:`Lane.followers`.
    """

    def __init__(
        self,
        calls: Iterable[Span],
        place: Callable[[Span], InStream | None],
        rests: Mapping[str, Followers] = MappingProxyType({}),
    ) -> None:
        self._rests = rests
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
        to_come = [self._after(call)]
        while to_come:
            follower = next(to_come[-1], None)
            if follower is None:
                to_come.pop()
            else:
                yield follower
                to_come.append(self._after(follower))

    def _after(self, call: Span) -> Iterator[Span]:
        held, rest = self._followers.get(call.span_id, ()), self._rests.get(call.span_id)
        return iter(held) if rest is None else merge(held, rest, key=lambda span: span.start)


class WatchedStreams(list["LiveStream"]):
    """The streams of a process that give by themselves what they have."""

    def tell(self) -> None:
        """Let them give what is due: something was answered."""
        for stream in tuple(self):
            stream.tell_if_due()

    def settle(self, matcher: Matcher | None) -> None:
        """Count what is due as answered: the lane ends, and what its app has left unread had come.

        Args:
            matcher: of the lane.
        """
        for stream in tuple(self):
            if stream.matcher is matcher:
                stream.settle()


class LiveStream:
    """One stream while a replay reads it; any thread may.

    Args:
        calls: what was recorded.
        matcher: of the lane that opened it, which knows what was asked.
        serve: counts a call as answered, and gives the answer.
        watched: the streams that are told of each answered call.
    """

    def __init__(
        self, calls: Iterator[Span], matcher: Matcher, serve: Callable[[Span], Answer], watched: WatchedStreams
    ) -> None:
        self._calls = calls
        self.matcher = matcher
        self._serve = serve
        self._watched = watched
        self._lock = threading.RLock()
        self._upcoming = next(calls, None)
        self._wake: Callable[[], object] | None = None

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
        return upcoming is not None and self.matcher.has_reached(upcoming)

    def watch(self, tell: Callable[[Answer], object]) -> None:
        """Give each next one by itself."""
        self.wake(partial(self._give, tell))

    def wake(self, told: Callable[[], object]) -> None:
        """Have it known that the next one is due."""
        self._wake = told
        self._watched.append(self)
        self.tell_if_due()

    def tell_if_due(self) -> None:
        """Do so, where it is time."""
        wake = self._wake
        if wake is not None and self.is_due():
            wake()
        if self._upcoming is None:
            self.close()

    def settle(self) -> None:
        """Count all that is due as answered."""
        self._give(lambda _answer: None)

    def close(self) -> None:
        """Give nothing more by itself."""
        if self._wake is not None:
            self.settle()
        self._wake = None
        with suppress(ValueError):  # it never gave anything by itself
            self._watched.remove(self)

    def _give(self, tell: Callable[[Answer], object]) -> None:
        with self._lock:
            while self.is_due() and (upcoming := self._take()) is not None:
                tell(self._serve(upcoming))

    def _take(self) -> Span | None:
        upcoming = self._upcoming
        if upcoming is not None:
            self._upcoming = next(self._calls, None)
        return upcoming
