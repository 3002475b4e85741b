"""Single values as PostgreSQL sends them, in text or binary: what is made anew in them, and how people read them."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from timetracer_otel import redaction
from timetracer_otel.seams import Value
from timetracer_otel.seams import values as kinds
from timetracer_otel.seams.values import Blanker

__all__ = ["TEXTS", "blanked", "rebound", "shown", "values_in"]

BOOL, BYTEA, INT8, INT2, INT4, TEXT, OID, JSON = 16, 17, 20, 21, 23, 25, 26, 114
FLOAT4, FLOAT8, DATE, TIMESTAMP, TIMESTAMPTZ, NUMERIC, UUID_TYPE, JSONB = 700, 701, 1082, 1114, 1184, 1700, 2950, 3802
"""Types by the number that every server gives them (pg_type.dat)."""
_UNKNOWN, _CHAR, _NAME, _XML, _BPCHAR, _VARCHAR = 705, 18, 19, 142, 1042, 1043

TEXTS: Final = frozenset({0, TEXT, JSON, _UNKNOWN, _CHAR, _NAME, _XML, _BPCHAR, _VARCHAR})
"""Types that are the same bytes in text and in binary."""
_TIMES: Final = frozenset({TIMESTAMP, TIMESTAMPTZ})
_NUMBERS: Final = {
    INT2: struct.Struct("!h"), INT4: struct.Struct("!i"), INT8: struct.Struct("!q"), OID: struct.Struct("!I"),
    FLOAT4: struct.Struct("!f"), FLOAT8: struct.Struct("!d"),
}  # fmt: skip
_EPOCH: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_MICROSECONDS: Final = struct.Struct("!q")
_LONGEST: Final = 400
_LARGE: Final = 1 << 20
"""Bytes of a value above which nothing is looked for in it."""


def blanked(raw: bytes | None, kind: int, form: int, blanker: Blanker) -> Any:
    """Give what counts of a value that a client sends, without what it may make anew in each run.

    Args:
        raw: its bytes.
        kind: its type; 0 where it is not known.
        form: 0 for text, 1 for binary.
        blanker: takes what it may make anew.
    """
    if raw is None or len(raw) > _LARGE:
        return raw
    if (text := _as_text(raw, kind, form)) is not None:
        return blanker.text(text)
    if kind in _NUMBERS and (number := _number(raw, kind)) is not None:
        return blanker.number(number) if kind in {INT8, FLOAT8} else raw
    value = _value(raw, kind)
    if value is None:
        return raw
    blanker.values.append(value)
    return "\0value", kind, len(raw)


def values_in(raw: bytes | None, kind: int, form: int) -> list[Value]:
    """Give the ids and times in a value that a server sends.

    Args:
        raw: its bytes.
        kind: its type.
        form: 0 for text, 1 for binary.
    """
    blanker = Blanker()
    blanked(raw, kind, form, blanker)
    return blanker.values


def rebound(raw: bytes | None, kind: int, form: int, bindings: Mapping[Value, Value]) -> bytes | None:
    """Give a value with live ids and times in place of the recorded ones.

    Args:
        raw: its bytes.
        kind: its type.
        form: 0 for text, 1 for binary.
        bindings: the live value of each recorded one.
    """
    if raw is None or len(raw) > _LARGE:
        return raw
    if (text := _as_text(raw, kind, form)) is not None:
        changed = kinds.rebound(text, bindings)
        return raw if changed == text else raw[: len(raw) - len(text.encode())] + changed.encode()
    if kind in {INT8, FLOAT8} and (number := _number(raw, kind)) is not None:
        changed = kinds.rebound(repr(number), bindings)
        return raw if changed == repr(number) else _NUMBERS[kind].pack(type(number)(changed))
    value = _value(raw, kind)
    live = None if value is None else bindings.get(value)
    if live is None:
        return raw
    return _of_time(live) or raw if kind in _TIMES else kinds.raw_of(live)


def _as_text(raw: bytes, kind: int, form: int) -> str | None:
    """The text of a value that is one; None where it is binary."""
    if kind == JSONB and form:
        raw = raw[1:]  # its version
    elif form and kind not in TEXTS:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _number(raw: bytes, kind: int) -> float | None:
    packed = _NUMBERS[kind]
    number: float | None = packed.unpack(raw)[0] if len(raw) == packed.size else None
    return number


def _value(raw: bytes, kind: int) -> Value | None:
    if kind == UUID_TYPE:
        return bytes((kinds.UUID,)) + raw
    if kind in _TIMES:
        time = _time(raw)
        return None if time is None else bytes((kinds.TIME,)) + time.isoformat(" ").encode()
    return kinds.of_bytes(raw) if kind == BYTEA else None


def _time(raw: bytes) -> dt.datetime | None:
    if len(raw) != _MICROSECONDS.size:
        return None
    try:
        return _EPOCH + dt.timedelta(microseconds=_MICROSECONDS.unpack(raw)[0])
    except OverflowError:  # infinity, or before Christ
        return None


def _of_time(value: Value) -> bytes | None:
    try:
        time = dt.datetime.fromisoformat(value[1:].decode())
    except ValueError:
        return None
    since = (time if time.tzinfo else time.replace(tzinfo=dt.UTC)) - _EPOCH
    return _MICROSECONDS.pack(since // dt.timedelta(microseconds=1))


# For people.


def shown(raw: bytes | None, kind: int, form: int) -> Any:
    """Give a value as people read it.

    Args:
        raw: its bytes.
        kind: its type.
        form: 0 for text, 1 for binary.
    """
    if raw is None:
        return None
    text = _as_text(raw, kind, form)
    if text is not None and form and kind != BYTEA:
        return redaction.placeholders(text)
    if text is not None:
        return _typed(text, kind)
    special = _SHOWN.get(kind)
    try:
        if special is not None:
            return special(raw)
        return _number(raw, kind) if kind in _NUMBERS else _bytes(raw)
    except (ValueError, struct.error):
        return _bytes(raw)


def _typed(text: str, kind: int) -> Any:
    if kind in {INT2, INT4, INT8, OID} and text.lstrip("-").isdigit():
        return int(text)
    if kind == BOOL and text in {"t", "f"}:
        return text == "t"
    return redaction.placeholders(text)


def _numeric(raw: bytes) -> str:
    """Write a number of any length: digits to the base of 10,000 (numeric_send)."""
    count, weight, sign, scale = struct.unpack_from("!hhHh", raw)
    special = {0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}.get(sign)
    if special is not None:
        return special
    digits = struct.unpack_from(f"!{count}h", raw, 8)
    whole = "".join(f"{digits[n] if n < count else 0:04}" for n in range(weight + 1)).lstrip("0") or "0"
    first = weight + 1
    places = range(first, first + (scale + 3) // 4)
    part = "".join(f"{digits[n] if 0 <= n < count else 0:04}" for n in places)[:scale]
    return ("-" if sign else "") + whole + ("." + part if scale else "")


def _moment(raw: bytes) -> str:
    time = _time(raw)
    return "infinity" if time is None else time.replace(tzinfo=None).isoformat(" ")


def _date(raw: bytes) -> str:
    try:
        return (_EPOCH.date() + dt.timedelta(days=struct.unpack("!i", raw)[0])).isoformat()
    except OverflowError:
        return "infinity"


def _bytes(raw: bytes) -> str:
    return f"{len(raw)} bytes: {raw[:_LONGEST].hex()}{'…' if len(raw) > _LONGEST else ''}"


_SHOWN: Final[Mapping[int, Any]] = {
    BOOL: lambda raw: raw != b"\0",
    NUMERIC: _numeric,
    UUID_TYPE: lambda raw: str(UUID(bytes=raw)),
    TIMESTAMP: _moment,
    TIMESTAMPTZ: lambda raw: _moment(raw) + "+00:00",
    DATE: _date,
}
