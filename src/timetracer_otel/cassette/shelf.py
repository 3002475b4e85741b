"""Many lanes in little memory: an outline of each is kept, the lane itself is read when it is wanted."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final

import orjson

from timetracer_otel.cassette import kinds, loading
from timetracer_otel.cassette.damaged import reading_on
from timetracer_otel.cassette.followers import Sieve
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.opening import open_lane, open_span
from timetracer_otel.cassette.outlines import Outline
from timetracer_otel.cassette.reading import read_spans
from timetracer_otel.cassette.sorting import Sorter
from timetracer_otel.cassette.spool import Pieces
from timetracer_otel.errors import CassetteError

__all__ = ["Catalog", "Outline", "Shelf", "catalog", "read_catalog"]

LANES_KEPT: Final = 256
"""How many lanes are held at a time."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that some files hold, in outline.

    Attributes:
        lanes: in order of start.
        sessions: of the processes that recorded them, and of their parents.
        service: only spans of this service count; None for all.
        spool: the file that the pieces of lanes and sessions are in; None when every file holds one lane.
    """

    lanes: tuple[Outline, ...]
    sessions: tuple[Outline, ...] = ()
    service: str | None = None
    spool: str | None = None

    def write(self, file: Path) -> None:
        """Write it for :func:`read_catalog`.

        Args:
            file: a new file.
        """
        file.write_bytes(orjson.dumps(self))

    def imported(self) -> str | None:
        """The tool that recorded lanes which keep less than ours; None when there are none."""
        return next((lane.imported for lane in self.lanes if lane.imported), None)

    def takes_requests(self, kind: str) -> bool:
        """Whether a process that recorded entries of a kind was sent others from outside, too.

        Args:
            kind: such as ``message``.
        """
        processes = {lane.session_id for lane in self.lanes if lane.kind == kind}
        outside = (one for name in {lane.kind for lane in self.lanes} if (one := kinds.named(name)) and not one.outcome)
        names = {one.name for one in outside}
        return any(lane.session_id in processes and lane.kind in names for lane in self.lanes)

    def hash_seed(self) -> str:
        """The PYTHONHASHSEED of the process that recorded the first of the lanes; empty where it is not known."""
        return next((lane.hash_seed for lane in (*self.lanes, *self.sessions) if lane.hash_seed), "")

    def only(self, service: str) -> Catalog:
        """The part of one service.

        Args:
            service: its ``service.name``.
        """
        lanes = tuple(lane for lane in self.lanes if lane.service == service)
        return replace(self, lanes=lanes, service=service)

    def only_sessions(self, ids: Iterable[str]) -> Catalog:
        """The same with fewer sessions, and no lanes of others.

        Args:
            ids: of those to keep.
        """
        kept = frozenset(ids)
        sessions = tuple(session for session in self.sessions if session.id in kept)
        return replace(self, sessions=sessions, lanes=tuple(lane for lane in self.lanes if lane.session_id in kept))

    def as_replayed(self) -> Catalog:
        """The same with each process once: a replay follows the session of a command, which is its lane."""
        return replace(self, lanes=tuple(lane for lane in self.lanes if not lane.is_session))


def read_catalog(file: Path) -> Catalog:
    """Read what :meth:`Catalog.write` wrote.

    Args:
        file: its file.
    """
    document: dict[str, Any] = orjson.loads(file.read_bytes())
    lanes, sessions = (tuple(map(_read_outline, document[name])) for name in ("lanes", "sessions"))
    return Catalog(lanes, sessions, document["service"], document["spool"])


def _read_outline(lane: dict[str, Any]) -> Outline:
    pieces = tuple((start, length) for start, length in lane.pop("pieces"))
    files, own = tuple(lane.pop("files")), tuple(lane.pop("own"))
    return Outline(**lane, files=files, own=own, pieces=pieces)


def catalog(files: Iterable[str | PathLike[str]], left_out: list[CassetteError] | None = None) -> Catalog:
    """Look through files one at a time, and for the sessions that their lanes name.

    What it gives refers to a temporary file of this process when a file holds several lanes.

    Args:
        files: the cassettes.
        left_out: gets the errors of files that cannot be read and are left out; None to stop at the first.

    Raises:
        CassetteError: a file is missing, damaged, foreign, or without any span; with ``left_out``, every one is.
    """
    return reading_on(files, _catalog, left_out)


def _catalog(files: list[Path], without: Collection[Path]) -> Catalog:
    found = Sorter(files=set(without))
    more = [file.absolute() for file in files]
    while more:
        for path in more:
            found.take(path)
        more = found.search.files()
    if found.spool is not None:
        found.spool.close()
    outlines = sorted((draft.outline() for draft in found.drafts.values()), key=lambda lane: lane.start)
    lanes = tuple(lane for lane in outlines if lane.is_lane)
    sessions = tuple(lane for lane in outlines if lane.is_session)
    return Catalog(lanes, sessions, spool=str(found.spool.path) if found.spool is not None else None)


class Shelf:
    """The lanes and sessions of a catalog. Sessions are held, lanes are read when they are wanted.

    Args:
        catalog: from :func:`catalog`.
        opened: put secrets back for which there is a key; what is shown to people stays sealed.
        held: how many calls of each stream that nothing asked for are held, the others are :attr:`Lane.followers`;
            None for all.

    Raises:
        CassetteError: a session cannot be read.
    """

    def __init__(self, catalog: Catalog, *, opened: bool = False, held: int | None = None) -> None:
        self.catalog = catalog
        self._opened = opened
        self._held = held
        self._pieces = Pieces(catalog.spool) if catalog.spool is not None else None
        loaded = [self._load(session) for session in catalog.sessions]
        served = Counter(lane.session_id for lane in catalog.lanes)
        in_order = sorted(loaded, key=lambda lane: (-served[lane.id], lane.spans[0].start))
        self.sessions = {lane.id: lane for lane in in_order if _is_of(lane, catalog.service)}
        self.files = [Path(file) for file in dict.fromkeys(file for lane in catalog.lanes for file in lane.files)]
        self._outlines = {lane.id: lane for lane in catalog.lanes}
        self._by_trace = {lane.trace_id: lane for lane in reversed(catalog.lanes) if lane.trace_id}
        self._kept: OrderedDict[str, Lane] = OrderedDict()
        self._lock = threading.RLock()

    @classmethod
    def of(
        cls,
        files: Iterable[str | PathLike[str]],
        left_out: list[CassetteError] | None = None,
        *,
        opened: bool = False,
    ) -> Shelf:
        """Look through files, and hold their sessions.

        Args:
            files: the cassettes.
            left_out: as of :func:`catalog`.
            opened: put secrets back for which there is a key.

        Raises:
            CassetteError: as :func:`catalog`.
        """
        return cls(catalog(files, left_out), opened=opened)

    def outline(self, lane_id: str) -> Outline | None:
        """The outline of the lane of that id, or whose entry belongs to that trace."""
        return self._outlines.get(lane_id) or self._by_trace.get(lane_id)

    def lane(self, lane_id: str) -> Lane | None:
        """The lane of that id, or whose entry belongs to that trace; None when there is none.

        Raises:
            CassetteError: it cannot be read any more.
        """
        outline = self.outline(lane_id)
        if outline is None:
            return None
        with self._lock:
            lane = self._kept.get(outline.id)
            if lane is None:
                lane = self._kept[outline.id] = self._read(outline)
                while len(self._kept) > LANES_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(outline.id)
            return lane

    def forked(self) -> None:
        """Be usable in a forked child, whose copy of the lock may be held by nobody there."""
        self._lock = threading.RLock()

    @property
    def lanes(self) -> Iterator[Lane]:
        """All lanes in order of start, each read as its turn comes."""
        for outline in self.catalog.lanes:
            lane = self.lane(outline.id)
            if lane is not None:
                yield lane

    def _read(self, outline: Outline) -> Lane:
        lane = self._load(outline)
        if self.catalog.service is not None:
            lane.spans[:] = [one for one in lane.spans if one.resource.get("service.name") == self.catalog.service]
        return lane

    def _load(self, outline: Outline) -> Lane:
        sources: list[tuple[Path, Iterable[Span]]] = [(Path(file), read_spans(file)) for file in outline.own]
        if self._pieces is not None and outline.pieces:
            shared = next((file for file in outline.files if file not in outline.own), outline.files[0])
            sources.append((Path(shared), self._pieces.read(outline.pieces)))
        sieve = Sieve(self._held, open_span if self._opened else None)
        cassette = loading.gathered((file, sieve.pass_on(spans)) for file, spans in sources)
        for lane in (*cassette.lanes, *cassette.sessions.values()):
            if lane.id == outline.id:
                lane.followers = sieve.settle()
                return open_lane(lane) if self._opened else lane
        raise CassetteError(f"lane {outline.id} is gone: it was there a moment ago", file=outline.files[0])


def _is_of(lane: Lane, service: str | None) -> bool:
    return service is None or any(span.resource.get("service.name") == service for span in lane.spans)
