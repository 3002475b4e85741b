"""Outlines of lanes: the facts without the payloads, gathered span by span in any order."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

from timetracer_otel import redaction
from timetracer_otel import spans as names
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.model import Span
from timetracer_otel.cassette.spool import Piece

__all__ = ["Draft", "Outline"]


@dataclass(frozen=True, slots=True)
class Outline:
    """The facts of a lane without its payloads.

    Attributes:
        id: the lane's.
        files: where its spans are.
        start: nanoseconds since the epoch.
        trace_id: of its entry.
        session_id: of the process that recorded it.
        service: ``service.name`` of that process.
        kind: of its entry; empty when that is not there, or of no kind that we know.
        plugin: the integration that recorded it, where its entry says so.
        method: what its name begins with: a request's method, another kind's word; empty without an entry.
        target: what it was addressed to, in full.
        route: what it has in common with others of its kind: the framework's pattern of the path, else the path.
        group: entries of the same one keep their order when asked: what a request's Cookie header said.
        has_body: whether the entry had a body.
        calls: how many outbound calls there are.
        own: those of its files that hold nothing else, and are read when the lane is.
        pieces: where the rest of it is in the catalog's spool.
        imported: the tool that recorded it; empty when that was ours.
        is_drivable: whether its entry was recorded well enough to be given to the program again.
        hash_seed: PYTHONHASHSEED of the process that recorded it; empty where it is not known.
    """

    id: str
    files: tuple[str, ...]
    start: int
    trace_id: str = ""
    session_id: str | None = None
    service: str = ""
    kind: str = ""
    plugin: str = ""
    method: str = ""
    target: str = ""
    route: str = ""
    group: str = ""
    has_body: bool = False
    calls: int = 0
    own: tuple[str, ...] = ()
    pieces: tuple[Piece, ...] = ()
    imported: str = ""
    is_drivable: bool = False
    hash_seed: str = ""

    @property
    def is_session(self) -> bool:
        """Whether these are a process's calls outside any entry; those of a command are its lane, too."""
        return self.id == self.session_id

    @property
    def is_lane(self) -> bool:
        """Whether they are an entry's."""
        return not self.is_session or bool(self.kind)

    @property
    def name(self) -> str:
        """Method and target, for people."""
        return f"{self.method} {redaction.placeholders(self.target)}"

    @property
    def operation(self) -> str:
        """Method and route, the same for all requests of one kind."""
        return f"{self.method} {self.route}"


@dataclass(slots=True)
class _Entry:
    """A span that may be what started the lane."""

    span_id: int
    parent_id: int
    trace_id: str
    start: int
    session_id: str | None
    facts: dict[str, Any]
    is_process: bool


class Draft:
    """A lane's outline while its spans are read; ids are kept as numbers, since a lane can have very many.

    Args:
        lane_id: the lane's.
    """

    __slots__ = ("_calls", "_entries", "_first", "_parts", "_spans", "files", "id", "own", "pieces", "session_id")

    def __init__(self, lane_id: str) -> None:
        self.id = lane_id
        self.session_id: str | None = None
        self.files: dict[str, None] = {}
        self.own: dict[str, None] = {}
        self.pieces: list[Piece] = []
        self._entries: dict[int, _Entry] = {}
        self._parts: dict[int, dict[str, Any]] = {}
        self._spans = array("Q")
        self._calls = array("Q")
        self._first: tuple[int, dict[str, Any]] | None = None

    def take(self, span: Span) -> None:
        """Add a span.

        Args:
            span: decoded; it is not kept.
        """
        number, parent = int(span.span_id, 16), int(span.parent_id or "0", 16)
        if self.session_id is None:
            self.session_id = span.session_id
        self._spans.append(number)
        if span.is_call:
            self._calls.append(number)
        part = span.attributes.get(names.PART)
        if part == "entry":
            self._parts[parent] = _facts(span)
        if span.is_entry:
            facts = _facts(span)
            known = self._entries.get(number)
            if known is None or len(known.facts) < len(facts):
                entry = _Entry(number, parent, span.trace_id, span.start, span.session_id, facts, span.is_process)
                self._entries[number] = entry
        elif self._first is None or span.start < self._first[0]:
            self._first = span.start, _facts(span)

    def outline(self) -> Outline:
        """Give what was found."""
        entry = self._entry()
        start, first = self._first or (0, {})
        facts = first if entry is None else entry.facts
        if entry is not None:
            completed = self._parts.get(entry.span_id, {})
            facts = {**completed, **facts, **({"has_body": completed["has_body"]} if "has_body" in completed else {})}
        target = facts.get("target", "")
        kind = None if entry is None else kinds.named(facts.get("kind", ""))
        return Outline(
            id=self.id,
            files=tuple(self.files),
            start=start if entry is None else entry.start,
            trace_id="" if entry is None else entry.trace_id,
            session_id=self.session_id if entry is None else entry.session_id or self.session_id,
            service=facts.get("service", ""),
            kind=kind.name if kind is not None else "",
            plugin="" if entry is None else facts.get("plugin", ""),
            method="" if entry is None else facts.get("method", ""),
            target=target,
            route=facts.get("route") or target.partition("?")[0],
            group="" if entry is None else facts.get("group", ""),
            has_body=facts.get("has_body", False),
            calls=len(set(self._calls)),
            own=tuple(self.own),
            pieces=tuple(self.pieces),
            imported=facts.get("imported", ""),
            is_drivable=kind is not None and kind.needed <= facts.keys(),
            hash_seed=facts.get("hash_seed", ""),
        )

    def _entry(self) -> _Entry | None:
        """As :attr:`model.Lane.entry`: the earliest that no span of the lane called, else the earliest."""
        if self.id == self.session_id:
            return next((entry for entry in self._entries.values() if entry.is_process), None)
        if len(self._entries) <= 1:
            return next(iter(self._entries.values()), None)
        ids = set(self._spans)
        in_order = sorted(self._entries.values(), key=lambda entry: entry.start)
        return next((entry for entry in in_order if entry.parent_id not in ids), in_order[0])


def _facts(span: Span) -> dict[str, Any]:
    """Give the part of an outline that this span knows of its entry."""
    attributes = span.attributes
    found: dict[str, Any] = {"service": str(span.resource.get("service.name", ""))}
    if (tool := span.resource.get(names.IMPORTED)) is not None:
        found["imported"] = str(tool)
    if (seed := span.resource.get(names.HASH_SEED)) is not None:
        found["hash_seed"] = str(seed)
    if (kind := kinds.of(attributes)) is not None:
        found |= {"kind": kind.name, **kind.facts(attributes)}
        if (plugin := attributes.get(names.PLUGIN)) is not None:
            found["plugin"] = str(plugin)
    return found
