"""Everything that a cassette holds, decoded, as JSON-like data: what ``timetracer show`` prints."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, Final, TypeVar

import pybase64

from timetracer_otel import redaction
from timetracer_otel import spans as names
from timetracer_otel.cassette import kinds, scratch
from timetracer_otel.cassette.kinds import Side
from timetracer_otel.cassette.model import Cassette, Lane, Span
from timetracer_otel.cassette.skeletons import Bone, Skeleton, Skeletons
from timetracer_otel.cli.summary import error_text, iso, summarize
from timetracer_otel.errors import CassetteError, ConfigError
from timetracer_otel.integrations import named

__all__ = ["Described", "DescribedLane", "chosen", "describe", "lanes", "one_span", "title"]

Json = dict[str, Any]

_CALL_PAYLOADS: Final = (names.REQUEST, names.RESPONSE, names.HTTP_REQUEST_BODY, names.HTTP_RESPONSE_BODY)
_PAYLOADS: Final = (names.REQUEST, names.RESPONSE, names.SESSION_STDOUT, names.SESSION_STDERR)
_STATUS: Final = ("unset", "ok", "error")
_NAMED: Final = 5
_LONGEST_CHARACTER: Final = 4
"""Bytes of UTF-8."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DescribedLane:
    """A lane or a session whose spans are described one at a time.

    Attributes:
        head: everything but the spans.
        bones: of the spans, in order of start.
        span: describes one of them.
    """

    head: Json
    bones: Sequence[Bone]
    span: Callable[[Bone], Json]

    @property
    def spans(self) -> Iterator[Json]:
        """All of them, in order of start."""
        return map(self.span, self.bones)


@dataclass(frozen=True, slots=True)
class Described:
    """What some files hold.

    Attributes:
        files: those that were read.
        lanes: of them those that were asked for.
    """

    files: list[str]
    lanes: list[DescribedLane]


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
    described = lanes(files, only, left_out)
    return {"files": described.files, "lanes": [{**one.head, "spans": list(one.spans)} for one in described.lanes]}


def lanes(
    files: Iterable[Path],
    only: str | None = None,
    left_out: list[CassetteError] | None = None,
    longest: int | None = None,
) -> Described:
    """As :func:`describe`, in little memory.

    Args:
        files: the cassettes.
        only: as for :func:`describe`.
        left_out: likewise.
        longest: bytes of a payload above which only its beginning is given; None to give all.

    Raises:
        CassetteError: as :func:`describe`.
        ConfigError: likewise.
    """
    skeletons = Skeletons(files, left_out)
    described = [
        _lane(skeletons, skeleton, longest)
        for skeleton in _pick(skeletons.lanes, lambda one: (one.id, *one.trace_ids), only)
    ]
    return Described([scratch.named(str(file)) for file in skeletons.files], described)


def one_span(described: Described, span_id: str) -> Json:
    """Describe one span.

    Args:
        described: where it is.
        span_id: its id, or how that begins.

    Raises:
        ConfigError: none, or more than one, has that id.
    """
    places = [(lane, bone) for lane in described.lanes for bone in lane.bones]
    lane, bone = _pick(places, lambda place: (place[1].span_id,), span_id, "calls")[0]
    return lane.span(bone)


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
    return _pick([*cassette.lanes, *cassette.sessions.values()], _ids, only)


def _pick(some: list[T], ids: Callable[[T], Sequence[str]], only: str | None, what: str = "lanes") -> list[T]:
    """Give those that an id means: the first that has it, else the only one with an id that begins so.

    Args:
        some: to choose from.
        ids: of one; the first is its own.
        only: the id; None for all.
        what: they are.

    Raises:
        ConfigError: none, or more than one, has that id.
    """
    if only is None:
        return some
    wanted = only.lower()
    exact = next((one for one in some if wanted in ids(one)), None)
    found = [exact] if exact is not None else [one for one in some if any(id_.startswith(wanted) for id_ in ids(one))]
    if not wanted or len(found) != 1:
        known = ", ".join(ids(one)[0] for one in (found or some)[:_NAMED])
        raise ConfigError(f"{len(found)} {what} have the id {only!r}: give one of {known}")
    return found


def _ids(lane: Lane) -> tuple[str, ...]:
    return (lane.id,) if lane.entry is None else (lane.id, lane.entry.trace_id)


def _lane(skeletons: Skeletons, skeleton: Skeleton, longest: int | None) -> DescribedLane:
    heads = skeletons.heads(skeleton, longest)
    calls = [bone for bone in skeleton.bones if bone.is_call]
    summary = summarize(heads)._replace(calls=len(calls))
    if not summary.whole:
        start, end = skeleton.bones[0].start, max(bone.end for bone in skeleton.bones)
        summary = summary._replace(start=start, end=end)
    bones = {bone.span_id: bone for bone in skeleton.bones}

    def span(bone: Bone) -> Json:
        return _span(skeletons.span(bone, longest), bone, skeleton.bones[0].start, longest)

    return DescribedLane(summary.as_json() | _head(heads, bones, longest), skeleton.bones, span)


