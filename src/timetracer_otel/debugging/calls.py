"""Finds the recorded call that a user names, to stop before the line that makes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import ConfigError

__all__ = ["address", "call_named"]

_ADDRESS: Final = (
    "db.system.name", "db.system", "db.namespace", "db.name", "db.collection.name", "db.mongodb.collection",
    "db.operation.name", "db.operation", "db.query.text", "db.statement", "messaging.system",
    "messaging.destination.name", "http.request.method", "http.method", "url.full", "http.url",
)  # fmt: skip
"""Attributes that say what was called, from the general to the special."""
_SHOWN: Final = 10


def address(call: Span) -> str:
    """What a call asked whom, in a line.

    Args:
        call: recorded.
    """
    return " ".join(dict.fromkeys((call.name, *_said(call))))


def _said(call: Span) -> Iterator[str]:
    for name in _ADDRESS:
        if text := call.text(name):
            yield text


def call_named(text: str, calls: Sequence[Span]) -> Span:
    """Give the first call of that id, else of that name, else of whose address every word is a part.

    Args:
        text: what the user typed.
        calls: of the lane, in order.

    Raises:
        ConfigError: there is none.
    """
    words = text.casefold().split()
    tests = (
        lambda call: call.span_id == text,
        lambda call: call.name == text,
        lambda call: bool(words) and all(word in address(call).casefold() for word in words),
    )
    for test in tests:
        if (found := next(filter(test, calls), None)) is not None:
            return found
    known = "".join(f"\n  {call.span_id}  {address(call)[:100]}" for call in calls[:_SHOWN])
    raise ConfigError(f"--break-at {text}: the lane has no such call; it has{known or ' none'}")
