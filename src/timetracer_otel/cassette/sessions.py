"""Where the session of a lane is: its file stands in the lane's folder, or in that of another hour or day."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from timetracer_otel import spans as names
from timetracer_otel.cassette.model import Span
from timetracer_otel.cassette.naming import safe_session_id, session_file_id

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
        self._listed: dict[tuple[Path, str], dict[str, list[Path]]] = {}

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
        parent = span.resource.get(names.SESSION_PARENT_ID)
        if isinstance(parent, str) and parent not in self._wanted:
            self._wanted[parent] = file

    def files(self) -> list[Path]:
        """Give the files of the sessions that are wanted and were not seen; each session is looked for once.

        To be called again when these have been read, since sessions name their parents, until it gives none.
        """
        found: list[Path] = []
        for session_id, near in self._wanted.items():
            if session_id not in self._present:
                self._present.add(session_id)
                found += self._find(safe_session_id(session_id), near)
        return found

    def _find(self, name: str, near: Path) -> list[Path]:
        """The files of the nearest folders that have any."""
        for folder, pattern in _places(near.absolute()):
            if found := self._list(folder, pattern).get(name):
                return found
        return []

    def _list(self, folder: Path, pattern: str) -> dict[str, list[Path]]:
        listed = self._listed.get((folder, pattern))
        if listed is None:
            listed = self._listed[folder, pattern] = {}
            for path in sorted(folder.glob(pattern)):
                if (session_id := session_file_id(path.name)) is not None:
                    listed.setdefault(session_id, []).append(path)
        return listed


def _places(file: Path) -> Iterator[tuple[Path, str]]:
    """Folders and patterns to look in: the file's own, its day, then the whole cassette directory."""
    hour = file.parent
    yield hour, "SESSION__*"
    if _HOUR.fullmatch(hour.name) and _DAY.fullmatch(hour.parent.name):
        yield hour.parent, "*/SESSION__*"
        yield hour.parent.parent, "*/*/SESSION__*"
    else:  # a bundle, or a copy of the latest lane, which stands above the days
        yield hour, "????-??-??/*/SESSION__*"
