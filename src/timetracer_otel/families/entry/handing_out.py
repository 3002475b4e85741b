"""The recorded entries that wait for a program which takes them by itself, in a replay."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from timetracer_otel import seams
from timetracer_otel.cassette.model import Lane
from timetracer_otel.seams import Responder

__all__ = ["Waiting"]

_Place = TypeVar("_Place")


class Waiting(Generic[_Place]):
    """Recorded entries of one kind, in order. Each is read only when its turn comes, and given to one process.

    Args:
        plugin: the integration that recorded them.
        kind: of the entries.
        place: where a recorded one came by: a queue, a topic.
    """

    def __init__(self, plugin: str, kind: str, place: Callable[[Lane], _Place]) -> None:
        self._plugin = plugin
        self._kind = kind
        self._place = place
        self._lock = threading.Lock()
        self._responder: Responder | None = None
        self._coming: Iterator[Lane] | None = None
        self._aside: deque[tuple[_Place, Lane]] = deque()
        self._are_all_taken = False

    def next(self, suits: Callable[[_Place], bool]) -> Lane | None:
        """Give the next entry that suits who asks; None when none does, or nothing is replayed.

        Args:
            suits: whether a place is one of those that are asked for.
        """
        with self._lock:
            self._begin()
            for place, lane in self._aside:
                if suits(place):
                    self._aside.remove((place, lane))
                    return lane
            for lane in self._rest():
                place = self._place(lane)
                if suits(place):
                    return lane
                self._aside.append((place, lane))
            self._are_all_taken = self._coming is not None
        return None

    def give_back(self, lane: Lane) -> None:
        """Take an entry back that the app did not get: it is the next of its place.

        Args:
            lane: that was given to this process.
        """
        with self._lock:
            self._aside.appendleft((self._place(lane), lane))

    @property
    def is_over(self) -> bool:
        """Whether every entry has been given to somebody."""
        return self._are_all_taken and not self._aside

    def _begin(self) -> None:
        """Begin, and begin anew in another replay of the same process."""
        responder = seams.responder(self._plugin)
        if responder is not self._responder:
            self._responder, self._coming = responder, None
            self._aside.clear()
            self._are_all_taken = False

    def _rest(self) -> Iterator[Lane]:
        if self._coming is None and self._responder is not None:
            self._coming = iter(self._responder.hand_out(self._kind))
        return self._coming or iter(())
