"""Drawn values on their way into a cassette and back: a column of them, written as what takes the least room.

A column is a list of JSON values as they are; or, of small numbers, a string with a character for each; or, of a
clock's readings, ``{"unit": …, "steps": …}``: the first one in units and how many more each next one is. A reading is
the steps' sum divided by the unit, to the last bit, else the column is written as it is; unit 0 stands for integers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Final, TypeAlias

__all__ = ["Column", "Json", "Packed", "pack"]

Json: TypeAlias = Any
"""A value as JSON has it."""
Packed: TypeAlias = "list[Json] | str | dict[str, Any]"

_CHARACTERS: Final = "".join(chr(code) for code in range(0x23, 0x7F) if chr(code) != "\\")
"""Those that neither JSON nor JSON in JSON escapes."""
_NUMBERS: Final = {character: number for number, character in enumerate(_CHARACTERS)}
_UNITS: Final = (10_000_000, 1_000_000_000)
"""A double of today's time of day has room for tenths of microseconds, one of a monotonic clock for nanoseconds."""
_LARGEST: Final = 1 << 62
_FEW: Final = 3
_JOINED: Final = 4096


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
    if type(first) is int:
        if all(type(value) is int and 0 <= value < len(_CHARACTERS) for value in values):
            return "".join(map(_CHARACTERS.__getitem__, values))
        if first >= _LARGEST >> 3 and all(type(value) is int and 0 < value < _LARGEST for value in values):
            return {"unit": 0, "steps": _steps(values)}  # readings in nanoseconds: large, and near to one another
    return values


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
    """Recorded draws of one kind at one site in one branch, kept as they were written until they are asked for."""

    __slots__ = ("_chunks", "_ends", "count")

    def __init__(self) -> None:
        self._chunks: list[Any] = []
        self._ends: list[int] = []
        self.count = 0

    def add(self, packed: Packed) -> None:
        """Append what :func:`pack` gave.

        Raises:
            TypeError: it is nothing of the kind.
        """
        size = len(packed["steps"]) if isinstance(packed, dict) else len(packed)
        last = self._chunks[-1] if self._chunks else None
        self.count += size
        if isinstance(packed, list) and isinstance(last, list):
            last.extend(packed)
        elif isinstance(packed, str) and isinstance(last, str) and len(last) < _JOINED:
            self._chunks[-1] = last + packed
        elif isinstance(packed, list | str | dict):
            self._chunks.append(packed)
            self._ends.append(self.count)
        else:
            raise TypeError(type(packed))
        self._ends[-1] = self.count

    def __getitem__(self, number: int) -> Json:
        place = bisect_right(self._ends, number) if len(self._ends) > 1 else 0
        begin = self._ends[place - 1] if place else 0
        chunk = self._chunks[place]
        if isinstance(chunk, dict):
            chunk = self._chunks[place] = _Readings(chunk["unit"], chunk["steps"])
        value = chunk[number - begin]
        return _NUMBERS[value] if isinstance(chunk, str) else value


class _Readings(Sequence[Json]):
    """A clock's readings, of which only the asked ones become numbers."""

    def __init__(self, unit: int, steps: list[int]) -> None:
        self._unit = unit
        self._counts = array("q", accumulate(steps))

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, number: Any) -> Json:
        count = self._counts[number]
        return count / self._unit if self._unit else count
