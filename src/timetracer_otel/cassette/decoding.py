"""The values of OTLP/JSON: each function checks what it takes, since a file can hold anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from sys import intern
from typing import Any, Final

import pybase64

__all__ = ["MOST_NAMED", "Malformed", "attributes_of", "enum_of", "id_of", "items_of", "shown", "text_of", "uint64_of"]

Message = dict[str, Any]

MOST_NAMED: Final = 500_000
"""Spans and attributes that one message may hold: each takes about a kilobyte decoded, and hardly any compressed."""

_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_HEX: Final = re.compile(r"[0-9a-f]*", re.ASCII)
_FLOAT: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?|NaN|-?Infinity", re.ASCII)
_SHARED: Final = 64
"""Characters of the longest text that is looked at for being the one before."""
_NAMES: Final = 1024
_before: Final[dict[str, str]] = {}
"""By attribute, the text that it had last."""
_URL_SAFE: Final = str.maketrans("-_", "+/")


class Malformed(ValueError):  # noqa: N818 - an internal signal; users see the CassetteError made of it
    """A value is not what OTLP has in its place."""


def shown(value: object) -> str:
    """A JSON value for a message: short, whatever it is."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    return repr(value[:60] if isinstance(value, str) else value)


def items_of(message: Message, camel: str, snake: str) -> list[Message]:
    """A repeated message field; absent and null are an empty list.

    Args:
        message: the JSON object that holds it.
        camel: the field's JSON name.
        snake: its name in the proto file.

    Raises:
        Malformed: it is no list of objects.
    """
    value = message.get(camel)
    if value is None and camel != snake:
        value = message.get(snake)
    if value is None:
        return []
    if type(value) is not list:
        raise Malformed(f"{camel} is {shown(value)}, not a list")
    for item in value:
        if type(item) is not dict:
            raise Malformed(f"{camel} has {shown(item)} in it, not an object")
    return value


def text_of(message: Message, camel: str, snake: str) -> str:
    """A string field; absent and null are the empty string.

    Raises:
        Malformed: it is no string.
    """
    value = message.get(camel)
    if value is None and camel != snake:
        value = message.get(snake)
    if value is None:
        return ""
    if type(value) is not str:
        raise Malformed(f"{camel} is {shown(value)}, not a string")
    return value


def id_of(message: Message, camel: str, snake: str, digits: int) -> str | None:
    """A trace or span id in lower-case hexadecimal; None when it is absent or all zeros, which OTLP takes for no id.

    Args:
        message: the JSON object that holds it.
        camel: the field's JSON name.
        snake: its name in the proto file.
        digits: how many it must have: 32 for a trace, 16 for a span.

    Raises:
        Malformed: it is not such an id.
    """
    value = text_of(message, camel, snake).lower()
    if len(value) == digits and _HEX.fullmatch(value):
        return value if value.strip("0") else None
    if not value:
        return None
    hint = ": base64 is protobuf's own JSON, not OTLP's" if len(value) == {32: 24, 16: 12}[digits] else ""
    raise Malformed(f"{camel} is {shown(value)}, not {digits} hexadecimal digits{hint}")


def uint64_of(message: Message, camel: str, snake: str) -> int:
    """A ``fixed64`` field; absent and null are 0.

    Raises:
        Malformed: it is not a whole number from 0 to 2**64 - 1.
    """
    value = message.get(camel)
    if value is None and camel != snake:
        value = message.get(snake)
    return 0 if value is None else _integer(value, camel, 0, 1 << 64)


def enum_of(message: Message, camel: str, snake: str, names: Mapping[str, int]) -> int:
    """An enum field, by number or by name; absent and null are 0.

    Raises:
        Malformed: it is neither a number nor one of the names.
    """
    value = message.get(camel)
    if value is None and camel != snake:
        value = message.get(snake)
    if value is None:
        return 0
    if type(value) is str:
        if value not in names:
            raise Malformed(f"{camel} is {shown(value)}, which OTLP does not define")
        return names[value]
    return _integer(value, camel, -(1 << 31), 1 << 31)


