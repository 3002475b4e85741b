"""A message that an app sends, and the bytes that its producer makes of key and value, seen as they are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from timetracer_otel.families.kafka import producing
from timetracer_otel.families.kinds.message import Record

__all__ = ["Leaving", "serializing", "taking"]

_taken: ContextVar[list[Any] | None] = ContextVar("timetracer_serialized", default=None)


class Leaving(NamedTuple):
    """What an app sends, as it calls."""

    topic: Any
    value: Any
    key: Any
    headers: Any
    partition: Any
    timestamp: Any

    def record(self, made: Sequence[Any]) -> Record:
        """Give it as it leaves the app.

        Args:
            made: bytes of key and value.
        """
        key, value = made
        return producing.record(self.topic, value, key, self.headers, self.partition, self.timestamp)


def serializing(original: Any) -> Any:
    """Go around a producer's ``_serialize``, of whose results :func:`taking` takes note."""

    def serialize(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = original(self, *args, **kwargs)
        if (taken := _taken.get()) is not None:
            taken.append(made)
        return made

    return serialize


@contextmanager
def taking() -> Iterator[list[Any]]:
    """While a message is sent: what the producer has serialized for it so far."""
    taken: list[Any] = []
    token = _taken.set(taken)
    try:
        yield taken
    finally:
        _taken.reset(token)
