"""Values of AMQP's tables and the properties of its messages: as JSON has them, and as bytes.

Source: https://www.rabbitmq.com/amqp-0-9-1-errata, section 3, "Field types".
"""

from __future__ import annotations

import calendar
import datetime as dt
import struct
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

__all__ = ["PROPERTIES", "encoded_properties", "packed", "short", "table", "unpacked"]

PROPERTIES: Final = (
    "content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id", "reply_to",
    "expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id",
)  # fmt: skip
"""In the order of their flags, from the highest bit on."""
_HIGHEST: Final = 15
_TAG: Final = "$"
"""A table with one member whose name begins with it stands for a value that JSON does not know."""


def packed(value: Any) -> Any:  # noqa: PLR0911 - a type each
    """Give a value as JSON has it, from which :func:`unpacked` makes it again.

    Args:
        value: as a driver has decoded it.
    """
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):  # a class of pika's own stands for those of eight bytes
        return int(value) if type(value) is int else {"$long": int(value)}
    if isinstance(value, Mapping):
        return {_text(key): packed(one) for key, one in value.items()}
    if isinstance(value, bytes | bytearray | memoryview):
        name = "$bytearray" if isinstance(value, bytearray) else "$bytes"
        return {name: bytes(value).decode("latin-1")}
    if isinstance(value, dt.datetime):
        return {"$time": calendar.timegm(value.utctimetuple())}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    return [packed(one) for one in value] if isinstance(value, Sequence) else str(value)


def _text(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


_UNPACK: Final[Mapping[str, Callable[[Any], Any]]] = {
    "$long": int,
    "$bytes": lambda text: text.encode("latin-1"),
    "$bytearray": lambda text: bytearray(text.encode("latin-1")),
    "$time": lambda seconds: dt.datetime.fromtimestamp(seconds, dt.UTC),
    "$decimal": Decimal,
}


def unpacked(value: Any) -> Any:
    """Give what :func:`packed` took, in types of Python.

    Args:
        value: JSON-like.
    """
    if isinstance(value, list):
        return [unpacked(one) for one in value]
    if not isinstance(value, dict):
        return value
    tag = _tag(value)
    return {key: unpacked(one) for key, one in value.items()} if tag is None else _UNPACK[tag](value[tag])


def _tag(value: Mapping[str, Any]) -> str | None:
    name = next(iter(value), "") if len(value) == 1 else ""
    return name if name.startswith(_TAG) and name in _UNPACK else None


# As bytes.


def short(text: object) -> bytes:
    """Encode a short string.

    Args:
        text: of 255 bytes at most.
    """
    raw = str(text).encode()
    return struct.pack("B", len(raw)) + raw


def table(entries: Mapping[str, Any]) -> bytes:
    """Encode a table.

    Args:
        entries: as :func:`packed` gives them.
    """
    body = b"".join(short(key) + _value(one) for key, one in entries.items())
    return struct.pack(">I", len(body)) + body


def _value(value: Any) -> bytes:  # noqa: PLR0911 - a type of AMQP each
    if value is None:
        return b"V"
    if isinstance(value, bool):
        return struct.pack(">cB", b"t", value)
    if isinstance(value, int):
        fits = -(2**31) <= value < 2**31
        return struct.pack(">ci" if fits else ">cq", b"I" if fits else b"l", value)
    if isinstance(value, float):
        return struct.pack(">cd", b"d", value)
    if isinstance(value, str):
        return _long(b"S", value.encode())
    if isinstance(value, list):
        return _long(b"A", b"".join(map(_value, value)))
    tag = _tag(value)
    return b"F" + table(value) if tag is None else _tagged(tag, _UNPACK[tag](value[tag]))


def _tagged(tag: str, value: Any) -> bytes:
    if tag == "$long":
        return struct.pack(">cq", b"l", value)
    if tag == "$time":
        return struct.pack(">cQ", b"T", calendar.timegm(value.utctimetuple()))
    if tag == "$decimal":
        places = max(-int(value.as_tuple().exponent), 0)
        return struct.pack(">cBi", b"D", places, int(value.scaleb(places)))
    return _long(b"x" if tag == "$bytearray" or _is_text(value) else b"S", bytes(value))


def _is_text(value: bytes) -> bool:
    """Whether drivers would give a text for these bytes, had they come as a string."""
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _long(kind: bytes, raw: bytes) -> bytes:
    return struct.pack(">cI", kind, len(raw)) + raw


def encoded_properties(properties: Mapping[str, Any]) -> bytes:
    """Encode the properties of a message, their flags before them.

    Args:
        properties: as :func:`packed` gives them; those that are None are not there.
    """
    flags, parts = 0, []
    for place, name in enumerate(PROPERTIES):
        value = properties.get(name)
        if value is not None:
            flags |= 1 << (_HIGHEST - place)
            parts.append(_property(name, value))
    return struct.pack(">H", flags) + b"".join(parts)


def _property(name: str, value: Any) -> bytes:
    if name == "headers":
        return table(value)
    if name in {"delivery_mode", "priority"}:
        return struct.pack("B", int(value))
    if name == "timestamp":
        return struct.pack(">Q", int(value["$time"] if isinstance(value, dict) and "$time" in value else value))
    return short(value)
