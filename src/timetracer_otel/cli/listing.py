"""``timetracer list``: which lanes and sessions were recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.text import Text

from timetracer_otel.cassette import finding, loading
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.shelf import Shelf
from timetracer_otel.cassette.urls import is_url
from timetracer_otel.cli.output import console, one_line
from timetracer_otel.cli.style import milliseconds, status_style
from timetracer_otel.cli.summary import Summary, summarize
from timetracer_otel.errors import CassetteError

__all__ = ["Listing", "collect", "lanes", "print_table"]

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
    """The contents of a directory.

    Attributes:
        summaries: lanes and sessions, newest first.
        errors: of files that could not be read.
        files: how many files there are.
    """

    def __init__(self) -> None:
        self.summaries: list[Summary] = []
        self.errors: list[CassetteError] = []
        self.files = 0


def collect(place: str) -> Listing:
    """Read all cassettes of a directory, a file at a time and without payloads.

    Args:
        place: the directory, one file, or a URL.

    Raises:
        CassetteError: there is nothing of that name.
    """
    listing = Listing()
    by_id: dict[str, Summary] = {}
    for path in _paths(place, listing):
        listing.files += 1
        try:
            for lane in _lanes(path):
                summary = summarize(lane)
                known = by_id.get(summary.lane_id)
                by_id[summary.lane_id] = summary if known is None else known.merged(summary)
        except CassetteError as error:
            listing.errors.append(error.with_traceback(None))
    listing.summaries = sorted(by_id.values(), key=lambda summary: (-summary.start, summary.lane_id))
    return listing


def lanes(place: str, errors: list[CassetteError]) -> Iterator[Lane]:
    """Give the lanes and sessions of a directory, a file at a time and without payloads.

    Args:
        place: as for :func:`collect`.
        errors: gets those of files that cannot be read.

    Raises:
        CassetteError: there is nothing of that name.
    """
    found = Listing()
    for path in _paths(place, found):
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
    own = Shelf.of([path])
    yield from own.lanes
    yield from own.sessions.values()


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


def print_table(summaries: list[Summary]) -> None:
    """Print a table for people. On a terminal too narrow for it, file and error have a line of their own.

    Args:
        summaries: a row each.
    """
    out = console()
    headers = [Text(name, "bold") for name in _HEADERS]
    rows = [headers, *map(_cells, summaries)]
    widths = [max(row[column].cell_len for row in rows) for column in range(len(headers))]
    split = out.width < sum(widths) + len(_GAP) * (len(widths) - 1)
    if split:
        rest = sum(widths[:_TARGET]) + sum(widths[_TARGET + 1 : _ERROR]) + len(_GAP) * (_ERROR - 1)
        widths[_TARGET] = min(widths[_TARGET], max(out.width - rest, _SHORTEST_TARGET))
    for row in rows:
        line = _line(row[:_ERROR] if split else row, widths)
        if split and row is not headers:
            line.append("\n    ").append_text(Text("  ").join(filter(None, (row[_FILE], row[_ERROR]))))
        out.print(line, soft_wrap=True)


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    for cell, width, column in zip(cells, widths, range(len(cells)), strict=False):
        cell.truncate(width, overflow="ellipsis")
        if column in _RIGHT:
            cell.pad_left(width - cell.cell_len)
        elif column < len(cells) - 1:
            cell.pad_right(width - cell.cell_len)
    return Text(_GAP).join(cells)


def _cells(summary: Summary) -> list[Text]:
    start = summary.as_json()["start"][:-4].replace("T", " ")
    error = summary.error or (f"incomplete {summary.incomplete}" if summary.incomplete else "")
    error = error if len(error) <= _LONGEST_ERROR else error[: _LONGEST_ERROR - 1] + "…"
    return [
        Text(start),
        Text(one_line(summary.method or ("session" if summary.kind == "session" else "-")), "bold"),
        Text(one_line(summary.target)),
        Text("-" if summary.status is None else str(summary.status), status_style(summary.kind, summary.status)),
        Text(milliseconds(summary.duration_ms)),
        Text(str(len(summary.call_ids))),
        Text(one_line(error), "red" if summary.error else "yellow"),
        Text(one_line(summary.file), "dim"),
    ]
