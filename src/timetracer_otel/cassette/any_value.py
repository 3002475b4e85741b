"""Attribute values as OTLP/JSON: an ``AnyValue`` of opentelemetry-proto's common.proto."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite, isnan
from typing import Any, Final

import pybase64

from timetracer_otel import encoding

__all__ = ["MAX_DEPTH", "Json", "any_value", "dumps", "key_values"]

Json = dict[str, Any]

MAX_DEPTH: Final = 30
"""Nested values below this are written as text: protobuf parsers stop at 100 messages, and a level takes three."""


def key_values(attributes: Mapping[str, Any]) -> list[Json]:
    """Give attributes as a list of ``KeyValue``."""
    # The test for str is here and not in _value: most values are strings, and a call costs more than the rest.
    return [
        {"key": key, "value": {"stringValue": value} if type(value) is str else any_value(value, 1)}
        for key, value in attributes.items()
    ]


def any_value(value: object, depth: int) -> Json:
    """Give a value as an ``AnyValue``.

    Args:
        value: what an attribute holds, or a value within it.
        depth: how deep it is nested, 1 for an attribute's own.
    """
    if (encode := _BY_TYPE.get(type(value))) is not None:
        return encode(value)
    if depth > MAX_DEPTH:
        return {"stringValue": repr(value)}
    if isinstance(value, Mapping):
        pairs = [{"key": str(key), "value": any_value(item, depth + 1)} for key, item in value.items()]
        return {"kvlistValue": {"values": pairs}}
    for base, encode_base in _BY_TYPE.items():
        if isinstance(value, base):
            return encode_base(value)
    if isinstance(value, Sequence):
        return {"arrayValue": {"values": [any_value(item, depth + 1) for item in value]}}
    return {"stringValue": str(value)}


def _bool(value: Any) -> Json:
    return {"boolValue": value}


def _string(value: Any) -> Json:
    return {"stringValue": str.__str__(value)}


def _int(value: Any) -> Json:
    number = int.__repr__(value)
    return {"intValue": number} if -(2**63) <= value < 2**63 else {"stringValue": number}


def _float(value: Any) -> Json:
    number = float(value)
    if isfinite(number):
        return {"doubleValue": number}
    return {"doubleValue": "NaN" if isnan(number) else "Infinity" if number > 0 else "-Infinity"}


def _bytes(value: Any) -> Json:
    return {"bytesValue": pybase64.b64encode_as_string(value)}


def _nothing(_value: Any) -> Json:
    return {}


_BY_TYPE: Final[dict[type, Callable[[Any], Json]]] = {
    bool: _bool,  # before int, which it is a subclass of
    str: _string,
    int: _int,
    float: _float,
    bytes: _bytes,
    bytearray: _bytes,
    type(None): _nothing,
}


def dumps(document: Json | str, option: int = 0) -> bytes:
    """Encode JSON; what UTF-8 cannot hold as the nearest thing that it can."""
    try:
        return encoding.dumps(document, option)
    except TypeError:  # a lone surrogate: orjson writes only strings that UTF-8 can hold
        return encoding.dumps(_mended(document), option)


def _mended(value: Any) -> Any:
    """The same tree with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value
