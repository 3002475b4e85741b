"""Values of a database as JSON and back, lossless: what JSON has is itself, everything else is an object with a tag."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, TypeVar

import orjson

from timetracer_otel import encoding
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError

__all__ = ["Converted", "Failed", "Text", "Unknown", "decoded", "encoded", "plain", "read"]

_T = TypeVar("_T")

_PLAIN: Final = frozenset({int, float, str, bytes, bool, type(None)})
_COPIES: Final[dict[type, Callable[[Any], Any]]] = {str: str.__str__, int: int.__int__, float: float.__float__}
"""Give a value of a subclass as one of the class itself, whatever the subclass makes of itself."""
_ODD: Final = (b"null", b"NaN", b"Infinity")
"""One of these is in the JSON of each number that is no number, and rarely in another's."""
_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
"""Integers that every reader of JSON of ours takes as they are."""
_OPTIONS: Final = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


@dataclass(frozen=True, slots=True)
class Converted:
    """A value that the app's converter makes of what the database holds.

    Args:
        converter: the name it is registered by.
        raw: what it is given.
    """

    converter: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """A text as the database holds it, of which a function of the app makes a value.

    Args:
        raw: its bytes.
    """

    raw: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """Stands among the rows of a result where fetching one raised.

    Args:
        error: what was raised, encoded.
    """

    error: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that no database takes.

    Args:
        kind: the name of its class.
    """

    kind: str


def plain(value: Any) -> Any:
    """Give a value that is bound to a statement as one of the types that a database knows; a buffer is copied.

    Args:
        value: adapted already.
    """
    if type(value) in _PLAIN:
        return value
    for kind, copy in _COPIES.items():
        if isinstance(value, kind):
            return copy(value)
    try:
        return bytes(memoryview(value))
    except TypeError:
        return Unknown(f"{type(value).__module__}.{type(value).__qualname__}")


def encoded(document: Any) -> bytes:
    """Encode values.

    Args:
        document: of lists, tuples, dicts with texts as keys, and values.
    """
    try:
        data = encoding.dumps(document, _OPTIONS, _tagged)
    except TypeError:  # a text that is no Unicode, an integer of more than 64 bits
        return encoding.dumps(_walked(document), _OPTIONS, _tagged)
    if any(mark in data for mark in _ODD):
        return encoding.dumps(_walked(document), _OPTIONS, _tagged)
    return data


def _tagged(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"bytes": b64encode(value).decode()}
    if isinstance(value, Converted):
        return {"converter": value.converter, "bytes": b64encode(value.raw).decode()}
    if isinstance(value, Text):
        return {"raw": b64encode(value.raw).decode()}
    if isinstance(value, Failed):
        return {"failed": value.error}
    return {"object": value.kind if isinstance(value, Unknown) else type(value).__qualname__}


def _walked(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(key): _walked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_walked(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return {"float": repr(value)}
    if type(value) is int and not _LEAST <= value <= _MOST:
        return {"int": str(value)}
    if isinstance(value, str) and not _is_unicode(value):
        return {"text": b64encode(value.encode("utf-8", "surrogatepass")).decode()}
    return value


def _key(key: str) -> str:
    return key if _is_unicode(key) else key.encode("utf-8", "backslashreplace").decode()


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "bytes": b64decode,
    "raw": lambda text: Text(b64decode(text)),
    "float": float,
    "int": int,
    "text": lambda text: b64decode(text).decode("utf-8", "surrogatepass"),
    "object": Unknown,
    "failed": Failed,
}


def decoded(value: Any) -> Any:
    """Give a value of :func:`encoded` back.

    Args:
        value: as JSON has it.

    Raises:
        CassetteError: it has no tag of ours.
    """
    if type(value) is list:
        return [decoded(item) for item in value]
    if type(value) is not dict:
        return value
    try:
        if "converter" in value:
            return Converted(value["converter"], b64decode(value["bytes"]))
        ((tag, text),) = value.items()
        return _READERS[tag](text)
    except (ValueError, KeyError, TypeError) as error:
        raise CassetteError(f"a recorded value is damaged ({error!r}): record it again") from error


def read(recorded: Span, name: str, what: str, made_of: Callable[[dict[str, Any], bytes], _T]) -> _T | None:
    """Read a payload that :func:`encoded` wrote; None when the call has none.

    Args:
        recorded: the call's span.
        name: of the payload.
        what: it is, for the error.
        made_of: makes it of the JSON object and of its bytes.

    Raises:
        CassetteError: it is damaged.
    """
    payload = recorded.payload(name)
    if payload is None:
        return None
    try:
        return made_of(orjson.loads(payload), payload)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CassetteError(f"a recorded {what} is damaged ({error!r}): record it again") from error
