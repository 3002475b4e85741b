"""Everything that a cassette holds, decoded, as JSON-like data: what ``timetracer show`` prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, Final

import pybase64

from timetracer_otel import redaction
from timetracer_otel import spans as names
from timetracer_otel.cassette import kinds, loading, scratch
from timetracer_otel.cassette.damaged import reading_on
from timetracer_otel.cassette.kinds import Side
from timetracer_otel.cassette.model import Cassette, Lane, Span
from timetracer_otel.cli.summary import error_text, iso, summarize
from timetracer_otel.errors import CassetteError, ConfigError
from timetracer_otel.integrations import discover
from timetracer_otel.seams import Integration

__all__ = ["chosen", "describe", "title"]

Json = dict[str, Any]

_PAYLOADS: Final = (names.REQUEST, names.RESPONSE, names.SESSION_STDOUT, names.SESSION_STDERR)
_STATUS: Final = ("unset", "ok", "error")
_NAMED: Final = 5


def describe(files: Iterable[Path], only: str | None = None, left_out: list[CassetteError] | None = None) -> Json:
    """Load files and give what is in them.

    Args:
        files: the cassettes; the sessions that they name stay where they are.
        only: the id of a lane or session, its trace id, or how one of these begins; None for all.
        left_out: gets the errors of files that cannot be read and are left out; None to stop at the first.

    Raises:
        CassetteError: a file cannot be read, with ``left_out`` none can.
        ConfigError: no lane, or more than one, has that id.
    """
    cassette = reading_on(files, lambda whole, _without: loading.load_alone(whole), left_out)
    integrations = discover()
    return {
        "files": [scratch.named(str(file)) for file in cassette.files],
        "lanes": [_lane(lane, integrations) for lane in chosen(cassette, only)],
    }


def title(lane: Json) -> str:
    """Name a lane or a session in a few words.

    Args:
        lane: as :func:`describe` gives it.
    """
    return f"{lane['method'] or lane['kind']} {lane['target']}"


def chosen(cassette: Cassette, only: str | None) -> list[Lane]:
    """Give the lanes and sessions of a cassette that are meant.

    Args:
        cassette: that was loaded.
        only: as for :func:`describe`.

    Raises:
        ConfigError: no lane, or more than one, has that id.
    """
    lanes = [*cassette.lanes, *cassette.sessions.values()]
    if only is None:
        return lanes
    wanted = only.lower()
    exact = cassette.lane(wanted) or cassette.sessions.get(wanted)
    found = [exact] if exact else [lane for lane in lanes if any(id_.startswith(wanted) for id_ in _ids(lane))]
    if not wanted or len(found) != 1:
        known = ", ".join(lane.id for lane in (found or lanes)[:_NAMED])
        raise ConfigError(f"{len(found)} lanes have the id {only!r}: give one of {known}, or see `timetracer list`")
    return found


def _ids(lane: Lane) -> tuple[str, ...]:
    return (lane.id,) if lane.entry is None else (lane.id, lane.entry.trace_id)


def _lane(lane: Lane, integrations: Mapping[str, Integration]) -> Json:
    described = summarize(lane).as_json()
    first = lane.entry or lane.spans[0]
    if lane.is_session:
        described["output"] = _output(lane)
    else:
        kind = kinds.of(first.attributes)
        request, response = (kind.request, kind.response) if kind is not None else (Side(), Side())
        described |= {"request": _side(first, request), "response": _side(first, response)}
    described["resource"] = _plain(dict(lane.resource))
    start = min(span.start for span in lane.spans)
    described["spans"] = [_span(span, start, integrations) for span in lane.spans]
    return described


def _output(lane: Lane) -> Json:
    streams = {"stdout": names.SESSION_STDOUT, "stderr": names.SESSION_STDERR}
    own = next((span for span in lane.spans if names.SESSION_STDOUT in span.attributes), lane.spans[0])
    return {stream: _payload(own, name) for stream, name in streams.items()}


def _side(entry: Span, side: Side) -> Json:
    """Describe one side of an entry, what came in or what came of it. Every kind has ``headers`` and ``body``."""
    return {
        **{name: _plain(entry.attributes.get(attribute)) for name, attribute in side.facts.items()},
        "headers": [],
        **{name: _headers(entry, attribute) for name, attribute in side.headers.items()},
        "body": _payload(entry, side.body) if side.body else None,
    }


@cache
def _decoded() -> frozenset[str]:
    """Attributes that are shown in another form."""
    sides = [side for kind in kinds.known().values() for side in (kind.request, kind.response)]
    payloads = {*_PAYLOADS, *(side.body for side in sides if side.body)}
    headers = {name for side in sides for name in side.headers.values()}
    return frozenset({name + part for name in payloads for part in ("", ".codec", ".size")} | headers)


def _headers(span: Span, name: str) -> list[list[str]]:
    try:
        return [[key, redaction.placeholders(value)] for key, value in names.decode_headers(span.attributes, name)]
    except CassetteError as error:
        return [["(damaged)", str(error)]]


def _payload(span: Span, name: str) -> Json | None:
    """A payload as ``{"size": bytes, "text": …}`` or ``base64``; what is wrong with it as ``{"damaged": …}``."""
    try:
        data = span.payload(name)
    except CassetteError as error:
        return {"damaged": str(error)}
    if data is None:
        return None
    try:
        return {"size": len(data), "text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"size": len(data), "base64": pybase64.b64encode_as_string(data)}


def _span(span: Span, start: int, integrations: Mapping[str, Integration]) -> Json:
    decoded = _decoded()
    described: Json = {
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "trace_id": span.trace_id,
        "name": span.name,
        "kind": span.kind.name.lower(),
        "scope": span.scope.name,
        "start": iso(span.start),
        "offset_ms": (span.start - start) / 1e6,
        "duration_ms": max(span.end - span.start, 0) / 1e6,
        "status": _STATUS[span.status_code],
        "error": error_text(span),
        "incomplete": span.text(names.INCOMPLETE),
        "attributes": {name: _plain(value) for name, value in span.attributes.items() if name not in decoded},
        "events": [_event(event.name, event.time, event.attributes) for event in span.events],
        "links": [{"trace_id": link.trace_id, "span_id": link.span_id} for link in span.links],
    }
    if span.is_call:
        described |= _call(span, integrations)
    return described


def _event(name: str, time: int, attributes: Mapping[str, object]) -> Json:
    return {"name": name, "time": iso(time), "attributes": _plain(dict(attributes))}


def _call(span: Span, integrations: Mapping[str, Integration]) -> Json:
    """A call's payloads, decoded by its integration when we have that, and their sizes in bytes."""
    integration = integrations.get(span.text(names.PLUGIN) or "")
    sides = {"request": _payload(span, names.REQUEST), "response": _payload(span, names.RESPONSE)}
    described: Json = {"plugin": span.text(names.PLUGIN), "decoded": False, **sides}
    described |= {f"{side}_size": payload and payload.get("size") for side, payload in sides.items()}
    whole = not any(payload and "damaged" in payload for payload in sides.values())
    if whole and integration is not None and integration.render is not None:
        described |= _rendered(integration.render, span)
    return described


def _rendered(render: Callable[[Span], Json], span: Span) -> Json:
    try:
        rendered = {side: _plain(value) for side, value in render(span).items() if side in {"request", "response"}}
        json.dumps(rendered)  # what JSON cannot hold is found out here
    except Exception as error:  # noqa: BLE001 - whatever a decoder makes of damaged bytes, people get a note
        return {"note": f"cannot be decoded ({type(error).__name__}: {error})"}
    return {"decoded": True, **rendered}


def _plain(value: object) -> Any:
    """A value as strict JSON has it: bytes as base64, NaN and infinities by name, secrets as placeholders."""
    if isinstance(value, str):
        return redaction.placeholders(value)
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return {"base64": pybase64.b64encode_as_string(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
