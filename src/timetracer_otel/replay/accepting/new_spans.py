"""The spans of a recorded lane as they are when some differences of its replay are accepted.

Requests, the calls there are and the outcome become those of the replay; what each call was answered stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from operator import itemgetter
from secrets import token_hex
from typing import Any, Final

from timetracer_otel import encoding, spans
from timetracer_otel.cassette.model import Kind, Lane, Span
from timetracer_otel.nondeterminism.columns import pack
from timetracer_otel.replay.accepting import outcomes
from timetracer_otel.replay.accepting.answers import rebound
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.seen import Seen

__all__ = ["rewritten"]

_GAP: Final = 1
"""Nanoseconds between two calls of which one is put behind the other."""
_REQUESTS: Final = (spans.REQUEST, spans.HTTP_REQUEST_BODY, spans.HTTP_REQUEST_HEADERS)
_BEHIND_ALL: Final = 10**17
"""Where draws stand that were added: behind those of the recording."""


def rewritten(
    lanes: Sequence[Lane],
    seen: Seen,
    accepted: Sequence[Difference],
    declined: Iterable[Difference],
    recorded: Callable[[str], Span | None],
) -> dict[str, list[Span]]:
    """Give the new spans of the lanes that change.

    Args:
        lanes: the verified lane or session; behind it the sessions of processes that it started.
        seen: its replay.
        accepted: what is accepted of its differences.
        declined: the others.
        recorded: gives a recorded call of any lane by the id of its span.
    """
    work = _Rewriting(lanes, accepted, declined, recorded)
    work.calls(seen)
    own = lanes[0]
    main = own.entry if own.entry is not None else outcomes.own_span(own)
    if main is not None:
        outcomes.accept(work.edited(main), seen, accepted)
    work.output(seen, accepted)
    work.draws(seen)
    return work.result()


class _Rewriting:
    """Lanes while they are rewritten.

    Args:
        lanes: as above, likewise the others.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        accepted: Sequence[Difference],
        declined: Iterable[Difference],
        recorded: Callable[[str], Span | None],
    ) -> None:
        self._lanes = lanes
        self._recorded = recorded
        self._spans = {span.span_id: span for lane in lanes for span in lane.spans}
        self._lane_of = {span.span_id: lane.id for lane in lanes for span in lane.spans}
        self._changed = {lanes[0].id}
        self._declined = {one.note for one in declined if one.note}
        self._extra = {one.note for one in accepted if one.kind == "extra"}
        self._other = {one.note for one in accepted if one.kind == "changed"}
        self._reordered = any(one.kind == "reordered" for one in accepted)
        for one in accepted:
            if one.kind == "missing" and one.span in self._spans:
                self._changed.add(self._lane_of[one.span])
                del self._spans[one.span]

    def edited(self, span: Span) -> Span:
        """A span that may be changed: a copy of it, which takes its place."""
        mine = copy(span)
        mine.attributes = dict(span.attributes)
        self._spans[span.span_id] = mine
        self._changed.add(self._lane_of[span.span_id])
        return mine

    def calls(self, seen: Seen) -> None:
        """Let the calls be those of the replay."""
        if not (self._extra or self._other or self._reordered):
            return
        before: Span | None = None
        for note in sorted(seen.answered, key=itemgetter("number")):
            before = self._call(note, before) or before

    def _call(self, note: Mapping[str, Any], before: Span | None) -> Span | None:
        span, number = self._spans.get(note["span"]), note["number"]
        if number in self._extra or (span is None and number in self._other):
            source = span or self._recorded(note["span"])
            return None if source is None else _as_now(self._added(source, before), note)
        if span is None or number in self._declined:
            return span
        if "request" in note or "bound" in note:
            span = _as_now(self.edited(span), note)
        if self._reordered and before is not None and span.end <= before.start:
            length, span = span.end - span.start, self.edited(span)
            span.start = before.end + _GAP
            span.end = span.start + length
        return span

    def _added(self, source: Span, before: Span | None) -> Span:
        """A call that the lane did not have, behind another one."""
        first = self._lanes[0].spans[0]
        start = (first.start if before is None else before.end) + _GAP
        span = copy(source)
        span.span_id, span.trace_id, span.parent_id = token_hex(8), first.trace_id, first.span_id
        span.start, span.end, span.resource = start, start + _GAP, first.resource
        span.attributes = {**source.attributes, spans.LANE_ID: self._lanes[0].id}
        span.attributes.pop(spans.BRANCH, None)
        self._spans[span.span_id] = span
        self._lane_of[span.span_id] = self._lanes[0].id
        return span

    def output(self, seen: Seen, accepted: Sequence[Difference]) -> None:
        """Let the processes of a script have printed what they print now."""
        of_children = {one.what == outcomes.OF_CHILDREN for one in accepted if one.kind == "output"}
        for number, lane in enumerate(self._lanes):
            own = outcomes.own_span(lane)
            if own is not None and lane.id in seen.printed and (number > 0) in of_children:
                mine = self._spans[own.span_id] if lane.id in self._changed else own
                outcomes.accept_output(self.edited(mine), seen.printed[lane.id])

    def draws(self, seen: Seen) -> None:
        """Add what was drawn that the recording does not have."""
        for lane in self._lanes:
            fresh = [note for note in seen.fresh if note["lane"] == lane.id and "site" in note]
            if fresh:
                first = lane.spans[0]
                span = Span(
                    first.trace_id,
                    token_hex(8),
                    first.span_id,
                    spans.DRAWS,
                    Kind.INTERNAL,
                    first.end,
                    first.end,
                    {spans.LANE_ID: lane.id, **_draws(fresh, lane)},
                    first.resource,
                )
                self._spans[span.span_id] = span
                self._lane_of[span.span_id] = lane.id
                self._changed.add(lane.id)

    def result(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {lane.id: [] for lane in self._lanes if lane.id in self._changed}
        for span_id, span in self._spans.items():
            if (lane := self._lane_of[span_id]) in found:
                found[lane].append(span)
        return {lane: sorted(one, key=lambda span: span.start) for lane, one in found.items()}


def _as_now(span: Span, note: Mapping[str, Any]) -> Span:
    """Let a call ask what it asks now, and be told the ids that it was told."""
    if (request := note.get("request")) is not None:
        old = [name for name in span.attributes if name in _REQUESTS or name.startswith(_suffixed)]
        for name in old:
            del span.attributes[name]
        span.attributes |= request
    span.attributes |= rebound(span.attributes, note.get("bound", {}))
    return span


_suffixed: Final = tuple(f"{name}." for name in _REQUESTS)


def _draws(fresh: Iterable[Mapping[str, Any]], lane: Lane) -> dict[str, spans.Attribute]:
    """Encode draws as a recording has them, see :mod:`timetracer_otel.nondeterminism.draws`."""
    sites: dict[tuple[str, ...], int] = {}
    columns: dict[tuple[str, int, str], list[Any]] = {}
    for note in fresh:
        number = sites.setdefault(tuple(note["site"]), len(sites))
        columns.setdefault((note["kind"], number, note["branch"]), []).append(note["value"])
    document = {
        "first": _BEHIND_ALL + sum(span.name == spans.DRAWS for span in lane.spans),
        "groups": [],
        "sites": list(sites),
        "columns": [(*where, pack(values)) for where, values in columns.items()],
    }
    return spans.encode_payload(spans.DRAWS, encoding.dumps(document))
