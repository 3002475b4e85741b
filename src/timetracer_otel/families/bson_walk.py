"""BSON bytes, walked in place: what a document's elements are, and which of its values an app may generate anew.

Nothing is decoded into objects: no codec option of the app matters, and no value is lost or changed on the way.
The format: https://bsonspec.org/spec.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from struct import Struct, error
from typing import ParamSpec, TypeAlias, TypeVar

from timetracer_otel.errors import CassetteError
from timetracer_otel.seams.integration import Value

__all__ = [
    "DATETIME",
    "MAX_DEPTH",
    "OBJECT_ID",
    "STRING",
    "TIMESTAMP",
    "UUID_LEGACY",
    "UUID_STANDARD",
    "Element",
    "Found",
    "blanked",
    "document_end",
    "documents",
    "elements",
    "guarded",
    "int32",
    "int64",
    "rebind",
    "scan",
    "values",
]

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID, BOOL, DATETIME, NULL = range(1, 11)
REGEX, DB_POINTER, CODE, SYMBOL, CODE_WITH_SCOPE, INT32, TIMESTAMP, INT64, DECIMAL128 = range(11, 20)
MAX_KEY, MIN_KEY = 0x7F, 0xFF

UUID_LEGACY, UUID_STANDARD = 3, 4
"""Tags of UUIDs: the binary's subtype. Those of documents and arrays, which are never values, so nothing clashes."""

MAX_DEPTH = 200
"""Levels of nesting that are followed: MongoDB itself refuses deeper commands (BSONDepth in the server's sources)."""

Element: TypeAlias = tuple[int, bytes, int, int, int]
"""Type, name, and the offsets where the element starts, its value starts, and it ends."""

Found: TypeAlias = tuple[int, int, int]
"""A value's tag, and the offsets where its raw bytes start and end."""

_VARIES = 0xFE
_FIXED = {DOUBLE: 8, UNDEFINED: 0, OBJECT_ID: 12, BOOL: 1, DATETIME: 8, NULL: 0, INT32: 4, TIMESTAMP: 8, INT64: 8}
_FIXED |= {DECIMAL128: 16, MAX_KEY: 0, MIN_KEY: 0}
_WIDTHS = bytes(_FIXED.get(kind, _VARIES) for kind in range(256))
_GENERATED = bytes(kind in {OBJECT_ID, DATETIME, TIMESTAMP} for kind in range(256))
PLAIN = bytes(_WIDTHS[kind] != _VARIES and not _GENERATED[kind] for kind in range(256))
"""By type: 1 for those that cannot hold a value of the kinds that :func:`scan` finds."""

int32 = Struct("<i").unpack_from
int64 = Struct("<q").unpack_from

_SMALLEST = 5
_UUID_SIZE = 16
_OBJECT_ID_SIZE = 12
_ZERO_TEXT = {text.count(b"0"): text for text in (b"0" * 24, b"0" * 32)}
_ZERO_TEXT[36] = b"00000000-0000-0000-0000-000000000000"
_ID_LENGTHS = frozenset(length + 1 for length in _ZERO_TEXT)
_is_id = re.compile(
    rb"[0-9a-fA-F]{24}|[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
).fullmatch

