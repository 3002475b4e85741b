"""How large a span is as an OTLP protobuf message, without encoding it: never less than it is, seldom 10 % more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from timetracer_otel.cassette.otlp import own_attributes

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["span_size"]

_SPAN: Final = 110
"""Ids, times, kind, flags, counts and status of a span, with tags and lengths (opentelemetry-proto, trace.proto)."""
_EVENT: Final = 40
_LINK: Final = 60
_PAIR: Final = 24
"""Tags and lengths around one attribute, or its whole value when that is a number."""


def span_size(span: ReadableSpan) -> int:
    """Give the bytes that a span takes in a message, at most.

    Args:
        span: an ended span.
    """
    total = _SPAN + _text(span.name) + _attributes(own_attributes(span))
    for event in span._events:  # noqa: SLF001 - the property copies
        total += _EVENT + _text(event.name) + _attributes(event.attributes)
    for link in span._links:  # noqa: SLF001 - the property copies
        total += _LINK + _attributes(link.attributes) + _state(link.context)
    status = span.status
    return total + _text(status.description or "") + _state(span.context)


def _state(context: Any) -> int:
    return len(context.trace_state.to_header()) if context is not None and context.trace_state else 0


def _attributes(attributes: Mapping[str, Any] | None) -> int:
    total = 0
    for key, value in (attributes or {}).items():
        total += _PAIR + _text(key) + (_text(value) if type(value) is str else _value(value))
    return total


def _value(value: object) -> int:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, Mapping):
        return _attributes(value)
    if isinstance(value, Sequence):
        return sum(_PAIR + _value(item) for item in value)
    return 0  # a number or nothing: counted with its pair


def _text(text: str) -> int:
    """Bytes of a text in UTF-8. Whether it is ASCII a look at its header tells."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
