"""The lines of a file, whatever it is compressed with."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

from timetracer_otel.errors import CassetteError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12

__all__ = ["Line", "read_lines"]

Line = tuple[int, bytes]
"""1-based number, and the line without its end."""

GZIP_MAGIC: Final = b"\x1f\x8b"
"""RFC 1952, section 2.3.1."""
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
"""RFC 8878, section 3.1.1."""
ZSTD_SKIPPABLE: Final = frozenset(bytes([0x50 + n, 0x2A, 0x4D, 0x18]) for n in range(16))
"""RFC 8878, section 3.1.2: a file may begin with a frame of metadata."""

MAX_LINE: Final = 1 << 29
"""Longest line accepted, in bytes: beyond it a file is not a cassette, and reading on would only fill the memory."""

_READ: Final = 1 << 13
"""Compressed bytes at a time. Small, because each can become several thousand times as much."""


def read_lines(path: str | PathLike[str]) -> Iterator[Line]:
    """Read a file line by line, decompressing gzip and zstd, which are told by their first bytes and not by the name.

    Empty lines are left out, but counted.

    Args:
        path: the file.

    Raises:
        CassetteError: the file cannot be read, its compressed data is damaged or ends early, or a line is too long.
    """
    number = 1
    try:
        with Path(path).open("rb") as file, _decompressed(file) as lines:
            while line := lines.readline(MAX_LINE + 1):
                _check_length(line, path, number)
                if stripped := line.strip():
                    yield number, stripped
                number += 1
    except CassetteError:
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CassetteError(
            f"the compressed data is damaged or ends early ({error}): copy the file again, or record again",
            file=path,
            line=number,
        ) from error
    except MemoryError as error:
        raise CassetteError("does not fit into memory", file=path, line=number) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        message = f"cannot be read ({_reason(error)}): check the name and its permissions"
        raise CassetteError(message, file=path) from error


def _check_length(line: bytes, path: str | PathLike[str], number: int) -> None:
    if len(line) > MAX_LINE:
        raise CassetteError(f"is longer than {MAX_LINE} bytes: this is no cassette", file=path, line=number)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _decompressed(file: io.BufferedReader) -> IO[bytes]:
    magic = file.peek(4)[:4]
    if magic.startswith(GZIP_MAGIC):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if magic == ZSTD_MAGIC or magic in ZSTD_SKIPPABLE:
        return io.BufferedReader(_ZstdFrames(file), 1 << 16)
    return file


class _ZstdFrames(io.RawIOBase):
    """All frames of a zstd file as one stream.

    The library's own reader takes a cut file for a complete one, so the frames are driven here.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        import zstandard  # noqa: PLC0415 - 10 ms, which only who reads zstd should wait

        self._library = zstandard
        self._file = file
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        while not self._output:
            if not self._advance():
                return 0
        target = memoryview(buffer).cast("B")
        size = min(len(target), len(self._output))
        target[:size] = self._output[:size]
        self._output = self._output[size:]
        return size

    def _advance(self) -> bool:
        """Decompress the next piece; False at the end of the file."""
        self._input = self._input or self._file.read(_READ)
        if not self._input:
            if self._frame is not None:
                raise EOFError("the last zstd frame is cut short")
            return False
        if self._frame is None:
            self._frame = self._library.ZstdDecompressor().decompressobj()
        try:
            self._output = memoryview(self._frame.decompress(self._input))
        except self._library.ZstdError as error:
            raise EOFError(str(error)) from error
        self._input = b""
        if self._frame.eof:
            self._input, self._frame = self._frame.unused_data, None
        return True
