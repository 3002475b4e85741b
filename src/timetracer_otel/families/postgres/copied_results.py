"""Results of libpq that a driver clears by itself: copied through ctypes, or made up where the driver keeps none."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, cycle
from typing import Any, Final

from timetracer_otel.families.postgres import wire
from timetracer_otel.families.postgres.cells import INT4
from timetracer_otel.families.postgres.results import COMMAND, TUPLES, framing

__all__ = ["CopiedResult", "MadeResult"]

_WITH_ROWS: Final = 0x03  # PG_COPYRES_ATTRS | PG_COPYRES_TUPLES
_NUMBERS: Final = {
    "PQresultStatus": 0, "PQntuples": 0, "PQnfields": 0, "PQbinaryTuples": 0, "PQftablecol": 1, "PQfformat": 1,
    "PQfsize": 1, "PQfmod": 1, "PQgetisnull": 2, "PQgetlength": 2,
}  # fmt: skip
"""Functions of libpq that give a number, and how many numbers they take beside the result."""
_OIDS: Final = {"PQftable": 1, "PQftype": 1}
_TEXTS: Final = {"PQcmdStatus": 0, "PQfname": 1}


@lru_cache(maxsize=8)
def _library(path: str) -> ctypes.PyDLL:
    """Give the libpq that a module of C is linked to. None of these functions waits, so the GIL is kept.

    Args:
        path: of the module.
    """
    libpq = ctypes.PyDLL(path)
    kinds: tuple[tuple[Mapping[str, int], Any], ...] = (
        (_NUMBERS, ctypes.c_int), (_OIDS, ctypes.c_uint), (_TEXTS, ctypes.c_char_p),
        ({"PQgetvalue": 2}, ctypes.c_void_p),
    )  # fmt: skip
    for names, kind in kinds:
        for name, count in names.items():
            function = getattr(libpq, name)
            function.restype, function.argtypes = kind, [ctypes.c_void_p] + [ctypes.c_int] * count
    libpq.PQcopyResult.restype, libpq.PQcopyResult.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]
    libpq.PQclear.restype, libpq.PQclear.argtypes = None, [ctypes.c_void_p]
    text = libpq["PQgetvalue"]
    text.restype, text.argtypes = ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    libpq.text_value = text  # type: ignore[attr-defined]  # the same function, which reads to the zero
    return libpq


class CopiedResult:
    """A result with rows, of our own.

    Args:
        path: of the module of C whose libpq made it.
        pointer: to the driver's.

    Raises:
        MemoryError: there is none for a copy.
    """

    def __init__(self, path: str, pointer: int) -> None:
        self._libpq = _library(path)
        self._clear = self._libpq.PQclear
        self._pointer = self._libpq.PQcopyResult(pointer, _WITH_ROWS)
        if not self._pointer:
            raise MemoryError("there is no memory to keep what PostgreSQL answered")
        self.status: int = self._libpq.PQresultStatus(pointer)
        self.command_status: bytes = self._libpq.PQcmdStatus(pointer) or b""
        self.ntuples: int = self._libpq.PQntuples(pointer)
        self.nfields: int = self._libpq.PQnfields(pointer)

    def __del__(self) -> None:
        if getattr(self, "_pointer", None):
            self._clear(self._pointer)

    def get_value(self, row: int, column: int) -> bytes | None:
        """Give a value; None for NULL."""
        size: int = self._libpq.PQgetlength(self._pointer, row, column)
        if not size and self._libpq.PQgetisnull(self._pointer, row, column):
            return None
        return ctypes.string_at(self._libpq.PQgetvalue(self._pointer, row, column), size)

    def rows(self) -> bytes:
        """Give all rows as they are framed. Texts, which hold no zero, are read without their lengths."""
        if any(map(self.fformat, range(self.nfields))):
            return wire.rows(self._values(self.get_value), self.nfields)
        values = self._values(partial(self._libpq.text_value, self._pointer))
        for place in [place for place, value in enumerate(values) if not value]:
            values[place] = self.get_value(*divmod(place, self.nfields))
        return wire.rows(values, self.nfields)

    def _values(self, value: Callable[[int, int], bytes | None]) -> list[bytes | None]:
        numbers = chain.from_iterable(zip(*[range(self.ntuples)] * self.nfields, strict=True))
        return list(map(value, numbers, cycle(range(self.nfields))))

    def fname(self, column: int) -> bytes:
        """The name of a column."""
        name: bytes = self._libpq.PQfname(self._pointer, column)
        return name

    def ftable(self, column: int) -> int:
        """The table of a column."""
        return int(self._libpq.PQftable(self._pointer, column))

    def ftablecol(self, column: int) -> int:
        """The number of a column in its table."""
        return int(self._libpq.PQftablecol(self._pointer, column))

    def ftype(self, column: int) -> int:
        """The type of a column."""
        return int(self._libpq.PQftype(self._pointer, column))

    def fsize(self, column: int) -> int:
        """The size of the type of a column."""
        return int(self._libpq.PQfsize(self._pointer, column))

    def fmod(self, column: int) -> int:
        """The modifier of the type of a column."""
        return int(self._libpq.PQfmod(self._pointer, column))

    def fformat(self, column: int) -> int:
        """The format of a column."""
        return int(self._libpq.PQfformat(self._pointer, column))


framing[CopiedResult] = CopiedResult.rows


@dataclass(frozen=True, slots=True)
class MadeResult:
    """A result that the driver keeps no more: what it says of it.

    Attributes:
        status: of libpq.
        command_status: the command's tag.
        fields: of an error, by their letter.
        columns: each with its name and its type.
        rows: values as text.
    """

    status: int = COMMAND
    command_status: bytes = b""
    fields: Mapping[str, bytes] | None = None
    columns: Sequence[tuple[bytes, int]] = ()
    rows: Sequence[Sequence[bytes | None]] = ()

    @classmethod
    def found(cls, is_there: bool) -> MadeResult:  # noqa: FBT001 - it is the whole question
        """Give the result of ``SELECT 1`` of something that is there or not."""
        rows = [[b"1"]] if is_there else []
        return cls(TUPLES, b"SELECT %d" % len(rows), columns=[(b"?column?", INT4)], rows=rows)

    @property
    def binary_tuples(self) -> int:
        """Text."""
        return 0

    @property
    def ntuples(self) -> int:
        """How many rows."""
        return len(self.rows)

    @property
    def nfields(self) -> int:
        """How many columns."""
        return len(self.columns)

    def error_field(self, letter: int) -> bytes | None:
        """Give a field of an error."""
        return (self.fields or {}).get(chr(letter))

    def get_value(self, row: int, column: int) -> bytes | None:
        """Give a value; None for NULL."""
        return self.rows[row][column]

    def fname(self, column: int) -> bytes:
        """The name of a column."""
        return self.columns[column][0]

    def ftype(self, column: int) -> int:
        """The type of a column."""
        return self.columns[column][1]

    def ftable(self, _column: int) -> int:
        """Of no table."""
        return 0

    ftablecol = fformat = ftable

    def fsize(self, _column: int) -> int:
        """Of no size that is known."""
        return -1

    fmod = fsize
