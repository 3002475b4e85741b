"""Many lanes in little memory: an outline of each is kept, the lane itself is read when it is wanted."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Final

import orjson

from timetracer_otel import spans as names
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.model import Lane
from timetracer_otel.errors import CassetteError

__all__ = ["Catalog", "Outline", "Shelf", "catalog", "read_catalog"]

LANES_KEPT: Final = 256
"""How many lanes are held at a time of those that have a file of their own."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a lane without its payloads.

    Attributes:
        id: the lane's.
        files: where its spans are.
        start: nanoseconds since the epoch.
        trace_id: of its entry.
        session_id: of the process that recorded it.
        service: ``service.name`` of that process.
        method: of the request; empty when the lane has no HTTP entry.
        target: path and query.
        route: the framework's pattern of the path, else the path.
        cookies: what the request's Cookie header said.
        has_body: whether the request had a body.
        calls: how many outbound calls there are.
    """

    id: str
    files: tuple[str, ...]
    start: int
    trace_id: str = ""
    session_id: str | None = None
    service: str = ""
    method: str = ""
    target: str = ""
    route: str = ""
    cookies: str = ""
    has_body: bool = False
    calls: int = 0

    @property
    def name(self) -> str:
        """Method and target, for people."""
        return f"{self.method} {self.target}"

    @property
    def operation(self) -> str:
        """Method and route, the same for all requests of one kind."""
        return f"{self.method} {self.route}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything that some files hold, in outline.

    Attributes:
        lanes: in order of start.
        session_files: files that hold a session, and one lane of each session, beside which the session is looked for.
        service: only spans of this service count; None for all.
    """

    lanes: tuple[Outline, ...]
    session_files: tuple[str, ...] = ()
    service: str | None = None

    def write(self, file: Path) -> None:
        """Write it for :func:`read_catalog`.

        Args:
            file: a new file.
        """
        file.write_bytes(orjson.dumps(asdict(self)))

    def only(self, service: str) -> Catalog:
        """The part of one service.

        Args:
            service: its ``service.name``.
        """
        lanes = tuple(lane for lane in self.lanes if lane.service == service)
        return replace(self, lanes=lanes, service=service)


def read_catalog(file: Path) -> Catalog:
    """Read what :meth:`Catalog.write` wrote.

    Args:
        file: its file.
    """
    document: dict[str, Any] = orjson.loads(file.read_bytes())
    lanes = tuple(Outline(**{**lane, "files": tuple(lane["files"])}) for lane in document["lanes"])
    return Catalog(lanes, tuple(document["session_files"]), document["service"])


@dataclass(slots=True)
class _Found:
    """A catalog while files are read."""

    lanes: dict[str, Outline] = field(default_factory=dict)
    session_files: dict[str, None] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)

    def take(self, file: str) -> None:
        cassette = loading.outline(file)
        if cassette.sessions:
            self.session_files[file] = None
        for lane in cassette.lanes:
            new = _outline(lane, file)
            known = self.lanes.get(new.id)
            self.lanes[new.id] = new if known is None else _joined(known, new)
            if lane.session_id is not None and lane.session_id not in self.sessions:
                self.sessions.add(lane.session_id)
                self.session_files[file] = None


def catalog(files: Iterable[str | PathLike[str]]) -> Catalog:
    """Look through files, one at a time and without payloads.

    Args:
        files: the cassettes.

    Raises:
        CassetteError: a file is missing, damaged, foreign, or without any span.
    """
    found = _Found()
    for file in files:
        found.take(str(Path(file).absolute()))
    lanes = sorted(found.lanes.values(), key=lambda lane: lane.start)
    return Catalog(tuple(lanes), tuple(found.session_files))


