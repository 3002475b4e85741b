"""Reading OTLP files, whoever wrote them, into :mod:`timetracer_otel.cassette.model`.

Accepted is what the OTLP specification ("JSON Protobuf Encoding") and protobuf's JSON mapping accept: both spellings of
a field's name, 64-bit integers as strings or numbers, enums as numbers or names, ids in either case, unknown fields.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from types import MappingProxyType
from typing import Any, Final

import orjson

from timetracer_otel.cassette import foreign
from timetracer_otel.cassette.decoding import (
    MOST_NAMED,
    Malformed,
    attributes_of,
    enum_of,
    id_of,
    items_of,
    shown,
    text_of,
    uint64_of,
)
from timetracer_otel.cassette.framing import TracesMessage, read_messages
from timetracer_otel.cassette.model import Event, Kind, Link, Scope, Span

__all__ = ["DocumentPart", "document_of", "document_spans", "each_span", "encoded", "parted", "read_spans"]

Json = dict[str, Any]

_KINDS: Final = {f"SPAN_KIND_{kind.name}": kind.value for kind in Kind}
_KIND_OF: Final = {kind.value: kind for kind in Kind}
_SHORTEST_NAMED: Final = len('"key"')
_STATUS_CODES: Final = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


def read_spans(path: str | PathLike[str]) -> Iterator[Span]:
    """Read the spans of a file in its order: OTLP as JSON lines, or in what else :mod:`framing` knows.

    Args:
        path: the file; its name does not matter.

    Raises:
        CassetteError: the file cannot be read, is damaged, cut short, or is something else; it names the line.
    """
    for message in read_messages(path):
        yield from document_spans(document_of(message, path), message, path)


def document_of(message: TracesMessage, path: str | PathLike[str]) -> dict[str, Any]:
    """Give a message as OTLP/JSON, whatever it was encoded in.

    Args:
        message: one ``TracesData``.
        path: the file that it comes from, for errors.

    Raises:
        CassetteError: the message is damaged or holds something else.
    """
    is_long = message.is_json and len(message.data) > _SHORTEST_NAMED * MOST_NAMED
    if is_long and (count := _count(message.data)) > MOST_NAMED:
        text = f"holds {count} spans and attributes, more than the {MOST_NAMED} that are read of one message: part it"
        raise message.fault(path, text)
    try:
        document = _parse(message.data) if message.is_json else _parse_protobuf(message.data)
    except Malformed as error:
        raise message.fault(path, str(error)) from error
    except ValueError as error:
        raise message.fault(path, foreign.not_json(message, path, error)) from error
    if not isinstance(document, dict):
        text = f"is {shown(document)}, not an OTLP TracesData object: this file is no cassette"
        raise message.fault(path, text)
    return document


def _count(line: bytes) -> int:
    """How many spans and attributes a message holds: within a string the quotes are escaped."""
    return sum(map(line.count, (b'"spanId"', b'"span_id"', b'"key"')))


def encoded(document: Json) -> bytes:
    """Give a document of :func:`document_of`, or a part of it, as JSON on one line, without its end."""
    try:
        return orjson.dumps(document)
    except TypeError:  # nested deeper than orjson writes, though it read it
        return json.dumps(document).encode("ascii")


def document_spans(document: dict[str, Any], message: TracesMessage, path: str | PathLike[str]) -> list[Span]:
    """Give the spans of a message.

    Args:
        document: from :func:`document_of`.
        message: what it was, for errors.
        path: its file, for errors.

    Raises:
        CassetteError: a value in it is not what OTLP has in its place.
    """
    with _told_of(message, path):
        return [span for *_, spans in _groups(document) for _, span in spans]


@contextmanager
def _told_of(message: TracesMessage, path: str | PathLike[str]) -> Iterator[None]:
    """Say of what is malformed in a block where it stands."""
    try:
        yield
    except Malformed as error:
        raise message.fault(path, str(error)) from error
    except RecursionError as error:
        raise message.fault(path, "a value is nested too deeply to be read") from error


@dataclass(slots=True)
class DocumentPart:
    """The spans of one lane in one message.

    Attributes:
        document: OTLP/JSON of these spans alone.
        spans: the same, decoded.
    """

    document: Json
    spans: list[Span]


def parted(document: Json, message: TracesMessage, path: str | PathLike[str]) -> dict[str, DocumentPart]:
    """Part a message by the lanes that its spans belong to.

    Args:
        document: from :func:`document_of`.
        message: what it was, for errors.
        path: its file, for errors.

    Returns:
        By lane id, in the order of the lanes' first spans.

    Raises:
        CassetteError: a value in it is not what OTLP has in its place.
    """
    parts: dict[str, DocumentPart] = {}
    with _told_of(message, path):
        for entry, group, spans in _groups(document):
            of_group: dict[str, list[Json]] = {}
            for raw, span in spans:
                lane_id = span.lane_id
                if (mine := of_group.get(lane_id)) is None:
                    mine = of_group[lane_id] = []
                    part = parts.setdefault(lane_id, DocumentPart({"resourceSpans": []}, []))
                    part.document["resourceSpans"].append(_like(entry, group, mine))
                mine.append(raw)
                parts[lane_id].spans.append(span)
    return parts


def each_span(
    document: dict[str, Any], message: TracesMessage, path: str | PathLike[str]
) -> Iterator[tuple[Json, Span]]:
    """Give each span of a message, and OTLP/JSON of it alone.

    Args:
        document: from :func:`document_of`.
        message: what it was, for errors.
        path: its file, for errors.

    Raises:
        CassetteError: a value in it is not what OTLP has in its place.
    """
    with _told_of(message, path):
        for entry, group, spans in _groups(document):
            for raw, span in spans:
                yield {"resourceSpans": [_like(entry, group, [raw])]}, span


def _like(entry: Json, group: Json, spans: list[Json]) -> Json:
    """A ResourceSpans with other spans in one ScopeSpans."""
    outer = {name: value for name, value in entry.items() if name not in {"scopeSpans", "scope_spans"}}
    inner = {name: value for name, value in group.items() if name != "spans"}
    return {**outer, "scopeSpans": [{**inner, "spans": spans}]}


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


def _parse_protobuf(data: bytes) -> Json:
    from timetracer_otel.cassette import protobuf  # noqa: PLC0415 - 40 ms, which an app that records should not wait

    return protobuf.document(data)


def _groups(document: dict[str, Any]) -> Iterator[tuple[Json, Json, list[tuple[Json, Span]]]]:
    """The spans of a document as they are and decoded, by their ResourceSpans and ScopeSpans."""
    if document and "resourceSpans" not in document and "resource_spans" not in document:
        raise Malformed(foreign.not_traces(document))
    for entry in items_of(document, "resourceSpans", "resource_spans"):
        resource = _resource(_get(entry, "resource", "resource"))
        if "instrumentationLibrarySpans" in entry:
            raise Malformed("was written by an OTLP older than 0.15: send it through a newer collector")
        for group in items_of(entry, "scopeSpans", "scope_spans"):
            scope = _scope(_get(group, "scope", "scope"))
            yield entry, group, [(span, _span(span, resource, scope)) for span in items_of(group, "spans", "spans")]


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
