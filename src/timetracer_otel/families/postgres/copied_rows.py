"""The data of a COPY: what in it is brought to, or taken from, columns whose names speak of a secret."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from timetracer_otel import redaction
from timetracer_otel.families.dbapi import secret_columns

__all__ = ["Copied", "of"]

_NAME: Final = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_COPY: Final = re.compile(
    rf"(?is)\A\s*COPY\s+{_NAME}(?:\s*\.\s*{_NAME})*\s*(?:\((?P<columns>[^()]*)\))?\s*(?:FROM|TO)\b"
)
_QUERY: Final = re.compile(r"(?is)\A\s*COPY\s*\(\s*SELECT\s+(?:DISTINCT\s+)?(?P<columns>[^()*]*?)\s+FROM\b")
_LAST: Final = re.compile(rf"({_NAME})\s*\Z")
_OPTIONS: Final = re.compile(r"(?is)\b(?:FROM\s+STDIN|TO\s+STDOUT)\b(.*)\Z")
_DELIMITER: Final = re.compile(r"(?is)\bDELIMITER\s+(?:AS\s+)?(E?)'(.+?)'")
_BINARY, _CSV, _HEADER = (
    re.compile(text) for text in (r"(?i)\bBINARY\b", r"(?i)\bCSV\b", r"(?i)\bHEADER\b(?!\s*'?(?:false|off|0))")
)
_BEGINS: Final = b"PGCOPY\n\xff\r\n\0"
_NULL: Final = b"\\N"
_COUNT, _LENGTH = struct.Struct("!h"), struct.Struct("!i")


@dataclass
class Copied:
    """What of a COPY may be secret.

    Attributes:
        places: the numbers of the columns that may be; None until the first row has said the names.
        separators: what divides rows and fields, and what only looks as if it did; None of binary data.
    """

    places: frozenset[int] | None
    separators: re.Pattern[bytes] | None
    in_names: bool = False
    """Whether the next row is that of the names."""

    def changed(self, data: bytes, how: redaction.Hide) -> bytes:
        """Give data with its secrets replaced.

        Args:
            data: whole rows; the next ones, where these came one by one.
            how: gives what stands in the place of one.
        """
        change = _raw(how)
        if self.separators is None:
            return b"".join(_binary(data, self.places or frozenset(), change))
        return b"".join(self._text(data, self.separators, change))

    def _text(self, data: bytes, separators: re.Pattern[bytes], change: Callable[[bytes], bytes]) -> Iterator[bytes]:
        names: list[str] = []
        start = column = 0
        for found in separators.finditer(data):
            if found.lastgroup != "ends":
                continue
            field, mark = data[start : found.start()], found[0]
            yield change(field) if column in (self.places or ()) and not self.in_names else field
            yield mark
            is_row = mark.endswith(b"\n")
            if self.in_names:
                names.append(field.decode("utf-8", "replace").strip('"'))
            if self.in_names and is_row:
                self.in_names = False
                self.places = frozenset(secret_columns.places(names)) if self.places is None else self.places
            start, column = found.end(), 0 if is_row else column + 1
        rest = data[start:]
        yield change(rest) if rest and column in (self.places or ()) else rest


def _raw(how: redaction.Hide) -> Callable[[bytes], bytes]:
    def change(field: bytes) -> bytes:
        if field == _NULL:
            return field
        return how(field.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    return change


def _binary(data: bytes, places: frozenset[int], change: Callable[[bytes], bytes]) -> Iterator[bytes]:
    at = 0
    if data.startswith(_BEGINS):
        flags = len(_BEGINS) + _LENGTH.size
        at = flags + _LENGTH.size + _LENGTH.unpack_from(data, flags)[0]
        yield data[:at]
    while at + _COUNT.size <= len(data):
        (count,) = _COUNT.unpack_from(data, at)
        yield data[at : at + _COUNT.size]
        at += _COUNT.size
        for column in range(count):
            if at + _LENGTH.size > len(data):
                break  # the client sent no more of this row
            (size,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            field = data[at : at + max(size, 0)]
            at += len(field)
            if size >= 0 and column in places:
                field = change(field)
                size = len(field)
            yield _LENGTH.pack(size) + field
    yield data[at:]


def of(sql: str) -> Copied | None:
    """Say what of the data of a COPY may be secret; None where nothing is known to be.

    Args:
        sql: the statement.
    """
    found = _read(sql)
    return None if found is None else Copied(*found)


@lru_cache(maxsize=256)
def _read(sql: str) -> tuple[frozenset[int] | None, re.Pattern[bytes] | None, bool] | None:
    listed = _COPY.match(sql) or _QUERY.match(sql)
    if listed is None:
        return None
    told = _OPTIONS.search(sql)
    options = "" if told is None else told[1]
    is_binary, has_header = _BINARY.search(options) is not None, _HEADER.search(options) is not None
    names = [_named(one) for one in (listed["columns"] or "").split(",")]
    places = frozenset(secret_columns.places(names)) if listed["columns"] else None
    if places == frozenset() or (places is None and (is_binary or not has_header)):
        return None
    return places, None if is_binary else _separators(options), has_header


def _named(item: str) -> str:
    found = _LAST.search(item)
    return found[1].strip('"') if found is not None else ""


def _separators(options: str) -> re.Pattern[bytes]:
    is_csv = _CSV.search(options) is not None
    chosen = _DELIMITER.search(options)
    delimiter = b"," if is_csv else b"\t"
    if chosen is not None:
        written = chosen[2].encode()
        delimiter = b"\t" if chosen[1] and written == b"\\t" else written
    inside = rb'"[^"]*"' if is_csv else rb"\\."
    return re.compile(rb"(?s)(?P<inside>%s)|(?P<ends>%s|\r?\n)" % (inside, re.escape(delimiter)))
