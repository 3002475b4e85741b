"""Lanes of any size in little memory, to look at: of each span a few facts are held, the rest waits in a file.

Unlike :mod:`shelf`, which reads a lane whole when it is wanted, this reads one span at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from sys import intern

from timetracer_otel import spans as names
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.chunks import checked_count
from timetracer_otel.cassette.damaged import reading_on
from timetracer_otel.cassette.framing import read_messages
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.reading import Json, document_of, each_span
from timetracer_otel.cassette.spool import Piece, Pieces, Spool
from timetracer_otel.errors import CassetteError

__all__ = ["Bone", "Skeleton", "Skeletons"]


@dataclass(slots=True, kw_only=True)
class Bone:
    """A span, of which the most is in the spool.

    Attributes:
        lane_id: of its lane.
        trace_id: hexadecimal, as the other ids.
        span_id: its own.
        parent_id: None at the top.
        start: nanoseconds since 1970.
        end: likewise: when all of it was over, what streamed included.
        is_call: whether it is an outbound operation.
        is_head: whether it may tell of the lane as a whole: its entry, or a session's own.
        facts: how many attributes it has.
        part: which kind of part of another span it is; empty when it is none.
        chunk: the payload of which it carries one chunk, which one, and how many bytes; None when it carries none.
        counts: of its payloads that left in chunks, in how many.
        piece: where it is in the spool.
        parts: what completes it.
    """

    lane_id: str
    trace_id: str
    span_id: str
    parent_id: str | None
    start: int
    end: int
    is_call: bool
    is_head: bool
    facts: int
    part: str
    chunk: tuple[str, int, int] | None
    counts: dict[str, object] | None
    piece: Piece
    parts: list[Bone] | None = None

    @property
    def all_parts(self) -> Iterator[Bone]:
        """What completes it, and what completes that."""
        for part in self.parts or ():
            yield part
            yield from part.all_parts

    def chunked_size(self, name: str) -> int:
        """Give how many bytes of a payload came in chunks.

        Args:
            name: of the payload.
        """
        return sum(one.chunk[2] for one in self.all_parts if one.chunk is not None and one.chunk[0] == name)


@dataclass(slots=True)
class Skeleton:
    """A lane or a session.

    Attributes:
        id: its id.
        session_id: of the session that it belongs to, or is.
        file: where its entry is, else its first span.
        resource: what its process said of itself, joined over its lines.
        bones: its spans in order of start, without the parts of others.
    """

    id: str
    file: Path
    session_id: str | None = None
    resource: dict[str, object] = field(default_factory=dict)
    bones: list[Bone] = field(default_factory=list)
    has_entry: bool = False

    @property
    def is_session(self) -> bool:
        """Whether this is a process's session and not an entry's lane."""
        return self.id == self.session_id

    @property
    def trace_ids(self) -> set[str]:
        """Of the spans that may be its entry."""
        return {bone.trace_id for bone in self.bones if bone.is_head}


class Skeletons:
    """What some files hold.

    Args:
        files: the cassettes.
        left_out: gets the errors of files that cannot be read and are left out; None to stop at the first.

    Attributes:
        files: those that were read.
        lanes: lanes in order of start, behind them the sessions.

    Raises:
        CassetteError: a file is missing, damaged, foreign, or without any span; with ``left_out``, every one is.
    """

    def __init__(self, files: Iterable[str | PathLike[str]], left_out: list[CassetteError] | None = None) -> None:
        found = reading_on(files, _read, left_out)
        found.spool.close()
        self.files = found.files
        self.lanes = found.skeletons()
        self._pieces = Pieces(str(found.spool.path))

    def span(self, bone: Bone, longest: int | None = None) -> Span:
        """Read a span with all that completes it.

        Args:
            bone: of it.
            longest: bytes of a payload in chunks above which only the first chunk is read; None to read all.

        Raises:
            CassetteError: a payload was cut.
        """
        spans = self._read(bone)
        if not bone.parts and not bone.counts:  # the most are whole
            return spans[0]
        for part in bone.all_parts:
            if longest is None or part.chunk is None or bone.chunked_size(part.chunk[0]) <= longest:
                spans += self._read(part)
            elif part.chunk[1] == 0:
                spans = [_in_one_chunk(span, part.chunk[0]) for span in [*spans, *self._read(part)]]
        folded = loading.gathered([(self.files[0], spans)])
        lanes = [*folded.lanes, *folded.sessions.values()]
        return next(span for lane in lanes for span in lane.spans if span.span_id == bone.span_id)

    def heads(self, lane: Skeleton, longest: int | None) -> Lane:
        """Give a lane with only those of its spans that may tell of the whole, and the first.

        Args:
            lane: one of these.
            longest: as for :meth:`span`.
        """
        bones = [bone for number, bone in enumerate(lane.bones) if bone.is_head or not number]
        spans = [self.span(bone, longest) for bone in bones]
        spans[0] = replace(spans[0], resource=lane.resource)
        return Lane(lane.id, lane.session_id, spans, lane.file)

    def _read(self, bone: Bone) -> list[Span]:
        return self._pieces.read([bone.piece])


def _in_one_chunk(span: Span, name: str) -> Span:
    if name + names.PARTS in span.attributes:
        span.attributes[name + names.PARTS] = 1
    return span


def _read(files: list[Path], _without: Collection[Path]) -> _Reading:
    reading = _Reading()
    for path in dict.fromkeys(files):
        reading.take(path)
    return reading


class _Reading:
    """What was read so far."""

    def __init__(self) -> None:
        self.spool = Spool()
        self.files: list[Path] = []
        self._bones: dict[tuple[str, str], Bone] = {}
        self._lanes: dict[str, Skeleton] = {}

    def take(self, path: Path) -> None:
        found = False
        for message in read_messages(path):
            for document, span in each_span(document_of(message, path), message, path):
                found = True
                self._note(document, span, path)
        if not found:
            raise loading.empty(path)
        self.files.append(path)

    def _note(self, document: Json, span: Span, path: Path) -> None:
        key = (intern(span.trace_id), span.span_id)
        known = self._bones.get(key)
        if known is None or known.facts < len(span.attributes):
            self._bones[key] = bone = _bone(span, self.spool.add(document))
            self._note_lane(bone, span, path)

    def _note_lane(self, bone: Bone, span: Span, path: Path) -> None:
        lane = self._lanes.setdefault(bone.lane_id, Skeleton(bone.lane_id, path))
        if span.is_entry and not lane.has_entry:
            lane.has_entry, lane.file = True, path
            lane.session_id = span.session_id or lane.session_id
        lane.session_id = lane.session_id or span.session_id
        for name, value in span.resource.items():
            lane.resource.setdefault(name, value)

    def skeletons(self) -> list[Skeleton]:
        parts = [bone for bone in self._bones.values() if bone.part]
        for part in parts:
            whole = self._bones.get((part.trace_id, part.parent_id or ""))
            if whole is None or whole is part:
                part.part = ""
            else:
                whole.parts = whole.parts or []
                whole.parts.append(part)
        for bone in self._bones.values():
            if not bone.part:
                _complete(bone, self._lanes[bone.lane_id].file)
                self._lanes[bone.lane_id].bones.append(bone)
        found = [lane for lane in self._lanes.values() if lane.bones]
        for lane in found:
            lane.bones.sort(key=lambda bone: bone.start)
        return sorted(found, key=lambda lane: (lane.is_session, lane.bones[0].start))


def _bone(span: Span, piece: Piece) -> Bone:
    attributes = span.attributes
    name, index = span.text(names.PART_OF), attributes.get(names.PART_INDEX)
    size = attributes.get(f"{name}.size")
    chunk = (name, index, size if isinstance(size, int) else 0) if name and isinstance(index, int) else None
    counts = {one: value for one, value in attributes.items() if one.endswith(names.PARTS)}
    return Bone(
        lane_id=intern(span.lane_id),
        trace_id=intern(span.trace_id),
        span_id=span.span_id,
        parent_id=span.parent_id,
        start=span.start,
        end=span.over,
        is_call=span.is_call,
        is_head=span.is_entry or span.name.startswith(names.SESSION_SPAN) or names.DROPPED_LANES in attributes,
        facts=len(attributes),
        part=str(attributes.get(names.PART, "")),
        chunk=chunk,
        counts=counts or None,
        piece=piece,
    )


def _complete(bone: Bone, file: Path) -> None:
    """Let a span end where its last part does, and refuse one whose chunks are not all there."""
    have: dict[str, set[int]] = {}
    counts = dict(bone.counts or {})
    for part in bone.all_parts:
        bone.end = max(bone.end, part.end)
        counts |= part.counts or {}
        if part.chunk is not None:
            have.setdefault(part.chunk[0], set()).add(part.chunk[1])
    for name, numbers in have.items():
        if (count := counts.get(name + names.PARTS)) is not None:
            checked_count(name, bone.span_id, count, numbers, file)
