"""Results as text that tells every value and every type, and the comparison of two such texts."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bson import Binary, Code, DBRef, Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import results
from pymongo.errors import PyMongoError

__all__ = ["renamed", "shown", "text"]

_RESULTS = tuple(
    kind for kind in vars(results).values() if isinstance(kind, type) and kind.__module__ == results.__name__
)
_ID = re.compile(r"\b(?:[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
_FACTS = ("code", "details", "timeout", "error_labels", "partial_result")


def text(value: Any) -> str:
    """Give a value with all types as JSON."""
    return json.dumps(shown(value), sort_keys=False)


def shown(value: Any) -> Any:  # noqa: PLR0911 - one line for each kind of value
    """Give JSON-like data that differs whenever a value or a type does."""
    if value is None or type(value) in (bool, str):
        return value
    name = type(value).__name__
    if isinstance(value, PyMongoError):
        facts = {fact: shown(getattr(value, fact)) for fact in _FACTS if hasattr(value, fact)}
        return {name: [str(value), facts | {"labels": sorted(value._error_labels)}]}
    if isinstance(value, RawBSONDocument):
        return {name: value.raw.hex(" ")}
    if isinstance(value, Mapping):
        return {name: [[key, shown(item)] for key, item in value.items()]}
    if isinstance(value, bytes) and not isinstance(value, Binary):
        return {name: value.hex(" ")}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Code):
        return {name: [shown(item) for item in value]}
    if isinstance(value, _RESULTS):
        return {name: {fact: _fact(value, fact) for fact in dir(value) if not fact.startswith("_")}}
    return {name: _plain(value)}


def _fact(result: Any, name: str) -> Any:
    try:
        return shown(getattr(result, name))
    except PyMongoError as error:  # of an unacknowledged write
        return shown(error)


def _plain(value: Any) -> str:
    if isinstance(value, Binary):
        return f"{value.subtype} {value.hex(' ')}"
    if isinstance(value, dt.datetime):
        return f"{value.isoformat()} {value.tzinfo}"
    if isinstance(value, Regex | DBRef | Timestamp | Int64 | Decimal128 | ObjectId | float | int):
        return str(value) if not isinstance(value, Regex) else f"{value.pattern!r} {value.flags}"
    return repr(value)


def renamed(said: str) -> str:
    """Give a text with its ids numbered as they appear: equal for texts that a consistent renaming makes equal."""
    numbers: dict[str, str] = {}
    return _ID.sub(lambda found: numbers.setdefault(found[0], f"<id {len(numbers)}>"), said)
