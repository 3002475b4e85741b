"""MySQL's packets: cut from a stream, read and made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct, error
from typing import Final, NamedTuple

__all__ = [
    "BINARY",
    "LONGEST",
    "Column",
    "Done",
    "Packet",
    "Refusal",
    "Split",
    "StructError",
    "cells",
    "column",
    "column_definition",
    "done",
    "eof",
    "eof_status",
    "frame",
    "length",
    "ok",
    "packets",
    "prefixed",
    "refusal",
    "row",
    "text_until_zero",
]

StructError = error
LONGEST: Final = 0xFFFFFF
"""Bytes of the longest packet; one of that length goes on in the next."""
BINARY: Final = 63
"""The number of the character set of what is no text."""
_NULL: Final = 0xFB
_LENGTHS: Final = {0xFC: 2, 0xFD: 3, 0xFE: 8}
_TEXTS: Final = 6
_FACTS: Final = 13
"""Bytes of what is said of a column after its names."""
_COLUMN: Final = Struct("<HIBHB")
_STATUS: Final = Struct("<HH")


class Packet(NamedTuple):
    """A packet, or several that belong together.

    Attributes:
        number: of the first one.
        payload: of all.
    """

    number: int
    payload: bytes


class Column(NamedTuple):
    """A column of a result.

    Attributes:
        name: of it.
        charset: the number of its character set.
        length: bytes of its longest value.
        type: the number of its type.
        flags: of it.
        decimals: behind the point.
        table: that it is of.
    """

    name: str
    charset: int
    length: int
    type: int
    flags: int
    decimals: int
    table: str = ""


class Done(NamedTuple):
    """What the server says at the end of a statement without rows.

    Attributes:
        affected: rows.
        last_id: that was made.
        status: flags of the connection.
        warnings: how many.
        info: for people.
    """

    affected: int
    last_id: int
    status: int
    warnings: int
    info: bytes


class Refusal(NamedTuple):
    """An error of the server.

    Attributes:
        number: of it.
        sqlstate: likewise in SQL's own terms.
        message: for people.
    """

    number: int
    sqlstate: str
    message: str


def packets(stream: bytes) -> Iterator[Packet]:
    """Cut whole packets from a stream; what is left at its end is dropped.

    Args:
        stream: of one direction.
    """
    return iter(Split().packets(stream))


class Split:
    """Cuts a stream that comes piece by piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._parts: list[bytes] = []
        self._number = 0

    def packets(self, data: bytes) -> list[Packet]:
        """Give the packets that are whole now.

        Args:
            data: what came.
        """
        data = self._rest + data if self._rest else data
        found: list[Packet] = []
        at, end = 0, len(data)
        while end - at >= 4:  # noqa: PLR2004 - a packet's header
            stop = at + 4 + int.from_bytes(data[at : at + 3], "little")
            if stop > end:
                break
            if not self._parts:
                self._number = data[at + 3]
            self._parts.append(data[at + 4 : stop])
            if stop - at - 4 < LONGEST:
                found.append(Packet(self._number, b"".join(self._parts)))
                self._parts = []
            at = stop
        self._rest = data[at:]
        return found


def frame(payload: bytes, number: int) -> bytes:
    """Make a packet of a payload; several when it is long.

    Args:
        payload: of any length.
        number: of the first packet.
    """
    pieces: list[bytes] = []
    for start in range(0, len(payload) + 1, LONGEST):
        part = payload[start : start + LONGEST]
        pieces += (len(part).to_bytes(3, "little"), bytes((number % 256,)), part)
        number += 1
        if len(part) < LONGEST:
            break
    return b"".join(pieces)


