"""How often a client that keeps replies was asked: what it answers by itself passes no connection.

The server tells it which keys have changed. When it was told counts by what it had been asked until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol
from weakref import WeakSet

__all__ = ["TURNS", "Turns", "turns_of"]

TURNS: Final = "timetracer.redis.turns"
"""On what a server told of changed keys: how often the client was asked since the call before it was sent."""
_TURNS: Final = "_timetracer_turns"


class Waiting(Protocol):
    """Has something to do at the next turn."""

    def turn(self) -> None:
        """Do so."""
        ...


class Turns:
    """Counts them for all connections that one cache has."""

    __slots__ = ("_looking", "count", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self._looking = 0
        self.waiting: WeakSet[Any] = WeakSet()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Count one, around the client's look at what has changed and whether it has the reply."""
        self.count += 1
        for one in list(self.waiting):
            one.turn()
        self._looking += 1
        try:
            yield
        finally:
            self._looking -= 1

    def heard(self, *, awaits_reply: bool) -> int:
        """Give the turn at which the client learns what has arrived now: the next one, where it is not looking.

        Args:
            awaits_reply: whether it waits for a reply on that connection, so that it takes all that comes before.
        """
        return self.count if awaits_reply or self._looking else self.count + 1


def turns_of(cache: Any) -> Turns:
    """Give the turns of a cache.

    Args:
        cache: the client's.
    """
    found: Turns | None = cache.__dict__.get(_TURNS)
    if found is None:
        found = cache.__dict__[_TURNS] = Turns()
    return found
