"""The messages of PostgreSQL's protocol, version 3: read from bytes, and made (chapter "Message Formats")."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from timetracer_otel.errors import CassetteError

__all__ = [
    "CANCEL",
    "ENDS",
    "GSS",
    "HEAD",
    "SSL",
    "SYNC",
    "Bound",
    "Column",
    "Message",
    "Split",
    "StructError",
    "before_the_end",
    "bind",
    "bound",
    "cells",
    "columns",
    "command_complete",
    "copy_response",
    "ended_with",
    "error_fields",
    "error_response",
    "execute",
    "executed",
    "frame",
    "framed",
    "messages",
    "named",
    "notable",
    "notification",
    "parameter_status",
    "parameter_types",
    "parse",
    "parsed",
    "query",
    "ready",
    "row",
    "row_description",
    "rows",
    "startup_parameters",
    "text",
]

SSL, GSS, CANCEL = 80877103, 80877104, 80877102
"""Codes of requests that come in place of a startup."""

Message: TypeAlias = tuple[bytes, bytes]
"""Its kind, one byte, and its body."""

ENDS: Final = frozenset({b"C", b"I", b"E", b"s"})
"""Kinds of messages that end a result."""
StructError: Final = struct.error
"""Raised where a message is shorter than it says."""
_HEAD: Final = struct.Struct("!cI")
_INT16: Final = struct.Struct("!h")
_OPTION: Final = re.compile(r"(?:-c\s*|--)(\w+)=((?:\\.|\S)*)")
"""A parameter of the server among the options that it is connected with."""
_INT32: Final = struct.Struct("!i")
_COUNT: Final = struct.Struct("!H")
"""Of parameters, of which a statement has up to 65,535."""
_COLUMN: Final = struct.Struct("!IhIhih")
_READY: Final = b"Z\0\0\0\5"
_READY_LENGTH: Final = 6
_NOTABLE: Final = frozenset({b"S", b"E", b"Z"})
_ROW: Final = b"D"
_NULL: Final = -1
_LENGTH: Final = 4
HEAD: Final = 5
"""Bytes of a framed message before its body."""


_NO_VALUE: Final = _INT32.pack(_NULL)


def frame(kind: bytes, body: bytes | bytearray = b"") -> bytes:
    """Make a message."""
    return kind + _INT32.pack(len(body) + _LENGTH) + body


SYNC: Final = frame(b"S")


def messages(data: bytes) -> Iterator[Message]:
    """Give the messages in bytes that hold whole ones; a rest at their end is left out.

    Args:
        data: sent by either side, after the startup.

    Raises:
        CassetteError: a length in it cannot be.
    """
    at, size = 0, len(data)
    while at + _HEAD.size <= size:
        kind, length = _HEAD.unpack_from(data, at)
        end = at + 1 + length
        if length < _LENGTH:
            raise CassetteError("a message of PostgreSQL's protocol has no length that can be: record it again")
        if end > size:
            return
        yield kind, data[at + _HEAD.size : end]
        at = end


def framed(data: bytes) -> list[Message]:
    """Give the messages in bytes that hold whole ones as they are framed; DataRows that follow one another are one.

    Args:
        data: of a server.

    Raises:
        CassetteError: a length in it cannot be.
    """
    found: list[Message] = []
    at, size, head = 0, len(data), _HEAD.unpack_from
    last = size - _HEAD.size
    while at <= last:
        start, (kind, length) = at, head(data, at)
        at += 1 + length
        if kind == _ROW:
            while at <= last and length >= _LENGTH:
                kind, length = head(data, at)
                if kind != _ROW:
                    break
                at += 1 + length
            kind = _ROW
        if length < _LENGTH:
            raise CassetteError("a message of PostgreSQL's protocol has no length that can be: record it again")
        if at > size:
            break
        found.append((kind, data[start:at]))
    return found


def before_the_end(answer: bytes) -> tuple[bytes, bytes]:
    """Give the messages of an answer before the last one that ends a result, and the rest.

    Args:
        answer: of a server.

    Raises:
        CassetteError: a length in it cannot be.
    """
    at = end = 0
    for kind, body in framed(answer):
        if kind in ENDS:
            end = at
        at += len(body)
    return answer[:end], answer[end:]


class Split:
    """Cuts what arrives in pieces into messages."""

    __slots__ = ("_pieces", "_size", "_wanted")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = 0
        """Bytes of the message that is not whole yet, where they are known: a large one comes in many pieces."""

    def messages(self, data: bytes) -> list[Message]:
        """Give the messages that are whole with this piece.

        Args:
            data: the next one.
        """
        self._size += len(data)
        if self._size < self._wanted:
            self._pieces.append(data)
            return []
        if self._pieces:
            data = b"".join((*self._pieces, data))
        found = list(messages(data))
        used = sum(len(body) + _HEAD.size for _, body in found)
        self._keep(data[used:])
        return found

    def _keep(self, rest: bytes) -> None:
        self._pieces, self._size = [rest] if rest else [], len(rest)
        self._wanted = _HEAD.unpack_from(rest)[1] + 1 if len(rest) >= _HEAD.size else 0

    def startup(self, data: bytes) -> bytes | None:
        """Give the first message of a connection, which has no kind; None until it is whole.

        Args:
            data: the next piece.
        """
        data = b"".join((*self._pieces, data))
        length = _INT32.unpack_from(data)[0] if len(data) >= _LENGTH else 0
        if len(data) < max(length, _LENGTH):
            self._pieces, self._size = [data], len(data)
            return None
        self._keep(data[length:])
        return data[_LENGTH:length]


def ended_with(data: bytes) -> bytes:
    """The transaction status that bytes end with, if they end with a ReadyForQuery; else nothing."""
    return data[-1:] if data[-_READY_LENGTH:-1] == _READY else b""


def notable(data: bytes) -> list[Message] | None:
    """Give what an answer says of the connection, and its errors, without a look at its rows; None if it is not whole.

    Args:
        data: of a server.
    """
    found: list[Message] = []
    at, size, head = 0, len(data), _HEAD.unpack_from
    last = size - _HEAD.size
    while at <= last:
        kind, length = head(data, at)
        while kind == _ROW:
            at += 1 + length
            if at > last:
                return None
            kind, length = head(data, at)
        if kind in _NOTABLE:
            found.append((kind, data[at + _HEAD.size : at + 1 + length]))
        at += 1 + length
    return found if at == size else None


def text(body: bytes, at: int = 0) -> tuple[str, int]:
    """Read a text that ends with a zero; and where it ends."""
    end = body.index(b"\0", at)
    return body[at:end].decode("utf-8", "surrogateescape"), end + 1


def _zero(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape") + b"\0"


def startup_parameters(body: bytes) -> dict[str, str]:
    """Read the parameters of a StartupMessage, and those among its options."""
    items = body[_LENGTH:].split(b"\0")
    texts = [item.decode("utf-8", "replace") for item in items]
    said = dict(zip(texts[::2], texts[1::2], strict=False))
    return dict(_OPTION.findall(said.get("options", ""))) | said


# What a client says.


def query(sql: str) -> bytes:
    """Make a Query."""
    return frame(b"Q", _zero(sql))


def parse(name: str, sql: str, types: Sequence[int] = ()) -> bytes:
    """Make a Parse."""
    return frame(b"P", _zero(name) + _zero(sql) + struct.pack(f"!H{len(types)}I", len(types), *types))


def parsed(body: bytes) -> tuple[str, str, tuple[int, ...]]:
    """Read a Parse: name, statement, types."""
    name, at = text(body)
    sql, at = text(body, at)
    (count,) = _COUNT.unpack_from(body, at)
    return name, sql, struct.unpack_from(f"!{count}I", body, at + 2)


class Bound(NamedTuple):
    """A Bind.

    Attributes:
        portal: its name.
        statement: likewise.
        formats: of the parameters: 0 text, 1 binary.
        parameters: their bytes; None for NULL.
        result_formats: none, one for all, or one for each column.
    """

    portal: str
    statement: str
    formats: tuple[int, ...]
    parameters: list[bytes | None]
    result_formats: tuple[int, ...]


def bind(one: Bound) -> bytes:
    """Make a Bind."""
    names = b"\0\0" if not one.portal and not one.statement else _zero(one.portal) + _zero(one.statement)
    pieces = [names, _int16s(one.formats), _COUNT.pack(len(one.parameters))]
    pack = _INT32.pack
    for value in one.parameters:
        pieces += (_NO_VALUE,) if value is None else (pack(len(value)), value)
    return frame(b"B", b"".join((*pieces, _int16s(one.result_formats))))


def bound(body: bytes) -> Bound:
    """Read a Bind."""
    portal, at = text(body)
    statement, at = text(body, at)
    formats, at = _read_int16s(body, at)
    parameters, at = _cells(body, at)
    if len(formats) != len(parameters):
        formats = (formats or (0,)) * len(parameters)
    return Bound(portal, statement, formats, parameters, _read_int16s(body, at)[0])


def execute(portal: str, limit: int = 0) -> bytes:
    """Make an Execute."""
    return frame(b"E", _zero(portal) + _INT32.pack(limit))


def executed(body: bytes) -> tuple[str, int]:
    """Read an Execute: portal, and how many rows; 0 for all."""
    portal, at = text(body)
    return portal, _INT32.unpack_from(body, at)[0]


def named(body: bytes) -> tuple[bytes, str]:
    """Read a Describe or a Close: whether it is of a statement (``S``) or a portal (``P``), and its name."""
    return body[:1], text(body, 1)[0]


# What a server says.


class Column(NamedTuple):
    """A column of a RowDescription."""

    name: str
    type: int
    format: int


def columns(body: bytes) -> list[Column]:
    """Read a RowDescription."""
    (count,) = _INT16.unpack_from(body)
    found, at = list[Column](), 2
    for _ in range(count):
        name, at = text(body, at)
        _table, _number, kind, _size, _modifier, form = struct.unpack_from("!IhIhih", body, at)
        found.append(Column(name, kind, form))
        at += 18
    return found


def row_description(found: Iterable[tuple[bytes, tuple[int, int, int, int, int, int]]]) -> bytes:
    """Make a RowDescription.

    Args:
        found: each column's name; its table, its number in there, its type, that type's size and modifier, the format.
    """
    pieces, pack = [b""], _COLUMN.pack
    for name, facts in found:
        pieces += (name, b"\0", pack(*facts))
    pieces[0] = _INT16.pack(len(pieces) // 3)
    return frame(b"T", b"".join(pieces))


def copy_response(kind: bytes, form: int, formats: Sequence[int]) -> bytes:
    """Make a CopyInResponse (``G``) or a CopyOutResponse (``H``).

    Args:
        kind: which.
        form: of the whole: 0 text, 1 binary.
        formats: of the columns.
    """
    return frame(kind, bytes((form,)) + _int16s(tuple(formats)))


def notification(pid: int, channel: bytes, payload: bytes) -> bytes:
    """Make a NotificationResponse."""
    return frame(b"A", _INT32.pack(pid) + channel + b"\0" + payload + b"\0")


def parameter_types(body: bytes) -> tuple[int, ...]:
    """Read a ParameterDescription."""
    (count,) = _COUNT.unpack_from(body)
    return struct.unpack_from(f"!{count}I", body, 2)


def cells(body: bytes) -> list[bytes | None]:
    """Read a DataRow."""
    return _cells(body, 0)[0]


def row(values: Iterable[bytes | None]) -> bytes:
    """Make a DataRow."""
    pieces = [_NO_VALUE if value is None else _sizes[len(value)] + value for value in values]
    return frame(b"D", _INT16.pack(len(pieces)) + b"".join(pieces))


def rows(values: list[bytes | None], columns: int) -> bytes:
    """Make the DataRows of a result. What is long is put together without a step of Python for each value.

    Args:
        values: of all rows, one after the other.
        columns: of each.
    """
    if len(values) <= _FEW * columns:
        return b"".join([row(values[at : at + columns]) for at in range(0, len(values), columns)])
    full: list[bytes] = [one or b"" for one in values] if None in values else values  # type: ignore[assignment]  # none is None
    sizes = list(map(len, full))
    heads = list(map(_sizes.__getitem__, sizes))
    if full is not values:
        heads = [_NO_VALUE if one is None else head for one, head in zip(values, heads, strict=True)]
    width, least = 2 * columns + 1, _LENGTH * (columns + 1) + _INT16.size
    pieces = [b""] * (width * (len(values) // columns))
    head, of_rows = _INT16.pack(columns), zip(*[iter(sizes)] * columns, strict=True)
    pieces[::width] = [b"D" + _sizes[size + least] + head for size in map(sum, of_rows)]
    for column in range(columns):
        pieces[2 * column + 1 :: width] = heads[column::columns]
        pieces[2 * column + 2 :: width] = full[column::columns]
    return b"".join(pieces)


class _Sizes(dict[int, bytes]):
    """Lengths as they are framed, those of short values remembered."""

    def __missing__(self, length: int) -> bytes:
        framed = _INT32.pack(length)
        if length <= _SHORT:
            self[length] = framed
        return framed


_SHORT: Final = 4096
_FEW: Final = 4
"""Rows that are made one by one: putting them together takes longer."""
_sizes: Final = _Sizes()


def ready(status: bytes) -> bytes:
    """Make a ReadyForQuery."""
    return frame(b"Z", status)


def command_complete(tag: str) -> bytes:
    """Make a CommandComplete."""
    return frame(b"C", _zero(tag))


def parameter_status(name: str, value: str) -> bytes:
    """Make a ParameterStatus."""
    return frame(b"S", _zero(name) + _zero(value))


def error_fields(body: bytes) -> dict[str, str]:
    """Read an ErrorResponse or a NoticeResponse: its fields by their letter."""
    fields = (item for item in body.split(b"\0") if item)
    return {item[:1].decode("latin-1"): item[1:].decode("utf-8", "replace") for item in fields}


def error_response(fields: dict[str, str], kind: bytes = b"E") -> bytes:
    """Make an ErrorResponse."""
    return frame(kind, b"".join(name.encode() + _zero(value) for name, value in fields.items()) + b"\0")


def _cells(body: bytes, at: int) -> tuple[list[bytes | None], int]:
    (count,) = _COUNT.unpack_from(body, at)
    at += 2
    found: list[bytes | None] = []
    for _ in range(count):
        (size,) = _INT32.unpack_from(body, at)
        at += _LENGTH
        found.append(None if size == _NULL else body[at : at + size])
        at += max(size, 0)
    return found, at


@lru_cache(maxsize=256)
def _int16s(values: tuple[int, ...]) -> bytes:
    return struct.pack(f"!H{len(values)}h", len(values), *values)


def _read_int16s(body: bytes, at: int) -> tuple[tuple[int, ...], int]:
    (count,) = _COUNT.unpack_from(body, at)
    return struct.unpack_from(f"!{count}h", body, at + 2), at + 2 + 2 * count
