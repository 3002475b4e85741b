"""The contents of a cassette as plain data: spans, lanes, sessions. It knows no library and no OpenTelemetry SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Protocol

from timetracer_otel import spans

__all__ = ["Cassette", "Event", "Followers", "Kind", "Lane", "Link", "Scope", "Span"]


class Kind(IntEnum):
    """Span kinds by their OTLP numbers (opentelemetry/proto/trace/v1/trace.proto, SpanKind)."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


@dataclass(slots=True, frozen=True)
class Scope:
    """The instrumentation scope that made a span."""

    name: str = ""
    version: str = ""


@dataclass(slots=True)
class Event:
    """A span event; ``time`` in nanoseconds since the epoch."""

    name: str
    time: int
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Link:
    """A link to another span, by hexadecimal ids."""

    trace_id: str
    span_id: str
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Span:
    """One span as read. Ids are lower-case hexadecimal, times nanoseconds since the epoch.

    ``attributes`` holds str, bool, int, float, bytes, None, lists and dicts of them. ``resource`` is shared by the
    spans of one resource. ``status_code`` is 0 unset, 1 ok, 2 error.
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: Kind
    start: int
    end: int
    attributes: dict[str, object]
    resource: Mapping[str, object]
    scope: Scope = Scope()
    events: list[Event] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    status_code: int = 0
    status_message: str = ""
    trace_state: str = ""

    @property
    def lane_id(self) -> str:
        """The lane that the span belongs to; its trace when no recorder of ours said so."""
        lane = self.attributes.get(spans.LANE_ID)
        return lane if isinstance(lane, str) else self.trace_id

    @property
    def session_id(self) -> str | None:
        """The session of the process that made the span."""
        session = self.attributes.get(spans.SESSION_ID) or self.resource.get(spans.SESSION_ID)
        return session if isinstance(session, str) else None

    @property
    def is_call(self) -> bool:
        """Whether this is one outbound operation."""
        return self.kind in (Kind.CLIENT, Kind.PRODUCER)

    @property
    def is_entry(self) -> bool:
        """Whether this began its process's work on what came in."""
        return self.kind in (Kind.SERVER, Kind.CONSUMER)

    @property
    def is_process(self) -> bool:
        """Whether this is the own span of a process that is an entry: a command's."""
        return self.is_entry and self.name.startswith(spans.SESSION_SPAN)

    @property
    def over(self) -> int:
        """When what it stands for was over: of what was streamed, later than the span ended."""
        ended = self.attributes.get(spans.ENDED)
        return max(self.end, ended) if isinstance(ended, int) else self.end

    def payload(self, name: str) -> bytes | None:
        """A payload's bytes, None when absent.

        Raises:
            CassetteError: it was cut or damaged.
        """
        return spans.decode_payload(self.attributes, name)

    def text(self, name: str) -> str | None:
        """An attribute when it is a string, else None."""
        value = self.attributes.get(name)
        return value if isinstance(value, str) else None


class Followers(Protocol):
    """Calls that nothing asked for, which are read from a file one by one."""

    @property
    def starts(self) -> Sequence[int]:
        """When each began, in nanoseconds since the epoch, always later than the one before."""
        ...

    def __iter__(self) -> Iterator[Span]:
        """Read them in order."""
        ...

    def __getitem__(self, number: int) -> Span:
        """Read one."""
        ...


@dataclass
class Lane:
    """One entry's execution, or one process's session (then ``id`` is the session's own).

    ``spans`` are in order of start; part spans are already folded into their parents. ``followers`` are what is left in
    a file of long streams, by the call that opened each; see :mod:`timetracer_otel.cassette.followers`.
    """

    id: str
    session_id: str | None
    spans: list[Span]
    file: Path | None = None
    followers: Mapping[str, Followers] = field(default_factory=dict)

    @property
    def is_process(self) -> bool:
        """Whether this is a process's session; that of a command is an entry's lane, too."""
        return self.id == self.session_id

    @property
    def is_session(self) -> bool:
        """Whether this is a process's session and not an entry's lane."""
        return self.is_process and self.entry is None

    @cached_property
    def resource(self) -> Mapping[str, object]:
        """The attributes of the lane's process, joined over its lines: not every line of a session has all."""
        said: list[Mapping[str, object]] = []
        for span in self.spans:
            if not said or span.resource is not said[-1]:
                said.append(span.resource)
        merged: dict[str, object] = {}
        for one in {id(one): one for one in reversed(said)}.values():
            merged |= one
        return merged

    @cached_property
    def entry(self) -> Span | None:
        """The span of what started the work; None in a session."""
        if self.is_process:
            return next((span for span in self.spans if span.is_process), None)
        entries = [span for span in self.spans if span.is_entry]
        ids = {span.span_id for span in self.spans}
        return next((span for span in entries if span.parent_id not in ids), entries[0] if entries else None)

    @cached_property
    def calls(self) -> list[Span]:
        """The outbound calls, in order of start."""
        return [span for span in self.spans if span.is_call]


@dataclass
class Cassette:
    """Everything that was loaded: lanes in order of start, sessions by id."""

    lanes: list[Lane]
    sessions: dict[str, Lane]
    files: list[Path] = field(default_factory=list)

    def lane(self, lane_id: str) -> Lane | None:
        """The lane of that id, or whose entry belongs to that trace; None when there is none."""
        return self._by_id.get(lane_id)

    @cached_property
    def _by_id(self) -> dict[str, Lane]:
        by_trace = {lane.entry.trace_id: lane for lane in reversed(self.lanes) if lane.entry is not None}
        return by_trace | {lane.id: lane for lane in self.lanes}
