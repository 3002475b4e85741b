"""The bytes of a file, whatever it is compressed with."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from timetracer_otel.cassette import zstd
from timetracer_otel.errors import CassetteError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # collections.abc has it from Python 3.12

__all__ = ["DAMAGED", "MAX_MESSAGE", "ZSTD_MAGIC", "bytes_read", "opened", "unzstd"]

GZIP_MAGIC: Final = b"\x1f\x8b"
"""RFC 1952, section 2.3.1."""
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
"""RFC 8878, section 3.1.1."""
ZSTD_SKIPPABLE: Final = frozenset(bytes([0x50 + n, 0x2A, 0x4D, 0x18]) for n in range(16))
"""RFC 8878, section 3.1.2: a file may begin with a frame of metadata."""

DAMAGED: Final = (EOFError, zlib.error, gzip.BadGzipFile)
"""Reading raises these when compressed data is damaged or ends early."""

MAX_MESSAGE: Final = 1 << 29
"""Longest line or message accepted, in bytes: beyond it a file is no cassette, and reading on would fill the memory."""

_READ: Final = 1 << 13
"""Compressed bytes at a time. Small, because each can become several thousand times as much."""


_being_read: Final[set[io.BufferedReader]] = set()
_read_before: Final = [0]
"""Bytes of files that are closed again."""


def bytes_read() -> int:
    """How many bytes of files this process has read through :func:`opened`; another thread may ask."""
    count = _read_before[0]
    for file in tuple(_being_read):
        with suppress(OSError, ValueError):  # closed meanwhile
            count += os.lseek(file.fileno(), 0, os.SEEK_CUR)
    return count


@contextmanager
def _counted(file: io.BufferedReader) -> Iterator[None]:
    _being_read.add(file)
    try:
        yield
    finally:
        _being_read.discard(file)
        _read_before[0] += os.lseek(file.fileno(), 0, os.SEEK_CUR)


@contextmanager
def opened(path: str | PathLike[str]) -> Iterator[io.BufferedReader]:
    """Open a file for reading, decompressing gzip and zstd, which are told by their first bytes and not by the name.

    Args:
        path: the file.

    Raises:
        CassetteError: within the block too: the file cannot be read, its compressed data is damaged or ends early.
    """
    try:
        _refuse_pipe(path)
        with Path(path).open("rb") as file, _decompressed(file) as plain, _counted(file):
            yield plain
    except CassetteError as error:
        if error.file is None:  # the library lacks that it needs
            raise CassetteError(str(error), file=path) from error
        raise
    except DAMAGED as error:
        raise CassetteError(
            f"the compressed data is damaged or ends early ({error}): copy the file again, or record again; "
            "`timetracer import` takes what is whole",
            file=path,
        ) from error
    except MemoryError as error:
        raise CassetteError("does not fit into memory", file=path) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        message = f"cannot be read ({_reason(error)}): check the name and its permissions"
        raise CassetteError(message, file=path) from error


def _refuse_pipe(path: str | PathLike[str]) -> None:
    """Refuse what is read as it comes, such as a named pipe or a device: it may never end, and is gone once read."""
    mode = Path(path).stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise CassetteError("is a pipe or a device, not a file: write what comes from it to a file first", file=path)


def unzstd(data: bytes, limit: int) -> bytes:
    """Decompress whole zstd frames.

    Args:
        data: the frames.
        limit: how many bytes may come out; one more tells the caller that there are too many.

    Raises:
        EOFError: they are damaged or cut.
    """
    return io.BufferedReader(_ZstdFrames(io.BytesIO(data)), 1 << 16).read(limit + 1)


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _decompressed(file: io.BufferedReader) -> io.BufferedReader:
    magic = file.peek(4)[:4]
    if magic.startswith(GZIP_MAGIC):
        return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=file)), 1 << 16)
    if magic == ZSTD_MAGIC or magic in ZSTD_SKIPPABLE:
        return io.BufferedReader(_ZstdFrames(file), 1 << 16)
    return file


class _ZstdFrames(io.RawIOBase):
    """All frames of a zstd file as one stream.

    The library's own reader takes a cut file for a complete one, so the frames are driven here.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._library = zstd.library()
        self._file = file
        self._frame: Any = None
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
