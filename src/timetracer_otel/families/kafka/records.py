"""A consumer's message as it is recorded, and the client's own object of it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, Final

from timetracer_otel.families.kafka.raw import Bytes
from timetracer_otel.families.kinds.message import Record

__all__ = ["made", "record"]

_APART: Final = frozenset({"topic", "key", "value", "headers"})
_HEADERS: Final = "headers"
"""Whether the client gives headers as a list."""


def record(came: Any, bytes_: Bytes) -> Record:
    """Give a message as it is recorded.

    Args:
        came: the client's object, a named tuple or a dataclass.
        bytes_: of its key and value.
    """
    properties = {name: getattr(came, name) for name in _names(type(came)) if name not in _APART}
    if isinstance(came.headers, list):
        properties[_HEADERS] = "list"
    return Record(came.topic, bytes_.value, bytes_.key, list(came.headers or ()), properties)


def made(kind: Any, came: Record, key: Any, value: Any) -> Any:
    """Give a recorded message as the app gets it. What the recording's version of the client did not know is None.

    Args:
        kind: the client's class.
        came: recorded.
        key: as the app's function has made it.
        value: likewise.
    """
    headers: Iterable[tuple[str, Any]] = [(name, one) for name, one in came.headers]
    if came.properties.get(_HEADERS) != "list":
        headers = tuple(headers)
    known = {"topic": came.destination, "key": key, "value": value, "headers": headers}
    return kind(**{name: known[name] if name in known else came.properties.get(name) for name in _names(kind)})


def _names(kind: Any) -> Iterator[str]:
    if dataclasses.is_dataclass(kind):
        yield from (one.name for one in dataclasses.fields(kind))
    else:
        yield from kind._fields
