"""The bytes of messages whose keys and values the app has its client make into something else.

The client calls the app's functions below what the app sees of a message. Each call is noted there, and each message
that the client makes from them; the bytes wait until that message is given to the app.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import wrapt

__all__ = ["Bytes", "Kept", "noting"]

Bytes = NamedTuple("Bytes", [("key", bytes | None), ("value", bytes | None)])  # noqa: UP014 - a one-liner


class _Last(threading.local):
    """What this thread has made last into something else."""

    kept: Kept | None = None
    key: bytes | None = None
    value: bytes | None = None


_last: Final = _Last()


class Kept:
    """The bytes that one consumer has fetched and not given to the app yet."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        """Which of ``key`` and ``value`` are made into something else."""
        self._by_partition: dict[tuple[str, int], dict[int, Bytes]] = {}

    def watching(self, function: Any, part: str) -> Any:
        """Give the app's function so that what it is called with is noted.

        Args:
            function: a plain one, or an object with a method ``deserialize``; None where there is none.
            part: ``key`` or ``value``.
        """
        if function is None:
            return None
        self.functions.add(part)
        return _Watched(function, self, part)

    def note(self, record: Any) -> None:
        """Take a message that the client has made from what was noted last in this thread."""
        bytes_ = Bytes(_last.key, _last.value)
        self._by_partition.setdefault((record.topic, record.partition), {})[record.offset] = bytes_

    def take(self, record: Any) -> Bytes:
        """Give the bytes of a message that the app gets now. Those before it will never be given.

        Args:
            record: as the client made it.

        Raises:
            KeyError: nothing was noted of it.
        """
        if not self.functions:
            return Bytes(record.key, record.value)
        waiting = self._by_partition[record.topic, record.partition]
        found = waiting.pop(record.offset)
        for offset in [one for one in waiting if one < record.offset]:
            del waiting[offset]
        key = found.key if "key" in self.functions else record.key
        return Bytes(key, found.value if "value" in self.functions else record.value)


class _Watched(wrapt.ObjectProxy):  # type: ignore[misc] # wrapt 1 ships no types
    """An app's function, of whichever class: it is called as ever."""

    def __init__(self, function: Any, kept: Kept, part: str) -> None:
        super().__init__(function)
        self._self_kept = kept
        self._self_part = part

    def __call__(self, data: Any) -> Any:
        self._note(data)
        return self.__wrapped__(data)

    def deserialize(self, *args: Any) -> Any:
        """As newer versions of kafka-python call it: topic, headers where it knows them, data."""
        self._note(args[-1])
        return self.__wrapped__.deserialize(*args)

    def _note(self, data: Any) -> None:
        _last.kept = self._self_kept
        setattr(_last, self._self_part, None if data is None else bytes(data))


def noting(original: Any) -> Any:
    """Go around the generator that makes messages of what was fetched.

    Args:
        original: the client's.
    """

    def unpack(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for record in original(self, *args, **kwargs):
            kept, _last.kept = _last.kept, None
            if kept is not None:
                kept.note(record)
            yield record

    return unpack
