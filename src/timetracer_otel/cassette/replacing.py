"""Putting other spans in the place of lanes that a file holds; the file as it was is kept beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from timetracer_otel.cassette.any_value import Json, dumps, key_values
from timetracer_otel.cassette.bundle import writer
from timetracer_otel.cassette.framing import read_messages
from timetracer_otel.cassette.model import Event, Link, Span
from timetracer_otel.cassette.naming import old_path
from timetracer_otel.cassette.reading import document_of, encoded, parted
from timetracer_otel.cassette.storage import whole_file

__all__ = ["replace_lanes"]

_IN_ONE_LINE: Final = 1024 * 1024
"""Characters of attributes from which on no more spans go into a line: who reads holds a line at a time."""

_SPAN: Final = 1000
"""Characters of a span beside them, about."""


def replace_lanes(path: Path, lanes: Mapping[str, Sequence[Span]]) -> Path:
    """Put other spans in the place of those that some lanes have in a file. Its other lines stay as they are.

    Args:
        path: a cassette.
        lanes: the new spans of each, by its id; all of them come into this file.

    Returns:
        Where the file is kept as it was.

    Raises:
        CassetteError: it cannot be read or written; then it is as it was.
    """
    old = old_path(path)
    with whole_file(path) as descriptor, writer(descriptor, path) as write:
        for line in _kept(path, lanes):
            write(line)
        for spans in lanes.values():
            _write_spans(spans, write)
        _keep(path, old)
    return old


def _keep(path: Path, old: Path) -> None:
    """Give a file a second name, so that it is there at any moment; a copy where a file has only one name."""
    try:
        os.link(path, old)
    except OSError:
        shutil.copy2(path, old)


def _kept(path: Path, lanes: Mapping[str, Sequence[Span]]) -> Iterator[bytes]:
    """The lines of the other lanes."""
    for message in read_messages(path):
        document = document_of(message, path)
        parts = parted(document, message, path)
        if not lanes.keys() & parts.keys():
            as_it_is = message.is_json and b"\n" not in message.data
            yield (message.data if as_it_is else encoded(document)) + b"\n"
            continue
        yield from (encoded(part.document) + b"\n" for lane, part in parts.items() if lane not in lanes)


def _write_spans(spans: Sequence[Span], write: Callable[[bytes], object]) -> None:
    for of_line in _lines(spans):
        write(dumps({"resourceSpans": list(_resource_spans(of_line))}) + b"\n")


def _lines(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Part spans into lines that are not long."""
    line: list[Span] = []
    size = 0
    for span in spans:
        line.append(span)
        size += _SPAN + sum(len(value) for value in span.attributes.values() if isinstance(value, str | bytes))
        if size >= _IN_ONE_LINE:
            yield line
            line, size = [], 0
    if line:
        yield line


def _resource_spans(spans: Sequence[Span]) -> Iterator[Json]:
    for _, of_resource in groupby(spans, key=lambda span: id(span.resource)):
        group = list(of_resource)
        scopes = [
            {"scope": {"name": scope.name, "version": scope.version}, "spans": list(map(_span, of_scope))}
            for scope, of_scope in groupby(group, key=lambda span: span.scope)
        ]
        yield {"resource": {"attributes": key_values(group[0].resource)}, "scopeSpans": scopes}


def _span(span: Span) -> Json:
    written: Json = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": span.kind.value,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": key_values(span.attributes),
    }
    more: Json = {
        "parentSpanId": span.parent_id,
        "traceState": span.trace_state,
        "events": [_event(event) for event in span.events],
        "links": [_link(link) for link in span.links],
    }
    if span.status_code:
        more["status"] = {"code": span.status_code, "message": span.status_message}
    return written | {name: value for name, value in more.items() if value}


def _event(event: Event) -> Json:
    return {"name": event.name, "timeUnixNano": str(event.time), "attributes": key_values(event.attributes)}


def _link(link: Link) -> Json:
    return {"traceId": link.trace_id, "spanId": link.span_id, "attributes": key_values(link.attributes)}
