"""BSON bytes, walked in place: what a document's elements are, and which of its values an app may generate anew.

Nothing is decoded into objects: no codec option of the app matters, and no value is lost or changed on the way.
The format: https://bsonspec.org/spec.html.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from functools import wraps
from struct import Struct, error
from typing import ParamSpec, TypeAlias, TypeVar

from timetracer_otel.errors import CassetteError
from timetracer_otel.seams import value_forms
from timetracer_otel.seams import values as values_of
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
    "document_end",
    "documents",
    "elements",
    "guarded",
    "int32",
    "int64",
    "rebind",
    "scan",
    "taken",
    "values",
]

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID, BOOL, DATETIME, NULL = range(1, 11)
REGEX, DB_POINTER, CODE, SYMBOL, CODE_WITH_SCOPE, INT32, TIMESTAMP, INT64, DECIMAL128 = range(11, 20)
MAX_KEY, MIN_KEY = 0x7F, 0xFF

UUID_LEGACY, UUID_STANDARD = values_of.UUID_LEGACY, values_of.UUID
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
_HIGHEST: list[Container[int]] = [()] * 256
"""By type: the last bytes of numbers that may be times."""
_HIGHEST[DOUBLE], _HIGHEST[INT32], _HIGHEST[INT64] = (0x41, 0x42), range(0x54, 0x80), (0,)
_NUMBER = bytes(kind in {DOUBLE, INT32, INT64} for kind in range(256))
_GENERATED = bytes(kind in {OBJECT_ID, DATETIME, TIMESTAMP} for kind in range(256))
PLAIN = bytes(_WIDTHS[kind] != _VARIES and not _GENERATED[kind] for kind in range(256))
"""By type: 1 for those that cannot hold a value of the kinds that :func:`scan` finds."""

int32 = Struct("<i").unpack_from
int64 = Struct("<q").unpack_from

_SMALLEST = 5
_UUID_SIZE = 16
_OBJECT_ID_SIZE = 12
_LEAST_LENGTH: list[int | None] = [None] * 256
"""By type: the least length that a value may say it has; None for types that do not begin with a length."""
_BESIDE_LENGTH = [0] * 256
"""By type: how many bytes of a value its length does not count."""
for _kinds, _least, _beside in (
    ((DOCUMENT, ARRAY, CODE_WITH_SCOPE), _SMALLEST, 0),
    ((BINARY,), 0, 5),
    ((STRING, CODE, SYMBOL), 1, 4),
    ((DB_POINTER,), 1, 4 + _OBJECT_ID_SIZE),
):
    for _kind in _kinds:
        _LEAST_LENGTH[_kind], _BESIDE_LENGTH[_kind] = _least, _beside
_LENGTHS_OF_TEXT = range(11, 4098)
"""Lengths, the final zero included, of strings that are looked through: what is longer is content."""
_LENGTHS_OF_BINARY = range(8 + 5, 256 + 5)
"""Lengths, with those of length and subtype, of binaries that may be a salt, a nonce, a digest or a salted hash."""

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
        if width != _VARIES:
            next_at = value + width
        elif (least := _LEAST_LENGTH[kind]) is not None and (length := int32(buf, value)[0]) >= least:
            next_at = value + length + _BESIDE_LENGTH[kind]
        else:
            next_at = _value_end(buf, kind, value)
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
    least = _LEAST_LENGTH[kind]
    if least is not None and length >= least:
        return at + length + _BESIDE_LENGTH[kind]
    raise ValueError(f"type {kind:#04x} or its length {length} at byte {at} is impossible")


def scan(buf: bytes, at: int, stop: int) -> list[Found]:  # noqa: C901, PLR0912 - one loop: a call for each element would double the time
    """Find the values that an app may generate anew, at any depth, in the elements from ``at`` to ``stop``.

    They are: ObjectId (also in a DBPointer), UUID (binary of subtype 3 or 4 and 16 bytes), datetime, Timestamp, numbers
    that may be a time; and strings and short binaries, in which :func:`taken` looks for values. Linear in time, without
    recursion.

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
            if _GENERATED[kind] or (buf[at + width - 1] in _HIGHEST[kind] and _is_epoch(buf, kind, at)):
                found.append((kind, at, at + width))
            at += width
        elif kind == STRING:
            length = int32(buf, at)[0]
            if length < 1:
                raise ValueError(f"string of length {length} at byte {at}")
            at += 4
            if length in _LENGTHS_OF_TEXT:
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
            elif kind == BINARY and end - at in _LENGTHS_OF_BINARY:
                found.append((BINARY, at + 5, end))
            elif kind == DB_POINTER:
                found.append((OBJECT_ID, end - _OBJECT_ID_SIZE, end))
            at = end


def _is_epoch(buf: bytes, kind: int, at: int) -> bool:
    """Whether a number may be seconds or milliseconds of the epoch, from 2014 to 2039: by its highest bytes."""
    if kind == INT32:
        return buf[at + 3] >= 0x54  # noqa: PLR2004 - 1.41e9
    if kind == INT64:
        seconds = buf[at + 3] in _SECONDS and not buf[at + 4]
        return not buf[at + 6] and not buf[at + 7] and (buf[at + 5] in _MILLISECONDS or (not buf[at + 5] and seconds))
    return (buf[at + 7] == 0x41 and buf[at + 6] in _DOUBLE_SECONDS) or (  # noqa: PLR2004 - IEEE 754: 2**30 and more
        buf[at + 7] == 0x42 and buf[at + 6] in _DOUBLE_MILLISECONDS  # noqa: PLR2004 - 2**40 and more
    )


