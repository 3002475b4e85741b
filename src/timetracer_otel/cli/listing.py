"""``timetracer list``: which lanes and sessions were recorded."""

# ruff: noqa: PTH110, PTH112 - pathlib raises on a name too long; os.path answers no

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final

from timetracer_otel.cassette import finding, loading, scratch
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.skeletons import Skeletons
from timetracer_otel.cassette.urls import is_url
from timetracer_otel.cli.index import Index, Stamp
from timetracer_otel.cli.progress import with_progress
from timetracer_otel.cli.rows import Rows
from timetracer_otel.cli.summary import Summary, summarize
from timetracer_otel.errors import CassetteError

__all__ = ["Listing", "changes", "collect", "lanes", "read_file"]

_SMALL: Final = 16 * 1024 * 1024
"""Bytes of a file whose lanes are all held at a time, without payloads."""


class Listing:
    """The contents of a directory, a file or a URL.

    Attributes:
        rows: lanes and sessions, newest first.
        errors: of files that could not be read.
    """

    def __init__(self) -> None:
        self.rows = Rows.of()
        self.errors: list[CassetteError] = []

    def summaries(self, *, oldest_first: bool = False) -> Iterator[Summary]:
        """All, newest first unless asked otherwise."""
        return iter(sorted(self.rows, key=lambda row: (row.start, row.lane_id)) if oldest_first else self.rows)

    def merge(self) -> None:
        """Make one row of what is in several files: these are read again, for what they have in common."""
        if len(set(self.rows.lane_ids)) == len(self.rows):
            return
        several = {lane_id for lane_id, count in Counter(self.rows.lane_ids).items() if count > 1}
        merged: dict[str, Summary] = {}
        for file in sorted({row.file for row in self.rows if row.lane_id in several}, key=_in_order):
            for lane in _lanes(Path(file)):
                if lane.id in several:
                    summary, known = summarize(lane)._replace(file=file), merged.get(lane.id)
                    merged[lane.id] = summary if known is None else known.merged(summary)
        once = (row for row in self.rows if row.lane_id not in several)
        self.rows = Rows.of(chain(once, merged.values()))


def collect(place: str) -> Listing:
    """Read all cassettes of a directory, a file at a time and without payloads; of those that an index knows, only it.

    Args:
        place: the directory, one file, or a URL.

    Raises:
        CassetteError: there is nothing of that name.
    """
    if not is_url(place) and os.path.isdir(place):
        listing = _collect_folder(Path(place))
    else:
        listing = Listing()
        paths = _paths(place, listing.errors)
        listing.rows = Rows.of(
            row for path in paths for row in read_file(path, scratch.named(str(path)), listing.errors) or ()
        )
    listing.merge()
    return listing


def read_file(path: Path, name: str, errors: list[CassetteError]) -> list[Summary] | None:
    """Read a file.

    Args:
        path: the file.
        name: by which the rows name it.
        errors: gets the error, if there is one.

    Returns:
        Its rows; None when it cannot be read.
    """
    try:
        return [summarize(lane)._replace(file=name) for lane in _lanes(path)]
    except CassetteError as error:
        errors.append(error.with_traceback(None))
        return None


def _collect_folder(folder: Path) -> Listing:
    index, listing = Index.read(folder), Listing()
    new, old = changes(str(folder), index.stamps, listing.errors)
    if new or old:
        index.forget(old)
        try:
            for name in with_progress(sorted(new), len(new), "reading"):
                path = Path(name)
                rows = read_file(path, name, listing.errors) if finding.is_cassette(path) else ()
                if rows is not None:
                    index.take(name, new[name], rows)
        finally:  # also after Ctrl-C: what was read need not be read again
            index.settle()
    listing.rows = index.rows
    return listing


def changes(
    folder: str, known: Mapping[str, Stamp], errors: list[CassetteError]
) -> tuple[dict[str, Stamp], Collection[str]]:
    """Look what has changed in a directory and all below it.

    Args:
        folder: its path.
        known: files by their paths, as they were.
        errors: gets those of folders that cannot be read.

    Returns:
        The files that are new or others by now, which may be cassettes; and the known ones that are so no more.
    """
    new: dict[str, Stamp] = {}
    old = dict(known)
    folders = [folder]
    while folders:
        folder = folders.pop()
        try:
            finding.require_entry(folder)
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue  # removed meanwhile
        except OSError as error:
            errors.append(finding.unreadable(error, folder))
            continue
        try:
            folders += _compare(folder, handle, old, new)
        finally:
            os.close(handle)
    return new, old


def _compare(folder: str, handle: int, old: dict[str, Stamp], new: dict[str, Stamp]) -> list[str]:
    """Look at the files of one directory; give the folders in it.

    Args:
        folder: its path.
        handle: of it, open: that saves the system walking the whole path of each file.
        old: loses those that are as they were.
        new: gets those that are not.
    """
    folders = []
    base = os.path.join(folder, "")  # noqa: PTH118 - a Path ends in no slash
    for name in os.listdir(handle):
        try:
            status = os.stat(name, dir_fd=handle)
        except OSError:
            continue  # removed meanwhile, or a link that leads nowhere
        path, stamp = base + name, (status.st_size, status.st_mtime_ns, status.st_ino)
        if old.get(path) == stamp:
            del old[path]
        elif stat.S_ISDIR(status.st_mode) and not os.path.islink(path):  # noqa: PTH114 - once a folder
            folders.append(path)
        elif finding.may_be_cassette(name):
            new[path] = stamp
    return folders


def _in_order(file: str) -> tuple[list[str], str]:
    """Files above those of folders, folders and files by name."""
    folder, _, name = file.rpartition("/")
    return folder.split("/"), name


def lanes(place: str, errors: list[CassetteError]) -> Iterator[Lane]:
    """Give the lanes and sessions of a directory, a file at a time and without payloads.

    Args:
        place: as for :func:`collect`.
        errors: gets those of files that cannot be read.

    Raises:
        CassetteError: there is nothing of that name.
    """
    paths = list(_paths(place, errors))
    for path in with_progress(paths, len(paths), "reading"):
        try:
            yield from _lanes(path)
        except CassetteError as error:
            errors.append(error.with_traceback(None))


def _lanes(path: Path) -> Iterator[Lane]:
    """The lanes and sessions of a file; of a large one each is read alone."""
    if path.stat().st_size <= _SMALL:
        cassette = loading.outline(path)
        yield from cassette.lanes
        yield from (session for session in cassette.sessions.values() if session.is_session)
        return
    found = Skeletons([path])
    for one in found.lanes:
        yield Lane(one.id, one.session_id, [loading.without_payloads(found.span(bone, 0)) for bone in one.bones], path)


def _paths(place: str, errors: list[CassetteError]) -> Iterator[Path]:
    folder = Path(place)
    if is_url(place):
        yield from finding.find([place], folder)
        return
    if os.path.exists(place) and not os.path.isdir(place):  # opening refuses what is no file
        yield folder
        return
    if not os.path.isdir(place):
        message = "there is no such directory: record something, name another one, or set TIMETRACER_DIR"
        raise CassetteError(message, file=folder)
    yield from finding.below(folder, left_out=errors)