def _head(lane: Lane, bones: Mapping[str, Bone], longest: int | None) -> Json:
    described: Json = {}
    if lane.is_session:
        described["output"] = _output(lane, bones, longest)
    else:
        first = lane.entry or lane.spans[0]
        kind = kinds.of(first.attributes)
        request, response = (kind.request, kind.response) if kind is not None else (Side(), Side())
        payload = _Payloads(first, bones[first.span_id], longest)
        described |= {"request": _side(payload, request), "response": _side(payload, response)}
    described["resource"] = _plain(dict(lane.resource))
    return described


def _output(lane: Lane, bones: Mapping[str, Bone], longest: int | None) -> Json:
    streams = {"stdout": names.SESSION_STDOUT, "stderr": names.SESSION_STDERR}
    own = next((span for span in lane.spans if names.SESSION_STDOUT in span.attributes), lane.spans[0])
    payloads = _Payloads(own, bones[own.span_id], longest)
    return {stream: payloads.get(name) for stream, name in streams.items()}


def _side(payloads: _Payloads, side: Side) -> Json:
    """Describe one side of an entry, what came in or what came of it. Every kind has ``headers`` and ``body``."""
    entry = payloads.span
    return {
        **{name: _plain(entry.attributes.get(attribute)) for name, attribute in side.facts.items()},
        "headers": [],
        **{name: _headers(entry, attribute) for name, attribute in side.headers.items()},
        "body": payloads.get(side.body) if side.body else None,
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


@dataclass(frozen=True, slots=True)
class _Payloads:
    """The payloads of a span; of those above ``longest`` bytes perhaps only the beginning was read."""

    span: Span
    bone: Bone
    longest: int | None

    def get(self, name: str) -> Json | None:
        """One as ``{"size": bytes, "text": …}`` or ``base64``; what is wrong with it as ``{"damaged": …}``."""
        try:
            data = self.span.payload(name)
        except CassetteError as error:
            return {"damaged": str(error)}
        if data is None:
            return None
        size = self.bone.chunked_size(name)
        described: Json = {"size": len(data)}
        if self.longest is not None and size > self.longest:
            described = {"size": size, "cut": True}
        return described | _text_or_base64(data, is_beginning="cut" in described)


def _text_or_base64(data: bytes, *, is_beginning: bool) -> Json:
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError as error:
        if is_beginning and len(data) - error.start < _LONGEST_CHARACTER:  # the rest of it is in the next chunk
            return {"text": data[: error.start].decode("utf-8")}
        return {"base64": pybase64.b64encode_as_string(data)}


def _span(span: Span, bone: Bone, start: int, longest: int | None) -> Json:
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
        "duration_ms": max(bone.end - span.start, 0) / 1e6,
        "status": _STATUS[span.status_code],
        "error": error_text(span),
        "incomplete": span.text(names.INCOMPLETE),
        "attributes": {name: _plain(value) for name, value in span.attributes.items() if name not in decoded},
        "events": [_event(event.name, event.time, event.attributes) for event in span.events],
        "links": [{"trace_id": link.trace_id, "span_id": link.span_id} for link in span.links],
    }
    if span.is_call:
        described |= _call(_Payloads(span, bone, longest))
    return described


def _event(name: str, time: int, attributes: Mapping[str, object]) -> Json:
    return {"name": name, "time": iso(time), "attributes": _plain(dict(attributes))}


def _call(payloads: _Payloads) -> Json:
    """A call's payloads, decoded by its integration when we have that, and their sizes in bytes."""
    span, longest = payloads.span, payloads.longest
    integration = named(span.text(names.PLUGIN))
    sides = {"request": payloads.get(names.REQUEST), "response": payloads.get(names.RESPONSE)}
    described: Json = {"plugin": span.text(names.PLUGIN), "decoded": False, **sides}
    described |= {f"{side}_size": payload and payload.get("size") for side, payload in sides.items()}
    whole = not any(payload and "damaged" in payload for payload in sides.values())
    if whole and integration is not None and integration.render is not None:
        size = max(payloads.bone.chunked_size(name) for name in _CALL_PAYLOADS)
        size = max(size, *(_stated_size(span, name) for name in _CALL_PAYLOADS))
        if longest is not None and size > longest:
            return described | {"note": f"{size:,} bytes are too many to be decoded here; --call {span.span_id} does"}
        described |= _rendered(integration.render, span)
    return described


def _stated_size(span: Span, name: str) -> int:
    size = span.attributes.get(name + ".size")
    return size if isinstance(size, int) else 0


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