_SECONDS, _MILLISECONDS = range(0x54, 0x84), range(1, 3)
_DOUBLE_SECONDS, _DOUBLE_MILLISECONDS = range(0xD5, 0xE1), range(0x74, 0x81)


def taken(buf: bytes, start: int, end: int, found: list[Found]) -> tuple[bytes, list[Value]]:
    """Take the values out of the bytes from ``start`` to ``end``: what is left, and the values in order.

    A value of fixed size leaves zeros, one in a text its form.
    """
    pieces, made, at = list[bytes](), list[Value](), start
    for tag, first, last in found:
        pieces.append(buf[at:first])
        left, inside = _taken_at(buf, tag, first, last)
        pieces.append(left)
        made += inside
        at = last
    return b"".join((*pieces, buf[at:end])), made


def _taken_at(buf: bytes, tag: int, first: int, last: int) -> tuple[bytes, list[Value]]:
    raw = buf[first:last]
    if tag == BINARY and (value := values_of.of_bytes(raw)) is not None:
        return bytes(last - first), [value]
    if tag in {STRING, BINARY}:
        blank = values_of.Blanker()
        try:
            text = blank.text(raw.decode())
        except UnicodeDecodeError:
            return raw, []
        return text.encode(), blank.values
    if _NUMBER[tag]:
        return bytes(last - first), [values_of.epoch(repr(_unpack[tag](raw)[0]))]
    return bytes(last - first), [_TAGS[tag] + raw]


_unpack = {DOUBLE: Struct("<d").unpack, INT32: Struct("<i").unpack, INT64: Struct("<q").unpack}


@guarded
def values(document: bytes) -> Iterator[Value]:
    """Give the values of a BSON document that an app may generate anew (see :func:`scan`), in order, with repeats.

    A value is its tag, one byte, and what was made, see :mod:`timetracer_otel.seams.values`.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    stop = document_end(document, 0, len(document)) - 1
    if stop + 1 != len(document):
        raise ValueError("bytes behind the document")
    return iter(taken(document, 4, stop, scan(document, 4, stop))[1])


_TAGS = [bytes([tag]) for tag in range(TIMESTAMP + 1)]


@guarded
def rebind(document: bytes, bindings: Mapping[Value, Value]) -> bytes:
    """Put other values into a BSON document, wherever a bound one stands.

    Args:
        document: the document.
        bindings: value to replace, to the value that takes its place. A pair of unequal tags or lengths never applies.

    Returns:
        The very same object when nothing applies.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    wanted: Mapping[Value, Value] = _Fitting(bindings)
    if len(bindings) <= _WORTH_A_SEARCH:
        pairs = dict(bindings).items()  # a copy: another thread may bind more
        wanted = {old: new for old, new in pairs if old != new and _fits(old, new) and _may_hold(document, old)}
        if not wanted:
            return document
    rebound = bytearray(document)
    for tag, first, last in scan(document, 4, document_end(document, 0, len(document)) - 1):
        raw = _rebound_at(document, tag, first, last, wanted)
        if len(raw) == last - first:
            rebound[first:last] = raw
    return document if rebound == document else bytes(rebound)


class _Fitting(Mapping[Value, Value]):
    """Bindings without those that never apply, which are left out where they are asked for: there may be many."""

    def __init__(self, bindings: Mapping[Value, Value]) -> None:
        self._bindings = bindings

    def __getitem__(self, value: Value) -> Value:
        new = self._bindings[value]
        if not _fits(value, new):
            raise KeyError(value)
        return new

    def __iter__(self) -> Iterator[Value]:
        return iter(self._bindings)

    def __len__(self) -> int:
        return len(self._bindings)


def _fits(old: Value, new: Value) -> bool:
    return old[:1] == new[:1] and (len(old) == len(new) or old[0] == values_of.EPOCH)


def _may_hold(document: bytes, value: Value) -> bool:
    """Whether a value may stand in a document: numbers are not looked for."""
    if value[0] == values_of.EPOCH:
        return True
    return any(form in document for form in (values_of.raw_of(value), *value_forms.written(value)))


def _rebound_at(buf: bytes, tag: int, first: int, last: int, wanted: Mapping[Value, Value]) -> bytes:
    raw = buf[first:last]
    if tag == BINARY and (value := values_of.of_bytes(raw)) is not None:
        return values_of.raw_of(wanted.get(value, value))
    if tag in {STRING, BINARY}:
        try:
            return values_of.rebound(raw.decode(), wanted).encode()
        except UnicodeDecodeError:
            return raw
    if _NUMBER[tag]:
        live = wanted.get(values_of.epoch(repr(_unpack[tag](raw)[0])))
        return raw if live is None else _packed(tag, live[1:].decode()) or raw
    new = wanted.get(_TAGS[tag] + raw)
    return raw if new is None else new[1:]


def _packed(tag: int, digits: str) -> bytes:
    """A number in the bytes of its type; none where it is of another one."""
    if tag == DOUBLE:
        return Struct("<d").pack(float(digits))
    return b"" if "." in digits else int(digits).to_bytes(4 if tag == INT32 else 8, "little")
