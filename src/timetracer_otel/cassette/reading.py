"""Reading OTLP/JSON files, whoever wrote them, into :mod:`timetracer_otel.cassette.model`.

Accepted is what the OTLP specification ("JSON Protobuf Encoding") and protobuf's JSON mapping accept: both spellings of
a field's name, 64-bit integers as strings or numbers, enums as numbers or names, ids in either case, unknown fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from os import PathLike
from types import MappingProxyType
from typing import Any, Final

import orjson

from timetracer_otel.cassette import files, foreign
from timetracer_otel.cassette.decoding import (
    Malformed,
    attributes_of,
    enum_of,
    id_of,
    items_of,
    shown,
    text_of,
    uint64_of,
)
from timetracer_otel.cassette.model import Event, Kind, Link, Scope, Span
from timetracer_otel.errors import CassetteError

__all__ = ["line_spans", "read_spans"]

_KINDS: Final = {f"SPAN_KIND_{kind.name}": kind.value for kind in Kind}
_KIND_OF: Final = {kind.value: kind for kind in Kind}
_STATUS_CODES: Final = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


def read_spans(path: str | PathLike[str]) -> Iterator[Span]:
    """Read the spans of a file in its order: OTLP JSON lines, plain or compressed with gzip or zstd.

    Args:
        path: the file; its name does not matter.

    Raises:
        CassetteError: the file cannot be read, is damaged, cut short, or is something else; it names the line.
    """
    for number, line in files.read_lines(path):
        yield from line_spans(line, path, number)


def line_spans(line: bytes, path: str | PathLike[str], number: int) -> list[Span]:
    """Give the spans of one line, which is one ``TracesData``.

    Args:
        line: the JSON.
        path: the file that it comes from, for messages.
        number: its 1-based number in the file, for messages.

    Raises:
        CassetteError: the line is damaged or holds something else.
    """
    try:
        document = _parse(line)
    except ValueError as error:
        raise CassetteError(foreign.not_json(line, path, number, error), file=path, line=number) from error
    try:
        return _traces(document)
    except Malformed as error:
        raise CassetteError(str(error), file=path, line=number) from error
    except RecursionError as error:
        raise CassetteError("a value is nested too deeply to be read", file=path, line=number) from error


def _parse(line: bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: it is none.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        if b"\\ud" not in line and b"\\uD" not in line:
            raise
        try:  # Writers that escape everything write a lone surrogate, which orjson refuses: it becomes U+FFFD.
            text = json.dumps(json.loads(line), ensure_ascii=False)
            return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def _traces(document: Any) -> list[Span]:
    if not isinstance(document, dict):
        raise Malformed(f"is {shown(document)}, not an OTLP TracesData object: this file is no cassette")
    if document and "resourceSpans" not in document and "resource_spans" not in document:
        raise Malformed(foreign.not_traces(document))
    spans: list[Span] = []
    for entry in items_of(document, "resourceSpans", "resource_spans"):
        resource = _resource(_get(entry, "resource", "resource"))
        if "instrumentationLibrarySpans" in entry:
            raise Malformed("was written by an OTLP older than 0.15: send it through a newer collector")
        for group in items_of(entry, "scopeSpans", "scope_spans"):
            scope = _scope(_get(group, "scope", "scope"))
            spans.extend(_span(span, resource, scope) for span in items_of(group, "spans", "spans"))
    return spans


def _get(message: dict[str, Any], camel: str, snake: str) -> dict[str, Any]:
    """A field that is a message itself; an empty one when it is absent."""
    value = message.get(camel)
    if value is None:
        value = message.get(snake)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Malformed(f"{camel} is {shown(value)}, not an object")
    return value


def _resource(message: dict[str, Any]) -> Mapping[str, object]:
    """The attributes of a resource. Equal ones are one mapping: every line of a file repeats them."""
    try:
        return _shared_resource(orjson.dumps(message))
    except TypeError:  # nested deeper than orjson writes, though it read it
        return MappingProxyType(attributes_of(message))


@lru_cache(maxsize=64)
def _shared_resource(encoded: bytes) -> Mapping[str, object]:
    return MappingProxyType(attributes_of(orjson.loads(encoded)))


def _scope(message: dict[str, Any]) -> Scope:
    return _shared_scope(text_of(message, "name", "name"), text_of(message, "version", "version"))


_shared_scope: Callable[[str, str], Scope] = lru_cache(maxsize=256)(Scope)


def _span(message: dict[str, Any], resource: Mapping[str, object], scope: Scope) -> Span:
    name = text_of(message, "name", "name")
    try:
        status = _get(message, "status", "status")
        status_code = enum_of(status, "code", "code", _STATUS_CODES) if status else 0
        return Span(
            trace_id=_needed(id_of(message, "traceId", "trace_id", 32), "traceId"),
            span_id=_needed(id_of(message, "spanId", "span_id", 16), "spanId"),
            parent_id=id_of(message, "parentSpanId", "parent_span_id", 16),
            name=name,
            kind=_KIND_OF.get(enum_of(message, "kind", "kind", _KINDS), Kind.UNSPECIFIED),
            start=uint64_of(message, "startTimeUnixNano", "start_time_unix_nano"),
            end=uint64_of(message, "endTimeUnixNano", "end_time_unix_nano"),
            attributes=attributes_of(message),
            resource=resource,
            scope=scope,
            events=[_event(event) for event in items_of(message, "events", "events")],
            links=[_link(link) for link in items_of(message, "links", "links")],
            status_code=status_code if status_code in (1, 2) else 0,
            status_message=text_of(status, "message", "message") if status else "",
            trace_state=text_of(message, "traceState", "trace_state"),
        )
    except Malformed as error:
        raise Malformed(f"span {name[:80]!r}: {error}") from None


def _needed(span_or_trace_id: str | None, field: str) -> str:
    if span_or_trace_id is None:
        raise Malformed(f"{field} is missing or all zeros")
    return span_or_trace_id


def _event(message: dict[str, Any]) -> Event:
    time = uint64_of(message, "timeUnixNano", "time_unix_nano")
    return Event(text_of(message, "name", "name"), time, attributes_of(message))


def _link(message: dict[str, Any]) -> Link:
    """A link; the SDKs keep one to an invalid context when it has attributes."""
    trace_id = id_of(message, "traceId", "trace_id", 32) or "0" * 32
    return Link(trace_id, id_of(message, "spanId", "span_id", 16) or "0" * 16, attributes_of(message))
