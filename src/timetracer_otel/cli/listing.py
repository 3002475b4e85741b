"""``timetracer list``: which lanes and sessions were recorded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from timetracer_otel.cassette import finding, loading, scratch
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.skeletons import Skeletons
from timetracer_otel.cassette.urls import is_url
from timetracer_otel.cli.index import Index, Row, Stamp
from timetracer_otel.cli.output import console, one_line
from timetracer_otel.cli.progress import with_progress
from timetracer_otel.cli.style import milliseconds, status_style
from timetracer_otel.cli.summary import Summary, iso, summarize
from timetracer_otel.errors import CassetteError

__all__ = ["Listing", "collect", "lanes", "print_table", "read_file", "stamped"]

Cell: TypeAlias = tuple[str, str]
"""A text and its style."""
_BLOCK: Final = 500
"""Rows whose widths are looked at together."""
_SMALL: Final = 16 * 1024 * 1024
"""Bytes of a file whose lanes are all held at a time, without payloads."""
_HEADERS: Final = ("START (UTC)", "METHOD", "TARGET", "STATUS", "DURATION", "CALLS", "ERROR", "FILE")
_TARGET: Final = 2
_RIGHT: Final = frozenset({3, 4, 5})
_ERROR: Final = 6
_FILE: Final = 7
_GAP: Final = "  "
_SHORTEST_TARGET: Final = 16
_LONGEST_ERROR: Final = 80


class Listing:
    """The contents of a directory, a file or a URL.

    Attributes:
        rows: lanes and sessions.
        base: what stands before the names of their files.
        errors: of files that could not be read.
    """

    def __init__(self, base: str = "") -> None:
        self.rows: list[Row] = []
        self.base = base
        self.errors: list[CassetteError] = []

    def summaries(self, *, oldest_first: bool = False) -> Iterator[Summary]:
        """All, newest first unless asked otherwise, each read from its row as its turn comes."""
        self.rows.sort()
        if oldest_first:
            self.rows.sort(key=lambda row: (-row.key, row.lane_id))
        return (Summary.of_row(row, self.base) for row in self.rows)

    def merge(self) -> None:
        """Make one row of what is in several files: these are read again, for what they have in common."""
        if len({row.lane_id for row in self.rows}) == len(self.rows):
            return
        several = {lane_id for lane_id, count in Counter(row.lane_id for row in self.rows).items() if count > 1}
        merged: dict[str, Summary] = {}
        for file in sorted({row.file for row in self.rows if row.lane_id in several}, key=_in_order):
            for lane in _lanes(Path(self.base + file)):
                if lane.id in several:
                    summary, known = replace(summarize(lane), file=file), merged.get(lane.id)
                    merged[lane.id] = summary if known is None else known.merged(summary)
        self.rows = [row for row in self.rows if row.lane_id not in several]
        self.rows += [summary.as_row(summary.file) for summary in merged.values()]


def collect(place: str) -> Listing:
    """Read all cassettes of a directory, a file at a time and without payloads; of those that an index knows, only it.

    Args:
        place: the directory, one file, or a URL.

    Raises:
        CassetteError: there is nothing of that name.
    """
    if not is_url(place) and Path(place).is_dir():
        listing = _collect_folder(Path(place))
    else:
        listing = Listing()
        for path in _paths(place, listing):
            listing.rows += read_file(path, scratch.named(str(path)), listing) or ()
    listing.merge()
    return listing


def read_file(path: Path, name: str, listing: Listing) -> list[Row] | None:
    """Read a file.

    Args:
        path: the file.
        name: by which the rows name it.
        listing: gets the error, if there is one.

    Returns:
        Its rows; None when it cannot be read.
    """
    try:
        return [summarize(lane).as_row(name) for lane in _lanes(path)]
    except CassetteError as error:
        listing.errors.append(error.with_traceback(None))
        return None


def _collect_folder(folder: Path) -> Listing:
    index, listing = Index.read(folder), Listing(os.path.join(str(folder), ""))  # noqa: PTH118 - a Path ends in no slash
    there = dict(stamped(str(folder), len(listing.base), listing.errors))
    if there != index.stamps:
        index.forget({name for name, stamp in index.stamps.items() if there.get(name) != stamp})
        unknown = sorted(name for name in there if name not in index.stamps)
        for name in with_progress(unknown, len(unknown), "reading"):
            path = folder / name
            rows = read_file(path, name, listing) if finding.is_cassette(path) else ()
            if rows is not None:
                index.take(name, there[name], rows)
        index.write()
    listing.rows = index.rows
    return listing


def stamped(folder: str, base: int, errors: list[CassetteError]) -> Iterator[tuple[str, Stamp]]:
    """Give the files of a directory and all below it that may be cassettes.

    Args:
        folder: the directory.
        base: how many characters of their paths are not given.
        errors: gets those of folders that cannot be read.
    """
    below = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif finding.may_be_cassette(entry.name):
                    status = entry.stat()
                    yield entry.path[base:], (status.st_size, status.st_mtime_ns, status.st_ino)
    except FileNotFoundError:
        return  # removed meanwhile
    except OSError as error:
        message = f"cannot be read ({error.strerror}): check its permissions"
        errors.append(CassetteError(message, file=folder))
    for one in below:
        yield from stamped(one, base, errors)


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
    found = Listing()
    paths = list(_paths(place, found))
    for path in with_progress(paths, len(paths), "reading"):
        try:
            yield from _lanes(path)
        except CassetteError as error:
            errors.append(error.with_traceback(None))
    errors += found.errors


def _lanes(path: Path) -> Iterator[Lane]:
    """The lanes and sessions of a file; of a large one each is read alone."""
    if path.stat().st_size <= _SMALL:
        cassette = loading.outline(path)
        yield from cassette.lanes
        yield from cassette.sessions.values()
        return
    found = Skeletons([path])
    for one in found.lanes:
        yield Lane(one.id, one.session_id, [loading.without_payloads(found.span(bone, 0)) for bone in one.bones], path)


def _paths(place: str, listing: Listing) -> Iterator[Path]:
    folder = Path(place)
    if is_url(place):
        yield from finding.find([place], folder)
        return
    if folder.exists() and not folder.is_dir():  # opening refuses what is no file
        yield folder
        return
    if not folder.is_dir():
        message = "there is no such directory: record something, name another one, or set TIMETRACER_DIR"
        raise CassetteError(message, file=folder)
    try:
        yield from finding.below(folder)
    except CassetteError as error:  # a folder that cannot be read; what was found before it is listed
        listing.errors.append(error.with_traceback(None))


def print_table(summaries: Iterable[Summary], *, has_header: bool = True) -> None:
    """Print a table for people. On a terminal too narrow for it, file and error have a line of their own.

    Columns are as wide as the widest cell until then: a table of a hundred thousand lines begins at once.

    Args:
        summaries: a row each.
        has_header: whether the names of the columns stand above.
    """
    out = console()
    widths = list(map(len, _HEADERS))
    rows = iter(summaries)
    header: list[list[Cell]] = [[(name, "bold") for name in _HEADERS]] if has_header else []
    while block := header + [_cells(summary) for summary in islice(rows, _BLOCK)]:
        widths = [max(width, *(_width(row[column][0]) for row in block)) for column, width in enumerate(widths)]
        _print_block(out, block, list(widths), has_header=bool(header))
        header = []


def _print_block(out: Console, rows: Sequence[list[Cell]], widths: list[int], *, has_header: bool) -> None:
    split = out.width < sum(widths) + len(_GAP) * (len(widths) - 1)
    if split:
        rest = sum(widths[:_TARGET]) + sum(widths[_TARGET + 1 : _ERROR]) + len(_GAP) * (_ERROR - 1)
        widths[_TARGET] = min(widths[_TARGET], max(out.width - rest, _SHORTEST_TARGET))
    for number, row in enumerate(rows):
        cells = _padded(row[:_ERROR] if split else row, widths)
        if split and not (has_header and number == 0):
            more = [one for one in (row[_FILE], row[_ERROR]) if one[0]]
            cells += [("\n    ", ""), *(part for one in more for part in (one, (_GAP, "")))][:-1]
        if out.color_system is None:
            out.file.write("".join(text for text, _ in cells) + "\n")
        else:
            out.print(Text.assemble(*cells), soft_wrap=True)


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    return iso(seconds * 10**9)[:19].replace("T", " ")


def _width(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _padded(row: Sequence[Cell], widths: Sequence[int]) -> list[Cell]:
    cells: list[Cell] = []
    for column, (text, style) in enumerate(row):
        width = widths[column]
        missing = width - _width(text)
        if missing < 0:
            text, missing = set_cell_size(text, width - 1) + "…", 0  # noqa: PLW2901 - the same cell, shortened
        if column in _RIGHT:
            text = " " * missing + text  # noqa: PLW2901 - the same cell, in its column
        elif column < len(widths) - 1:
            text += " " * missing  # noqa: PLW2901 - as above
        cells += [(_GAP, ""), (text, style)] if column else [(text, style)]
    return cells


def _cells(summary: Summary) -> list[Cell]:
    error = summary.error or (f"incomplete {summary.incomplete}" if summary.incomplete else "")
    error = error if len(error) <= _LONGEST_ERROR else error[: _LONGEST_ERROR - 1] + "…"
    return [
        (_second(summary.start // 10**9) + f".{summary.start // 10**6 % 1000:03}", ""),
        (one_line(summary.method or ("session" if summary.kind == "session" else "-")), "bold"),
        (one_line(summary.target), ""),
        ("-" if summary.status is None else str(summary.status), status_style(summary.kind, summary.status)),
        (milliseconds(summary.duration_ms), ""),
        (str(summary.calls), ""),
        (one_line(error), "red" if summary.error else "yellow"),
        (one_line(summary.file), "dim"),
    ]