def _outline(lane: Lane, file: str) -> Outline:
    entry = lane.entry
    first = entry or lane.spans[0]
    attributes = first.attributes
    target = first.text(names.HTTP_TARGET) or ""
    headers = names.decode_headers(attributes, names.HTTP_REQUEST_HEADERS) if entry is not None else []
    return Outline(
        id=lane.id,
        files=(file,),
        start=first.start,
        trace_id=first.trace_id if entry is not None else "",
        session_id=lane.session_id,
        service=str(first.resource.get("service.name", "")),
        method=first.text(names.HTTP_METHOD) or "" if entry is not None else "",
        target=target,
        route=first.text("http.route") or target.partition("?")[0],
        cookies="; ".join(value for name, value in headers if name.lower() == "cookie"),
        has_body=bool(attributes.get(names.HTTP_REQUEST_BODY + ".size")),
        calls=len(lane.calls),
    )


def _joined(known: Outline, new: Outline) -> Outline:
    """What two files say of one lane; the one that has its entry knows better."""
    main, other = (known, new) if known.method or not new.method else (new, known)
    return replace(main, files=known.files + new.files, calls=main.calls + other.calls)


class Shelf:
    """The lanes and sessions of a catalog. Sessions are held, lanes are read when they are wanted.

    Args:
        catalog: from :func:`catalog`.

    Raises:
        CassetteError: a session's file cannot be read.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        loaded = loading.load(catalog.session_files)
        of_service = catalog.service
        served = Counter(lane.session_id for lane in catalog.lanes)
        in_order = sorted(loaded.sessions.values(), key=lambda lane: (-served[lane.id], lane.spans[0].start))
        self.sessions = {lane.id: lane for lane in in_order if _is_of(lane, of_service)}
        self.files = [Path(file) for file in dict.fromkeys(file for lane in catalog.lanes for file in lane.files)]
        self._outlines = {lane.id: lane for lane in catalog.lanes}
        self._by_trace = {lane.trace_id: lane for lane in reversed(catalog.lanes) if lane.trace_id}
        self._shared = Counter(file for lane in catalog.lanes for file in lane.files)
        self._kept: OrderedDict[str, Lane] = OrderedDict()
        self._pinned: dict[str, Lane] = {}
        self._lock = threading.RLock()

    @classmethod
    def of(cls, files: Iterable[str | PathLike[str]]) -> Shelf:
        """Look through files, and hold their sessions.

        Args:
            files: the cassettes.

        Raises:
            CassetteError: as :func:`catalog`.
        """
        return cls(catalog(files))

    def outline(self, lane_id: str) -> Outline | None:
        """The outline of the lane of that id, or whose entry belongs to that trace."""
        return self._outlines.get(lane_id) or self._by_trace.get(lane_id)

    def lane(self, lane_id: str) -> Lane | None:
        """The lane of that id, or whose entry belongs to that trace; None when there is none.

        Raises:
            CassetteError: its file cannot be read any more.
        """
        outline = self.outline(lane_id)
        if outline is None:
            return None
        with self._lock:
            lane = self._pinned.get(outline.id) or self._kept.get(outline.id) or self._read(outline)
            if outline.id in self._kept:
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
        """Read a lane, and keep it: for good what shares a file with others, which would be read again and again."""
        shares = any(self._shared[file] > 1 for file in outline.files)
        for lane in loading.load_alone(outline.files).lanes:
            if self.catalog.service is not None:
                lane.spans[:] = [one for one in lane.spans if one.resource.get("service.name") == self.catalog.service]
            if shares:
                self._pinned.setdefault(lane.id, lane)
            elif lane.id == outline.id:
                self._kept[lane.id] = lane
        while len(self._kept) > LANES_KEPT:
            self._kept.popitem(last=False)
        found = self._pinned.get(outline.id) or self._kept.get(outline.id)
        if found is None:
            raise CassetteError(f"lane {outline.id} is gone: it was there a moment ago", file=outline.files[0])
        return found


def _is_of(lane: Lane, service: str | None) -> bool:
    return service is None or any(span.resource.get("service.name") == service for span in lane.spans)
