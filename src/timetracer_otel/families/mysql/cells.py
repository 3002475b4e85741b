"""Single values as MySQL sends them in text: what is made anew in them, and how people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from timetracer_otel import redaction
from timetracer_otel.families.mysql.wire import BINARY, Column
from timetracer_otel.seams import Value
from timetracer_otel.seams import values as kinds

__all__ = ["rebound", "shown", "value_of", "values_in"]

_TEXTS: Final = frozenset({15, 16, 245, *range(249, 256)})
"""Types of which only the character set says whether they are text: VARCHAR, BIT, JSON, BLOB and CHAR of all kinds."""
_JSON, _BIT = 245, 16
_WHOLE: Final = frozenset({1, 2, 3, 8, 9, 13})
_LONGEST: Final = 400
_LONGEST_VALUE: Final = 64
_CONTENT: Final = 1 << 20
"""Bytes from which a value is content, in which nothing is looked for."""


def _is_binary(column: Column) -> bool:
    return column.type == _BIT or (column.type in _TEXTS and column.type != _JSON and column.charset == BINARY)


def value_of(raw: bytes) -> Value | None:
    """Give the value of what is binary and short, such as a UUID of 16 bytes; None of anything else.

    Args:
        raw: the bytes.
    """
    return kinds.of_bytes(raw)


def values_in(raw: bytes | None, column: Column) -> list[Value]:
    """Give the ids and times in a value.

    Args:
        raw: its bytes.
        column: that it is of.
    """
    if raw is None or len(raw) > _CONTENT:
        return []
    if _is_binary(column):
        value = value_of(raw) if len(raw) <= _LONGEST_VALUE else None
        if value is not None:
            return [value]
    return list(kinds.found_in(raw.decode("utf-8", "replace")))


def rebound(raw: bytes | None, column: Column, bindings: Mapping[Value, Value]) -> bytes | None:
    """Give a value with live ids and times in place of the recorded ones.

    Args:
        raw: its bytes.
        column: that it is of.
        bindings: the live value of each recorded one.
    """
    if raw is None or len(raw) > _CONTENT:
        return raw
    if _is_binary(column) and len(raw) <= _LONGEST_VALUE and (value := value_of(raw)) is not None:
        live = bindings.get(value)
        return raw if live is None else kinds.raw_of(live)
    text = raw.decode("utf-8", "surrogateescape")
    changed = kinds.rebound(text, bindings)
    return raw if changed == text else changed.encode("utf-8", "surrogateescape")


def shown(raw: bytes | None, column: Column) -> Any:
    """Give a value as people read it.

    Args:
        raw: its bytes.
        column: that it is of.
    """
    if raw is None:
        return None
    if not _is_binary(column):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            return _bytes(raw)
        if column.type in _WHOLE and text.lstrip("-").isdigit():
            return int(text)
        return redaction.placeholders(text)
    return int.from_bytes(raw) if column.type == _BIT else _bytes(raw)


def _bytes(raw: bytes) -> str:
    return f"{len(raw)} bytes: {raw[:_LONGEST].hex()}{'…' if len(raw) > _LONGEST else ''}"
