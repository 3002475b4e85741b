"""How often a client that keeps replies was asked: what it answers by itself passes no connection.

The server tells it which keys have changed. When it was told counts by what it had been asked until then.
"""

from __future__ import annotations

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

    __slots__ = ("count", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.waiting: WeakSet[Any] = WeakSet()

    def take(self) -> None:
        """Count one, before the client looks whether it has the reply."""
        self.count += 1
        for one in list(self.waiting):
            one.turn()


def turns_of(cache: Any) -> Turns:
    """Give the turns of a cache.

    Args:
        cache: the client's.
    """
    found: Turns | None = cache.__dict__.get(_TURNS)
    if found is None:
        found = cache.__dict__[_TURNS] = Turns()
    return found
