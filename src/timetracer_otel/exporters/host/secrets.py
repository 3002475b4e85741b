"""Secrets in what others put on spans: instrumentors note URLs, headers when asked to, and messages of exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter, is_
from typing import Any, Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from timetracer_otel import redaction
from timetracer_otel.cassette.otlp import own_attributes

__all__ = ["hidden"]

_events_of: Final = attrgetter("_events")
"""Reads the events of a span: their property copies them."""
_METHODS: Final = ("http.request.method", "http.method")
_URLS: Final = frozenset({"url.full", "url.query", "url.original", "http.url", "http.target"})
_HEADERS: Final = ("http.request.header.", "http.response.header.")


def hidden(span: ReadableSpan) -> ReadableSpan:
    """Give a span without secrets that can be told: itself when it has none.

    Args:
        span: ended, or as far as it is.
    """
    own, ended = own_attributes(span), span.status
    message = ended.description
    attributes = _changed(own) if _METHODS[0] in own or _METHODS[1] in own else None
    if attributes is None and message is None and not _events_of(span):  # as nearly all
        return span
    status = None if message is None else redaction.text(message)
    events = [_event(event) for event in span.events]
    same_events = all(map(is_, events, span.events))
    if attributes is None and status == message and same_events:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes if attributes is None else attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=ended if status == message else Status(ended.status_code, status),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _changed(own: Mapping[str, Any]) -> dict[str, Any] | None:
    """The attributes of an HTTP span without secrets; None when nothing changes."""
    changed = {name: value for name, value in ((name, _value(name, own[name])) for name in own) if value != own[name]}
    return {**own, **changed} if changed else None


def _value(name: str, value: Any) -> Any:
    if name in _URLS and isinstance(value, str):
        return redaction.url(value)
    if name.startswith(_HEADERS):
        header = name.rpartition(".")[2].replace("_", "-")
        texts = [value] if isinstance(value, str) else value
        pairs = redaction.headers((header, str(text)) for text in texts)
        return pairs[0][1] if isinstance(value, str) else tuple(text for _, text in pairs)
    return value


def _event(event: Event) -> Event:
    own = event.attributes or {}
    changed = {name: redaction.text(value) for name, value in own.items() if isinstance(value, str)}
    if all(own[name] == value for name, value in changed.items()):
        return event
    return Event(event.name, {**own, **changed}, event.timestamp)
