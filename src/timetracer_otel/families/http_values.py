"""Ids and times in the text of HTTP messages: found, blanked, and put back into replies.

The values are those of the MongoDB family, so that an id that goes to the database and to a service is one id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from timetracer_otel.families.bson_walk import OBJECT_ID, STRING
from timetracer_otel.families.mongodb import text_forms as mongodb_forms
from timetracer_otel.seams import Value, web_tokens

__all__ = ["Blanker", "found_in", "rebound", "text_forms"]

TIME = 0x81
"""Tag of a time as text; no type of BSON."""

_TIME = (
    r"[12]\d{3}-[01]\d-[0-3]\d(?:T|%20|\+| )[0-2]\d(?::|%3A)[0-5]\d"
    r"(?:(?::|%3A)[0-6]\d(?:[.,]\d{1,9})?)?(?:Z|(?:[+-]|%2B)\d\d(?::|%3A)?\d\d)?"
)
_KINDS = (
    ("uuid", r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
    # Without dashes only a random UUID (RFC 9562, version 4): a digest of content has as many digits.
    ("hex", r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}"),
    ("oid", r"[0-9a-f]{24}"),
    ("time", _TIME),
)
_VALUE = re.compile(
    r"(?<![0-9A-Za-z])(?:" + "|".join(f"(?P<{name}>{pattern})" for name, pattern in _KINDS) + r")(?![0-9A-Za-z])"
)
_DIGITS = re.compile(r"\d")
_FRACTION = re.compile(r"[.,]\d+")


class Blanker:
    """Takes values out of text, piece by piece, and keeps them in order."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: list[Value] = []

    def text(self, text: str) -> str:
        """Give the text with its values replaced by their kind."""
        text = web_tokens.readable(text, web_tokens.OF_ONE_RUN)
        return _VALUE.sub(self._take, text) if _DIGITS.search(text) else text

    def _take(self, match: re.Match[str]) -> str:
        self.values.append(_value(match))
        # The form of a time counts, its digits do not: "Z" and "+00:00" come from different code.
        form = _DIGITS.sub("0", _FRACTION.sub("", match[0])) if match.lastgroup == "time" else match.lastgroup
        return f"\0{form}"


def _value(match: re.Match[str]) -> Value:
    text = match[0]
    if match.lastgroup == "oid":
        return bytes((OBJECT_ID,)) + bytes.fromhex(text)
    tag = TIME if match.lastgroup == "time" else STRING
    return bytes((tag,)) + text.encode()


def found_in(text: str) -> Iterator[Value]:
    """Give the values in a text, in order, with repeats."""
    return (_value(match) for match in _VALUE.finditer(text))


def rebound(text: str, bindings: Mapping[Value, Value]) -> str:
    """Give a text with live values in place of the recorded ones that they are bound to."""
    if not bindings:
        return text

    def put(match: re.Match[str]) -> str:
        value = _value(match)
        live = bindings.get(value, value)
        return live[1:].hex() if match.lastgroup == "oid" else live[1:].decode()

    return _VALUE.sub(put, text)


def text_forms(value: Value) -> tuple[bytes, ...]:
    """Give the ways a value may be written in a URL or a body."""
    return (value[1:],) if value[0] == TIME else mongodb_forms(value)
