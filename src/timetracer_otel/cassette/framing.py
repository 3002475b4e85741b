"""How messages stand in a file: a line each, each behind its length, or one alone.

The OpenTelemetry Collector's file exporter writes JSON as lines, and everything else behind its length, four bytes,
big-endian (its README, "File Format"; exportMessageAsBuffer in file_writer.go). With ``compression: zstd`` each
message is a zstd frame of its own behind its length, JSON too; with its feature gate for native compression the file
as a whole is zstd. Its object storage exporter writes one message an object, without a length.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from os import PathLike
from typing import TYPE_CHECKING, Final

from timetracer_otel.cassette import files
from timetracer_otel.errors import CassetteError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12

__all__ = ["Framing", "TracesMessage", "framing_of", "read_messages"]

HEAD: Final = 64
"""First bytes by which the framing is told."""
_LENGTH: Final = 4
_PIECE: Final = 1 << 20
"""Bytes read at a time, so that a length that lies does not make us reserve what it says."""
_TEXT: Final = re.compile(rb'[{\[]|[ \t\r\n]+\{[ \t\r\n]*["}]')
"""How JSON begins. A bracket alone does not tell after a line end: they are also a tag of protobuf and a length."""
_RESOURCE_SPANS: Final = 0x0A
"""Tag of field 1, length-delimited: ``resource_spans`` of TracesData (and likewise metrics and logs)."""
_WITHIN: Final = frozenset({0x0A, 0x12, 0x1A})
"""Tags of ResourceSpans: resource, scope_spans, schema_url."""


class Framing(Enum):
    """How the messages of a file are kept apart."""

    LINES = "lines"
    LENGTHS = "lengths"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class TracesMessage:
    """One ``TracesData``, encoded.

    Attributes:
        number: 1-based, of the line or the message.
        data: JSON, or protobuf.
        offset: where it begins in the file, decompressed; None for a line.
    """

    number: int
    data: bytes
    offset: int | None = None

    @property
    def is_json(self) -> bool:
        """Whether it is JSON: a line always is taken for it, and no protobuf message begins with a bracket."""
        return self.offset is None or self.data[:1] == b"{"

    def fault(self, path: str | PathLike[str], text: str) -> CassetteError:
        """Give an error that says where it is.

        Args:
            path: the file.
            text: what is wrong.
        """
        if self.offset is None:
            return CassetteError(text, file=path, line=self.number)
        return CassetteError(f"message {self.number}, at byte {self.offset}: {text}", file=path)


def framing_of(head: bytes) -> Framing:
    """Tell the framing by the first bytes.

    Args:
        head: the first :data:`HEAD` bytes, decompressed; fewer when the file is shorter.
    """
    if _TEXT.match(head):
        return Framing.LINES
    body = head[_LENGTH:]
    while head[:_LENGTH] == bytes(_LENGTH) and body:  # an empty message
        head, body = body, body[_LENGTH:]
    if body[:1] == b"{" or body.startswith(files.ZSTD_MAGIC) or _is_traces(body):
        return Framing.LENGTHS
    return Framing.ALONE if _is_traces(head) else Framing.LINES


def _is_traces(head: bytes) -> bool:
    """Whether this begins as the protobuf of TracesData does: a ResourceSpans, and in it one of its fields."""
    if head[:1] != bytes([_RESOURCE_SPANS]):
        return False
    end = next((n for n, byte in enumerate(head[1:6], start=1) if byte < 0x80), 0)  # noqa: PLR2004 - a varint's last byte
    return end > 0 and (head[end + 1 : end + 2] == b"" or head[end + 1] in _WITHIN)


def read_messages(path: str | PathLike[str]) -> Iterator[TracesMessage]:
    """Read the messages of a file in its order; empty ones are left out, but counted.

    Args:
        path: the file: JSON lines, messages behind their lengths or one protobuf message; plain, gzip or zstd.

    Raises:
        CassetteError: the file cannot be read, or its compressed data is damaged; a message is too long or cut short.
    """
    with files.opened(path) as stream:
        head = stream.read(HEAD)
        yield from _READERS[framing_of(head)](_joined(head, stream), path)


def _joined(head: bytes, rest: io.BufferedReader) -> io.BufferedReader:
    return io.BufferedReader(_Joined(head, rest), 1 << 16)


class _Joined(io.RawIOBase):
    """A stream whose head was read already."""

    def __init__(self, head: bytes, rest: io.BufferedReader) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        if not self._head:
            return self._rest.readinto1(buffer)
        target = memoryview(buffer).cast("B")
        size = min(len(self._head), len(target))
        target[:size], self._head = self._head[:size], self._head[size:]
        return size


def _lines(stream: io.BufferedReader, path: str | PathLike[str]) -> Iterator[TracesMessage]:
    number = 1
    while line := _line(stream, path, number):
        if len(line) > files.MAX_MESSAGE:
            raise _too_long(TracesMessage(number, b""), path)
        if stripped := line.strip():
            yield TracesMessage(number, stripped)
        number += 1


def _line(stream: io.BufferedReader, path: str | PathLike[str], number: int) -> bytes:
    try:
        return stream.readline(files.MAX_MESSAGE + 1)
    except files.DAMAGED as error:
        raise _damaged(TracesMessage(number, b""), path, error) from error


def _lengths(stream: io.BufferedReader, path: str | PathLike[str]) -> Iterator[TracesMessage]:
    offset, number = 0, 1
    while prefix := _exactly(stream, _LENGTH, TracesMessage(number, b"", offset), path):
        here = TracesMessage(number, b"", offset)
        size = int.from_bytes(prefix, "big")
        if len(prefix) < _LENGTH:
            raise here.fault(path, _cut(f"{len(prefix)} of the {_LENGTH} bytes of its length"))
        if size > files.MAX_MESSAGE:
            raise here.fault(path, f"says that it is {size} bytes long: the file is damaged, or is no cassette")
        data = _exactly(stream, size, here, path)
        if len(data) < size:
            raise here.fault(path, _cut(f"{len(data)} of its {size} bytes"))
        if data.startswith(files.ZSTD_MAGIC):
            data = _unpacked(data, here, path)
        if data:
            yield TracesMessage(number, data, offset)
        offset += _LENGTH + size
        number += 1


def _alone(stream: io.BufferedReader, path: str | PathLike[str]) -> Iterator[TracesMessage]:
    here = TracesMessage(1, b"", 0)
    data = _exactly(stream, files.MAX_MESSAGE + 1, here, path)
    if len(data) > files.MAX_MESSAGE:
        raise _too_long(here, path)
    yield TracesMessage(1, data, 0)


_READERS: Final = {Framing.LINES: _lines, Framing.LENGTHS: _lengths, Framing.ALONE: _alone}


def _exactly(stream: io.BufferedReader, size: int, here: TracesMessage, path: str | PathLike[str]) -> bytes:
    """Read so many bytes; fewer only at the end of the file."""
    pieces = []
    try:
        while size and (piece := stream.read(min(size, _PIECE))):
            pieces.append(piece)
            size -= len(piece)
    except files.DAMAGED as error:
        raise _damaged(here, path, error) from error
    return b"".join(pieces)


def _unpacked(data: bytes, here: TracesMessage, path: str | PathLike[str]) -> bytes:
    try:
        plain = files.unzstd(data, files.MAX_MESSAGE)
    except EOFError as error:
        raise _damaged(here, path, error) from error
    if len(plain) > files.MAX_MESSAGE:
        raise _too_long(here, path)
    return plain


def _too_long(here: TracesMessage, path: str | PathLike[str]) -> CassetteError:
    return here.fault(path, f"is longer than {files.MAX_MESSAGE} bytes: this is no cassette")


def _damaged(here: TracesMessage, path: str | PathLike[str], error: Exception) -> CassetteError:
    return here.fault(
        path,
        f"the compressed data is damaged or ends early ({error}): copy the file again, or record again; "
        "`timetracer import` takes what is whole",
    )


def _cut(what: str) -> str:
    return (
        f"is cut short, it has {what}: its writer was stopped in the middle, or the copy is incomplete. "
        "Copy the file again; `timetracer import` takes the messages before it"
    )
