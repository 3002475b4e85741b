"""The names of cassette files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, count
from pathlib import Path
from typing import Final

from timetracer_otel.config import Compression

__all__ = [
    "ENDINGS",
    "LATEST",
    "OLD",
    "lane_path",
    "old_path",
    "safe_session_id",
    "session_file_entry",
    "session_file_id",
    "session_path",
]

LATEST: Final = "latest.jsonl"
"""In the cassette directory: a link to the newest lane's file, whatever that is compressed with."""
ENDINGS: Final[dict[Compression, str]] = {"none": ".jsonl", "gzip": ".jsonl.gz", "zstd": ".jsonl.zst"}

OLD: Final = ".old"
"""How the name of a cassette ends in whose place there is a newer one; readers of directories leave it out."""

_SESSION: Final = re.compile(r"SESSION__.+__(?P<id>[^_].*?)\.jsonl(\.gz|\.zst)?")
_STARTED: Final = re.compile(r"SESSION__.+__for-(?P<entry>[^_]+)__[^_][^_]*")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+|\.\.+|__+")
_LONGEST_ROUTE: Final = 80
_LONGEST_WORD: Final = 40
_HOUR_NS: Final = 3_600_000_000_000
_LAST_HOUR: Final = int(datetime(9999, 12, 31, 23, tzinfo=UTC).timestamp()) // 3600


def lane_path(  # noqa: PLR0913, PLR0917 - the parts of one name, and callers have just these
    directory: Path, start_ns: int, method: str, route: str, trace_id: str, span_id: str, compression: Compression
) -> Path:
    """Give the file of a lane: ``<day>/<hour>/<METHOD>__<route>__<trace>-<span>.jsonl`` in UTC.

    Args:
        directory: the cassette directory.
        start_ns: start of the entry, nanoseconds since the epoch.
        method: HTTP method, or another word for the kind of entry.
        route: route or target; cut to safe characters and 80 of them.
        trace_id: hexadecimal; the last 16 digits are used.
        span_id: the entry span's, hexadecimal.
        compression: none, gzip or zstd.
    """
    ids = f"{_safe(trace_id[-16:], 16)}-{_safe(span_id, 16)}"
    return directory / _hour(start_ns // _HOUR_NS) / f"{_beginning(method, route)}{ids}{ENDINGS[compression]}"


@lru_cache(maxsize=1024)
def _beginning(method: str, route: str) -> str:
    return f"{_safe(method, _LONGEST_WORD).upper()}__{_safe(route, _LONGEST_ROUTE)}__"


def session_path(  # noqa: PLR0913, PLR0917 - the parts of one name, and callers have just these
    directory: Path,
    start_ns: int,
    program: str,
    session_id: str,
    compression: Compression = "none",
    place: str = "",
) -> Path:
    """Give the file of a process's session: ``<day>/<hour>/SESSION__<program>__<id>.jsonl`` in UTC.

    That of a process which an entry started has ``for-<lane>`` before the id, so that it is found from its lane.

    Args:
        directory: the cassette directory.
        start_ns: start of the process, nanoseconds since the epoch.
        program: what runs, such as ``app.py``.
        session_id: the session's id.
        compression: none, gzip or zstd.
        place: which child of its parent the process is, see :mod:`timetracer_otel.seams.places`.
    """
    entry = place.partition("/")[0]
    owner = f"__for-{safe_session_id(entry)}" if entry else ""
    name = f"SESSION__{_safe(program, _LONGEST_WORD)}{owner}__{safe_session_id(session_id)}"
    return directory / _hour(start_ns // _HOUR_NS) / (name + ENDINGS[compression])


def old_path(path: Path) -> Path:
    """Give the name under which a cassette is kept when another takes its place; one that is not taken yet.

    Args:
        path: the cassette.
    """
    numbers: Iterator[str] = chain([""], (f".{number}" for number in count(2)))
    return next(name for number in numbers if not (name := path.with_name(f"{path.name}{number}{OLD}")).exists())


def session_file_id(name: str) -> str | None:
    """Give the session's id that a file's name tells; None when it is not the file of a session."""
    match = _SESSION.fullmatch(name)
    return None if match is None else match["id"]


def session_file_entry(name: str) -> str | None:
    """Give the id of the lane that started the process of a session's file; None when the name tells none.

    Args:
        name: of any file.
    """
    match = _STARTED.fullmatch(name)
    return None if match is None else match["entry"]


def safe_session_id(session_id: str) -> str:
    """Give a session's id as it stands in the name of its file."""
    return _safe(session_id, _LONGEST_WORD)


def _safe(text: str, longest: int) -> str:
    """Cut to characters that every filesystem and shell takes, without the ``__`` that separates."""
    if text.isascii() and text.isalnum():  # an id
        return text[:longest]
    return _UNSAFE.sub("-", text[: 4 * longest])[:longest].strip("-._") or "root"


@lru_cache(maxsize=64)
def _hour(hours: int) -> str:
    seconds = min(max(hours, 0), _LAST_HOUR) * 3600
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d/%H")