def attributes_of(message: Message) -> dict[str, object]:
    """The ``attributes`` of a resource, span, event or link; of two with one name the last counts.

    Raises:
        Malformed: they are no list of keys and values.
    """
    return _pairs(message, "attributes")


def _pairs(message: Message, field: str) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for pair in items_of(message, field, field):
        key = pair.get("key", "")
        if type(key) is not str:
            raise Malformed(f"{field} has the key {shown(key)}, which is no string")
        value = pair.get("value")
        if type(value) is dict and len(value) == 1 and type(text := value.get("stringValue")) is str:
            name = intern(key)  # as nearly all are; the same few names in every span
            pairs[name] = _shared(name, text) if len(text) <= _SHARED else text
            continue
        try:
            pairs[intern(key)] = _value(value)
        except Malformed as error:
            raise Malformed(f"attribute {key[:80]!r}: {error}") from None
    return pairs


def _shared(name: str, text: str) -> str:
    """Give the text that the attribute had before, where it is the same: many spans are of one lane, or library."""
    before = _before.get(name)
    if before == text:
        return before
    if len(_before) >= _NAMES:
        _before.clear()
    _before[name] = text
    return text


def _value(message: object) -> object:
    """Give the value that an ``AnyValue`` holds; None when it is empty."""
    if type(message) is not dict:
        if message is None:
            return None
        raise Malformed(f"its value is {shown(message)}, not an object with a stringValue or the like")
    for name, value in message.items():
        decode = _VALUES.get(name)
        if decode is not None and value is not None:
            return decode(value)
    return None


def _string(value: object) -> str:
    if type(value) is not str:
        raise Malformed(f"stringValue is {shown(value)}")
    return value


def _bool(value: object) -> bool:
    if type(value) is not bool:
        raise Malformed(f"boolValue is {shown(value)}")
    return value


def _int64(value: object) -> int:
    return _integer(value, "intValue", -(1 << 63), 1 << 63)


def _double(value: object) -> float:
    if type(value) is float or type(value) is int or (type(value) is str and _FLOAT.fullmatch(value)):
        return float(value)
    raise Malformed(f"doubleValue is {shown(value)}")


def _bytes(value: object) -> bytes:
    if type(value) is str:
        text = value.translate(_URL_SAFE).rstrip("=")
        try:
            return pybase64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError:
            pass  # said below, with the value
    raise Malformed(f"bytesValue is {shown(value)}, not base64")


def _array(value: object) -> list[object]:
    if type(value) is not dict:
        raise Malformed(f"arrayValue is {shown(value)}")
    values = value.get("values")
    if values is None:
        return []
    if type(values) is not list:
        raise Malformed(f"arrayValue has {shown(values)} as values")
    return [_value(item) for item in values]


def _kvlist(value: object) -> dict[str, object]:
    if type(value) is not dict:
        raise Malformed(f"kvlistValue is {shown(value)}")
    return _pairs(value, "values")


_VALUES: Final[dict[str, Callable[[object], object]]] = {
    "stringValue": _string,
    "intValue": _int64,
    "boolValue": _bool,
    "doubleValue": _double,
    "bytesValue": _bytes,
    "arrayValue": _array,
    "kvlistValue": _kvlist,
    "string_value": _string,
    "int_value": _int64,
    "bool_value": _bool,
    "double_value": _double,
    "bytes_value": _bytes,
    "array_value": _array,
    "kvlist_value": _kvlist,
}


def _integer(value: object, field: str, low: int, high: int) -> int:
    """A whole number in ``low <= n < high``, written as a number or as a string."""
    number: int | None = None
    if type(value) is int:
        number = value
    elif (type(value) is str and _DECIMAL.fullmatch(value)) or (type(value) is float and value.is_integer()):
        number = int(value)  # protobuf's JSON mapping takes 1.0 and 1e3 too
    if number is None or not low <= number < high:
        raise Malformed(f"{field} is {shown(value)}, not a whole number that fits")
    return number
