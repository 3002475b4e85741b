"""What ``timetracer list`` knows already of the files of a directory, kept in a file beside them.

It is no part of the recording: a file that is missing, damaged, of another version, or that does not know a cassette
as it is now costs time, and nothing else. A plain file, so that no integration of ours ever records that it was read.
It holds a column for each part of a row, as :class:`Rows` do.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeAlias

import orjson

from timetracer_otel import __version__
from timetracer_otel.cassette import storage
from timetracer_otel.cli.rows import Rows
from timetracer_otel.cli.summary import Summary
from timetracer_otel.errors import CassetteError

__all__ = ["NAME", "Index", "Stamp"]

NAME: Final = ".timetracer-index"
"""Hidden, so that no directory takes it for a cassette."""
_FORMAT: Final = 3
_WORTH: Final = 100
"""Files or rows that must have changed before the index is written again: reading them costs less than writing it."""
_AS_MUCH: Final = 50_000
"""Bytes of a file that take as long to read as one more file."""
_FEW: Final = 4
"""Rows for each value of a column that are worth numbers."""
_FILE: Final = Summary._fields.index("file")
_COLUMNS: Final = Summary._fields[: Summary._fields.index("call_ids")]
"""What is kept of a row; its file by its number."""

Stamp: TypeAlias = tuple[int, int, int]
"""Size, time of change, inode: who writes to a file, or puts another in its place, changes it."""


@dataclass(slots=True)
class Index:
    """Files by their paths.

    Attributes:
        folder: the directory.
        stamps: each file that is known, as it is known.
        rows: what they hold, newest first.
        changes: how many files and rows were read since, or are gone.
    """

    folder: Path
    stamps: dict[str, Stamp] = field(default_factory=dict)
    rows: Rows = field(default_factory=Rows.of)
    changes: int = 0
    _taken: list[Summary] = field(default_factory=list)

    @classmethod
    def read(cls, folder: Path) -> Index:
        """Read the index of a directory; an empty one when there is none that can be used.

        Args:
            folder: the directory.
        """
        try:
            with (folder / NAME).open("rb") as file:
                head, columns = file.readline()[:-1], file.read()
            if orjson.loads(head) != _head(columns):
                return cls(folder)
            return _of_columns(folder, orjson.loads(columns))
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
            self.rows = Rows.of(row for row in self.rows if row.file not in names)
            self.changes += len(names)

    def take(self, name: str, stamp: Stamp, rows: Sequence[Summary]) -> None:
        """Take what was read of a file; :meth:`settle` puts it in its place.

        Args:
            name: the file's path.
            stamp: of the file as it was read.
            rows: what it holds; none when it is no cassette.
        """
        self.stamps[name] = stamp
        self._taken += rows
        self.changes += max(len(rows), 1, stamp[0] // _AS_MUCH)

    def settle(self) -> None:
        """Sort, and write it where it has changed by much; a directory that cannot be written stays without."""
        self.rows, self._taken = Rows.of(chain(self.rows, self._taken)), []
        if self.changes >= _WORTH:
            with suppress(CassetteError, TypeError):  # TypeError: a name that is no text
                columns = orjson.dumps(self._columns())
                storage.write_whole(self.folder / NAME, b"\n".join((orjson.dumps(_head(columns)), columns)))

    def _columns(self) -> dict[str, Any]:
        base = len(_base(self.folder))
        numbers = {name: number for number, name in enumerate(self.stamps)}
        columns = dict(zip(_COLUMNS, self.rows.columns, strict=False))
        columns["file"] = [numbers[name] for name in columns["file"]]
        lane_ids = columns.pop("lane_id")
        stamps = list(self.stamps.values())
        return {
            "names": [name[base:] for name in numbers],
            "stamps": [[stamp[part] for stamp in stamps] for part in range(3)],
            "lane_ids": lane_ids,
            "rows": {name: _packed(column) for name, column in columns.items()},
        }


def _head(columns: bytes) -> dict[str, Any]:
    """Tell the format, and the content by a checksum."""
    return {"format": _FORMAT, "version": __version__, "check": zlib.crc32(columns)}


def _base(folder: Path) -> str:
    """What the paths of all files of a directory begin with."""
    return os.path.join(str(folder), "")  # noqa: PTH118 - a Path ends in no slash


def _packed(column: Sequence[Any]) -> dict[str, Sequence[Any]]:
    """A column as it is; where few values repeat, these and the number of each row's; one alone stands for all."""
    values = list(dict.fromkeys(column))
    if len(values) == 1:
        return {"all": values}
    if len(values) * _FEW > len(column):
        return {"values": column}
    numbers = {value: number for number, value in enumerate(values)}
    return {"values": values, "numbers": [numbers[value] for value in column]}


def _unpacked(column: dict[str, list[Any]], count: int) -> list[Any]:
    if "all" in column:
        return column["all"] * count
    values, numbers = column["values"], column.get("numbers")
    return values if numbers is None else list(map(values.__getitem__, numbers))


def _of_columns(folder: Path, known: dict[str, Any]) -> Index:
    base = _base(folder)
    names = [base + name for name in known["names"]]
    lane_ids, rows = known["lane_ids"], known["rows"]
    columns = [lane_ids if name == "lane_id" else _unpacked(rows[name], len(lane_ids)) for name in _COLUMNS]
    columns[_FILE] = list(map(names.__getitem__, columns[_FILE]))
    no_calls = [frozenset[int]()] * len(lane_ids)
    stamps = zip(*known["stamps"], strict=True)
    return Index(folder, dict(zip(names, stamps, strict=True)), Rows([*columns, no_calls]))
