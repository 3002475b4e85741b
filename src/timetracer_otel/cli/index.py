"""What ``timetracer list`` knows already of the files of a directory, kept in a file beside them.

It is no part of the recording: a file that is missing, damaged, of another version, or that does not know a cassette
as it is now costs time, and nothing else. A plain file, so that no integration of ours ever records that it was read.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from timetracer_otel.cassette import storage
from timetracer_otel.errors import CassetteError

__all__ = ["NAME", "Index", "Row", "Stamp"]

NAME: Final = ".timetracer-index"
"""Hidden, so that no directory takes it for a cassette."""
_FORMAT: Final = 1
_WORTH: Final = 100
"""Files or rows that must have changed before the index is written again: reading them costs less than writing it."""
_AS_MUCH: Final = 50_000
"""Bytes of a file that take as long to read as one more file."""


class Row(NamedTuple):
    """One lane or session of a file; rows sort as they are listed, newest first.

    Attributes:
        key: its start, negative: nanoseconds before 1970.
        lane_id: its id.
        data: its summary as JSON, read when it is wanted.
        file: where it is.
    """

    key: int
    lane_id: str
    data: bytes
    file: str


Stamp: TypeAlias = tuple[int, int, int]
"""Size, time of change, inode: who writes to a file, or puts another in its place, changes it."""


@dataclass(slots=True)
class Index:
    """Files by their names, relative to the directory.

    Attributes:
        folder: the directory.
        stamps: each file that is known, as it is known.
        rows: what they hold, newest first.
        changes: how many files and rows were read since, or are gone.
    """

    folder: Path
    stamps: dict[str, Stamp] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    changes: int = 0

    @classmethod
    def read(cls, folder: Path) -> Index:
        """Read the index of a directory; an empty one when there is none that can be used.

        Args:
            folder: the directory.
        """
        try:
            with (folder / NAME).open("rb") as file:
                head, columns, data = file.readline()[:-1], file.readline()[:-1], file.read()
            if orjson.loads(head) != _head(columns, data):
                return cls(folder)
            return _of_columns(folder, orjson.loads(columns), data)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return cls(folder)

    def forget(self, names: Collection[str]) -> None:
        """Forget files that are gone, or are others by now.

        Args:
            names: of the files.
        """
        if names:
            for name in names:
                self.stamps.pop(name, None)
            self.rows = [row for row in self.rows if row.file not in names]
            self.changes += len(names)

    def take(self, name: str, stamp: Stamp, rows: Sequence[Row]) -> None:
        """Take what was read of a file.

        Args:
            name: the file's, relative to the directory.
            stamp: of the file as it was read.
            rows: what it holds; none when it is no cassette.
        """
        self.stamps[name] = stamp
        self.rows += rows
        self.changes += max(len(rows), 1, stamp[0] // _AS_MUCH)

    def write(self) -> None:
        """Write it, where it has changed by much; a directory that cannot be written stays without."""
        if self.changes < _WORTH:
            return
        self.rows.sort()
        numbers = {name: number for number, name in enumerate(self.stamps)}
        sizes, times, inodes = zip(*self.stamps.values(), strict=True) if self.stamps else ((), (), ())
        with suppress(CassetteError, TypeError):  # TypeError: a name that is no text
            columns = orjson.dumps(
                {
                    "names": list(numbers),
                    "stamps": [sizes, times, inodes],
                    "keys": [row.key for row in self.rows],
                    "ids": [row.lane_id for row in self.rows],
                    "lengths": [len(row.data) for row in self.rows],
                    "files": [numbers[row.file] for row in self.rows],
                }
            )
            data = b"".join([row.data for row in self.rows])
            storage.write_whole(self.folder / NAME, b"\n".join((orjson.dumps(_head(columns, data)), columns, data)))


def _head(columns: bytes, data: bytes) -> dict[str, Any]:
    """Tell the format, and the content by a checksum."""
    version = metadata.version("timetracer-otel")
    return {"format": _FORMAT, "version": version, "check": zlib.crc32(data, zlib.crc32(columns))}


def _of_columns(folder: Path, columns: dict[str, list[Any]], data: bytes) -> Index:
    names = columns["names"]
    ends = list(accumulate(columns["lengths"], initial=0))
    pieces = map(data.__getitem__, map(slice, ends, ends[1:]))
    files = map(names.__getitem__, columns["files"])
    rows = list(map(Row._make, zip(columns["keys"], columns["ids"], pieces, files, strict=True)))
    return Index(folder, dict(zip(names, zip(*columns["stamps"], strict=True), strict=True)), rows)