def length(payload: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length.

    Args:
        payload: of a packet.
        at: where it begins.

    Returns:
        The number and where it ends.
    """
    first = payload[at]
    size = _LENGTHS.get(first, 0)
    if not size:
        return first, at + 1
    return int.from_bytes(payload[at + 1 : at + 1 + size], "little"), at + 1 + size


def _as_length(number: int) -> bytes:
    if number < _NULL:
        return bytes((number,))
    for mark, size in _LENGTHS.items():
        if number < 1 << (8 * size):
            return bytes((mark,)) + number.to_bytes(size, "little")
    raise ValueError(f"{number} is too long")


def prefixed(text: bytes) -> bytes:
    """Write a text with its length before it.

    Args:
        text: any.
    """
    return _as_length(len(text)) + text


def cells(payload: bytes) -> list[bytes | None]:
    """Read the values of a row in text.

    Args:
        payload: of its packet.
    """
    found: list[bytes | None] = []
    at, end = 0, len(payload)
    while at < end:
        if payload[at] == _NULL:
            found.append(None)
            at += 1
            continue
        size, start = length(payload, at)
        at = start + size
        found.append(payload[start:at])
    return found


def row(values: Iterable[bytes | None]) -> bytes:
    """Write a row in text.

    Args:
        values: of it; None for NULL.
    """
    return b"".join(bytes((_NULL,)) if value is None else prefixed(value) for value in values)


def column(payload: bytes) -> Column:
    """Read how a column is described.

    Args:
        payload: of its packet.
    """
    texts: list[bytes] = []
    at = 0
    for _ in range(_TEXTS):
        size, start = length(payload, at)
        at = start + size
        texts.append(payload[start:at])
    if len(payload) - at > _FACTS:
        size, start = length(payload, at)  # MariaDB's name of a type, where a client takes those
        at = start + size
    charset, longest, kind, flags, decimals = _COLUMN.unpack_from(payload, at + 1)
    name, table = (texts[n].decode("utf-8", "backslashreplace") for n in (4, 2))
    return Column(name, charset, longest, kind, flags, decimals, table)


def column_definition(one: Column, own_name: str = "", database: str = "") -> bytes:
    """Describe a column.

    Args:
        one: it.
        own_name: in its table.
        database: of that.
    """
    texts = ("def", database, one.table, one.table, one.name, own_name or one.name)
    facts = _COLUMN.pack(one.charset, one.length, one.type, one.flags, one.decimals)
    return b"".join(prefixed(text.encode("utf-8", "surrogateescape")) for text in texts) + b"\x0c" + facts + bytes(2)


def ok(status: int, *, affected: int = 0, last_id: int = 0, warnings: int = 0, info: bytes = b"") -> bytes:
    """Say that a statement without rows is done.

    Args:
        status: flags of the connection.
        affected: rows.
        last_id: that was made.
        warnings: how many.
        info: for people.
    """
    return b"\0" + _as_length(affected) + _as_length(last_id) + _STATUS.pack(status, warnings) + info


def done(payload: bytes) -> Done:
    """Read what :func:`ok` makes.

    Args:
        payload: of a packet.
    """
    affected, at = length(payload, 1)
    last_id, at = length(payload, at)
    status, warnings = _STATUS.unpack_from(payload, at)
    return Done(affected, last_id, status, warnings, payload[at + 4 :])


def eof(status: int, warnings: int = 0) -> bytes:
    """Say that columns or rows are at their end.

    Args:
        status: flags of the connection.
        warnings: how many.
    """
    return b"\xfe" + _STATUS.pack(warnings, status)


def eof_status(payload: bytes) -> tuple[int, int]:
    """Read what :func:`eof` makes: the flags, and how many warnings.

    Args:
        payload: of a packet.
    """
    warnings, status = _STATUS.unpack_from(payload, 1)
    return status, warnings


def refusal(payload: bytes) -> Refusal:
    """Read an error.

    Args:
        payload: of its packet.
    """
    number = int.from_bytes(payload[1:3], "little")
    sqlstate, message = (payload[4:9], payload[9:]) if payload[3:4] == b"#" else (b"", payload[3:])
    return Refusal(number, sqlstate.decode("ascii", "replace"), message.decode("utf-8", "backslashreplace"))


def text_until_zero(payload: bytes, at: int = 0) -> tuple[bytes, int]:
    """Read a text that ends with a zero, or with its packet; and where the next thing begins.

    Args:
        payload: of a packet.
        at: where it begins.
    """
    end = payload.find(b"\0", at)
    return (payload[at:], len(payload)) if end < 0 else (payload[at:end], end + 1)
