"""Drawn values on their way into a cassette and back: a column of them, written as what takes the least room.

A column is a list of JSON values as they are; or, of small numbers, a string with a character for each; or, of a
clock's readings, ``{"unit": …, "steps": …}``: the first one in units and how many more each next one is. A reading is
the steps' sum divided by the unit, to the last bit, else the column is written as it is; unit 0 stands for integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise, repeat
from operator import truediv
from typing import Any, Final, TypeAlias

import orjson

__all__ = ["NO_MORE", "Column", "Json", "Packed", "Reader", "pack", "values_of"]

NO_MORE: Final = object()
"""Stands for a value that was not recorded."""

Json: TypeAlias = Any
"""A value as JSON has it."""
Packed: TypeAlias = "list[Json] | str | dict[str, Any]"

_CHARACTERS: Final = "".join(chr(code) for code in range(0x23, 0x7F) if chr(code) != "\\")
"""Those that neither JSON nor JSON in JSON escapes."""
_NUMBERS: Final = {character: number for number, character in enumerate(_CHARACTERS)}
_NO_CHARACTER: Final = b"\\"
_BYTES: Final = _CHARACTERS.encode().ljust(256, _NO_CHARACTER)
"""The same, for numbers that are bytes."""
_UNITS: Final = (10_000_000, 1_000_000_000)
"""A double of today's time of day has room for tenths of microseconds, one of a monotonic clock for nanoseconds."""
_LARGEST: Final = 1 << 62
_FEW: Final = 3
_JOINED: Final = 4096
_LARGE: Final = 8


def pack(values: list[Json]) -> Packed:
    """Write a column.

    Args:
        values: as JSON has them.
    """
    if len(values) < _FEW:
        return values
    first = values[0]
    if type(first) is float:
        return _by_steps(values)
    if type(first) is int and set(map(type, values)) == {int}:
        small = _characters(values)
        if small is not None:
            return small
        smallest, largest = min(values), max(values)
        if first >= _LARGEST >> 3 and smallest > 0 and largest < _LARGEST:
            return {"unit": 0, "steps": _steps(values)}  # readings in nanoseconds: large, and near to one another
    return values


def _characters(values: list[int]) -> str | None:
    try:
        text = bytes(values).translate(_BYTES)
    except ValueError:  # no bytes
        return None
    return None if _NO_CHARACTER in text else text.decode("ascii")


def _by_steps(values: list[Json]) -> Packed:
    if not all(type(value) is float and 0.0 < value < _LARGEST // _UNITS[-1] for value in values):
        return values
    for unit in _UNITS:
        counts = [round(value * unit) for value in values]
        steps = _steps(counts)
        if all(count / unit == value for count, value in zip(counts, values, strict=True)):
            return {"unit": unit, "steps": steps} if _is_short(steps) else values
    return values


def _steps(counts: list[int]) -> list[int]:
    return [counts[0], *(after - before for before, after in pairwise(counts))]


def _is_short(steps: list[int]) -> bool:
    """Random numbers have steps as long as they are themselves: they stay readable."""
    return sum(map(abs, steps[1:])) < 10_000_000_000 * len(steps)


class Column:
    """Recorded draws of one kind at one site in one branch, in few bytes until they are given back.

    Attributes:
        chunks: what :func:`pack` gave, large ones encoded again: objects would take five times the room.
    """

    __slots__ = ("chunks",)

    def __init__(self) -> None:
        self.chunks: list[Json] = []

    def add(self, packed: Json) -> None:
        """Append what :func:`pack` gave.

        Raises:
            TypeError: it is nothing of the kind.
        """
        last: Json = self.chunks[-1] if self.chunks else None
        if type(packed) is type(last) and (type(packed) is list or (type(packed) is str and len(last) < _JOINED)):
            packed = self.chunks.pop() + packed
        steps = packed["steps"] if isinstance(packed, dict) else packed
        if not isinstance(steps, list | str):
            raise TypeError(type(steps))
        is_large = not isinstance(packed, str) and len(steps) > _LARGE
        # A copy, because orjson's own bytes keep the room that they were made in.
        self.chunks.append(bytes(memoryview(orjson.dumps(packed))) if is_large else packed)


class Reader:
    """How far a live lane is in a column.

    Attributes:
        values: those of the chunk that are left; an iterator of C, so that threads may share it without a lock.
    """

    __slots__ = ("_chunks", "values")

    def __init__(self, column: Column) -> None:
        self._chunks = iter(column.chunks)
        self.values: Iterator[Json] = iter(())

    def next(self) -> Json:
        """The next value; :data:`NO_MORE` behind the last. The caller holds the lane's lock."""
        while (value := next(self.values, NO_MORE)) is NO_MORE:
            chunk = next(self._chunks, None)
            if chunk is None:
                return NO_MORE
            self.values = values_of(chunk)
        return value


def values_of(chunk: Packed | bytes) -> Iterator[Json]:
    """Give the values of a chunk, each made when it is asked for.

    Args:
        chunk: what :func:`pack` gave, or that encoded.
    """
    packed: Packed = orjson.loads(chunk) if isinstance(chunk, bytes) else chunk
    if isinstance(packed, str):
        return map(_NUMBERS.get, packed)
    if isinstance(packed, list):
        return iter(packed)
    counts = accumulate(packed["steps"])
    return map(truediv, counts, repeat(packed["unit"])) if packed["unit"] else counts