_WORTH_A_SEARCH = 30
"""Bindings up to which a search for each costs less than one walk."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


def guarded(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a reader of bytes raise :class:`CassetteError` wherever the bytes are no BSON or no wire message."""

    @wraps(function)
    def read(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except (ValueError, IndexError, OverflowError, error) as fault:
            raise CassetteError(
                f"these bytes are no whole MongoDB message or document ({fault}): the recording was cut or altered,"
                " record again"
            ) from fault

    return read


def document_end(buf: bytes, start: int, limit: int) -> int:
    """Give the offset behind the document that starts at ``start``, which must end at or before ``limit``.

    Raises:
        ValueError: its length or its terminator is wrong.
    """
    end: int = start + int32(buf, start)[0]
    if end < start + _SMALLEST or end > limit or buf[end - 1]:
        raise ValueError(f"document at byte {start} does not fit")
    return end


def documents(buf: bytes) -> Iterator[tuple[int, int]]:
    """Give the offsets where each of some concatenated documents starts and ends.

    Raises:
        ValueError, struct.error: one is cut.
    """
    start = 0
    while start < len(buf):
        end = document_end(buf, start, len(buf))
        yield start, end
        start = end


def elements(buf: bytes, start: int, end: int) -> list[Element]:
    """Give the elements of the document at ``start`` to ``end``, in order, without a look inside them.

    Raises:
        ValueError, IndexError, struct.error: the bytes are no BSON.
    """
    found: list[Element] = []
    stop = document_end(buf, start, end) - 1
    if stop + 1 != end:
        raise ValueError(f"document at byte {start} is shorter than its place")
    at = start + 4
    while at < stop:
        name_end = buf.index(0, at + 1, stop)
        value = name_end + 1
        kind = buf[at]
        width = _WIDTHS[kind]
        next_at = _value_end(buf, kind, value) if width == _VARIES else value + width
        found.append((kind, buf[at + 1 : name_end], at, value, next_at))
        at = next_at
    if at != stop:
        raise ValueError(f"element runs past its document at byte {stop}")
    return found


def _value_end(buf: bytes, kind: int, at: int) -> int:
    width = _WIDTHS[kind]
    if width != _VARIES:
        return at + width
    if kind == REGEX:
        return buf.index(0, buf.index(0, at) + 1) + 1
    length: int = int32(buf, at)[0]
    if kind in (DOCUMENT, ARRAY, CODE_WITH_SCOPE) and length >= _SMALLEST:
        return at + length
    if kind == BINARY and length >= 0:
        return at + 5 + length
    if kind in (STRING, CODE, SYMBOL) and length > 0:
        return at + 4 + length
    if kind == DB_POINTER and length > 0:
        return at + 4 + length + _OBJECT_ID_SIZE
    raise ValueError(f"type {kind:#04x} or its length {length} at byte {at} is impossible")


def scan(buf: bytes, at: int, stop: int) -> list[Found]:  # noqa: C901, PLR0912 - one loop: a call for each element would double the time
    """Find the values that an app may generate anew, at any depth, in the elements from ``at`` to ``stop``.

    They are: ObjectId (also in a DBPointer), UUID (binary of subtype 3 or 4 and 16 bytes), datetime, Timestamp, and a
    string that is entirely an ObjectId's or a UUID's text. Linear in time, without recursion.

    Raises:
        ValueError, IndexError, struct.error: the bytes are no BSON, or nested more than :data:`MAX_DEPTH` deep.
    """
    found: list[Found] = []
    enclosing: list[int] = []
    index = buf.index
    while True:
        if at >= stop:
            if at > stop:
                raise ValueError(f"element runs past its document at byte {stop}")
            if not enclosing:
                return found
            if buf[stop]:
                raise ValueError(f"document is not terminated at byte {stop}")
            at += 1
            stop = enclosing.pop()
            continue
        kind = buf[at]
        at = index(0, at + 1, stop) + 1
        width = _WIDTHS[kind]
        if width != _VARIES:
            if _GENERATED[kind]:
                found.append((kind, at, at + width))
            at += width
        elif kind == STRING:
            length = int32(buf, at)[0]
            if length < 1:
                raise ValueError(f"string of length {length} at byte {at}")
            at += 4
            if length in _ID_LENGTHS and _is_id(buf, at, at + length - 1):
                found.append((STRING, at, at + length - 1))
            at += length
        elif kind in (DOCUMENT, ARRAY, CODE_WITH_SCOPE):
            inner = at + int32(buf, at)[0] - 1
            if kind == CODE_WITH_SCOPE:
                at = _value_end(buf, STRING, at + 4)
                if at + int32(buf, at)[0] - 1 != inner:
                    raise ValueError(f"scope at byte {at} does not fit its code")
            if inner < at + 4 or inner >= stop or len(enclosing) == MAX_DEPTH:
                raise ValueError(f"document at byte {at} does not fit, or is nested more than {MAX_DEPTH} deep")
            enclosing.append(stop)
            stop = inner
            at += 4
        else:
            end = _value_end(buf, kind, at)
            if kind == BINARY and end - at == _UUID_SIZE + 5 and buf[at + 4] in (UUID_LEGACY, UUID_STANDARD):
                found.append((buf[at + 4], at + 5, end))
            elif kind == DB_POINTER:
                found.append((OBJECT_ID, end - _OBJECT_ID_SIZE, end))
            at = end


def blanked(buf: bytes, start: int, end: int, found: list[Found]) -> bytes:
    """Give the bytes from ``start`` to ``end`` with the found values zeroed; a text keeps its length and dashes."""
    piece = bytearray(buf[start:end])
    for tag, first, last in found:
        width = last - first
        piece[first - start : last - start] = _ZERO_TEXT[width] if tag == STRING else bytes(width)
    return bytes(piece)


@guarded
def values(document: bytes) -> Iterator[Value]:
    """Give the values of a BSON document that an app may generate anew (see :func:`scan`), in order, with repeats.

    A value is its tag, one byte, and its raw bytes. Tags: 2 a text, 3 a UUID of binary subtype 3, 4 a UUID of subtype
    4, 7 an ObjectId, 9 a datetime (milliseconds, little-endian), 17 a Timestamp.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    stop = document_end(document, 0, len(document)) - 1
    if stop + 1 != len(document):
        raise ValueError("bytes behind the document")
    return iter([_TAGS[tag] + document[first:last] for tag, first, last in scan(document, 4, stop)])


_TAGS = [bytes([tag]) for tag in range(TIMESTAMP + 1)]


@guarded
def rebind(document: bytes, bindings: Mapping[Value, Value]) -> bytes:
    """Put other values into a BSON document, wherever a bound one stands as a value of its type.

    Args:
        document: the document.
        bindings: value to replace, to the value that takes its place. A pair of unequal tags or lengths never applies.

    Returns:
        The very same object when nothing applies.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    wanted = {
        old: new[1:] for old, new in bindings.items() if old != new and old[:1] == new[:1] and len(old) == len(new)
    }
    if len(wanted) <= _WORTH_A_SEARCH:
        wanted = {old: raw for old, raw in wanted.items() if old[1:] in document}
    if not wanted:
        return document
    rebound = bytearray(document)
    for tag, first, last in scan(document, 4, document_end(document, 0, len(document)) - 1):
        new = wanted.get(_TAGS[tag] + document[first:last])
        if new is not None:
            rebound[first:last] = new
    return document if rebound == document else bytes(rebound)
