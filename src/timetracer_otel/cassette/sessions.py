"""Where the sessions of a lane are: that of its process, and those of the processes that its code started.

Their files stand in the lane's folder, or in that of another hour or day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Final

from timetracer_otel import spans as names
from timetracer_otel.cassette.model import Span
from timetracer_otel.cassette.naming import safe_session_id, session_file_entry, session_file_id

__all__ = ["SessionSearch"]

_HOUR: Final = re.compile(r"[0-9]{2}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class SessionSearch:
    """Which sessions the spans seen so far name, and the files of those that are not among them.

    A folder is listed once, however many lanes ask.
    """

    def __init__(self) -> None:
        self._present: set[str] = set()
        self._wanted: dict[str, Path] = {}
        self._entries: dict[str, Path] = {}
        self._listed: dict[tuple[Path, str], _Folder] = {}

    def saw(self, span: Span, file: Path) -> None:
        """Take note of a span that was read.

        Args:
            span: the span.
            file: where it was: the search for its session begins beside it.
        """
        session_id = span.session_id
        if session_id is not None:
            if span.lane_id == session_id:
                self._present.add(session_id)
            elif session_id not in self._wanted:
                self._wanted[session_id] = file
            if span.lane_id != session_id:
                self._entries.setdefault(span.lane_id, file)
        parent = span.resource.get(names.SESSION_PARENT_ID)
        if isinstance(parent, str) and parent not in self._wanted:
            self._wanted[parent] = file

    def files(self) -> list[Path]:
        """Give the files of the sessions that are wanted and were not seen; each session is looked for once.

        To be called again when these have been read, since sessions name their parents, until it gives none.
        """
        found = [
            *self._look_for(self._wanted, attrgetter("by_id")),
            *self._look_for(self._entries, attrgetter("by_entry")),
        ]
        return list(dict.fromkeys(found))

    def _look_for(self, wanted: dict[str, Path], index: Callable[[_Folder], dict[str, list[Path]]]) -> Iterator[Path]:
        """The files of each that is wanted, in the nearest folders that have any."""
        for ident, near in wanted.items():
            if ident not in self._present:
                self._present.add(ident)
                places = map(self._folder, _places(near.absolute()))
                yield from next(filter(None, (index(folder).get(safe_session_id(ident)) for folder in places)), [])

    def _folder(self, place: tuple[Path, str]) -> _Folder:
        if place not in self._listed:
            self._listed[place] = _Folder(*place)
        return self._listed[place]


class _Folder:
    """The sessions' files of a folder, by the session's id and by the lane that started its process."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self.by_id: dict[str, list[Path]] = {}
        self.by_entry: dict[str, list[Path]] = {}
        for path in sorted(folder.glob(pattern)):
            if (session_id := session_file_id(path.name)) is not None:
                self.by_id.setdefault(session_id, []).append(path)
            if (entry := session_file_entry(path.name)) is not None:
                self.by_entry.setdefault(entry, []).append(path)


def _places(file: Path) -> Iterator[tuple[Path, str]]:
    """Folders and patterns to look in: the file's own, its day, then the whole cassette directory."""
    hour = file.parent
    yield hour, "SESSION__*"
    if _HOUR.fullmatch(hour.name) and _DAY.fullmatch(hour.parent.name):
        yield hour.parent, "*/SESSION__*"
        yield hour.parent.parent, "*/*/SESSION__*"
    else:  # a bundle, or a copy of the latest lane, which stands above the days
        yield hour, "????-??-??/*/SESSION__*"
