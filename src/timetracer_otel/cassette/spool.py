"""Lanes taken out of files that hold many, each in pieces that can be read alone.

A collector's file holds thousands of lanes, interleaved. Reading one of them must neither read the file again nor keep
it in memory. So the pieces of each lane are written to a temporary file as they are found, compressed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from timetracer_otel.cassette import scratch, zstd
from timetracer_otel.cassette.files import ZSTD_MAGIC
from timetracer_otel.cassette.framing import TracesMessage
from timetracer_otel.cassette.model import Span
from timetracer_otel.cassette.reading import Json, document_of, document_spans, encoded
from timetracer_otel.errors import CassetteError

__all__ = ["Piece", "Pieces", "Spool"]

Piece = tuple[int, int]
"""Where it begins in the spool, and how many bytes it has."""

_LEVEL: Final = 1
_BUFFER: Final = 1 << 20


class Spool:
    """The file while it is written; it goes with this process's temporary files.

    Attributes:
        path: where it is.
    """

    def __init__(self) -> None:
        self.path = scratch.new_file("lanes")
        self._file = os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", _BUFFER)
        self._compress = _compressor()
        self._end = 0

    def add(self, document: Json) -> Piece:
        """Write a piece.

        Args:
            document: OTLP/JSON of spans of one lane.

        Raises:
            CassetteError: the disk is full.
        """
        data = self._compress(encoded(document))
        try:
            self._file.write(data)
        except OSError as error:
            raise self._full(error) from error
        piece = self._end, len(data)
        self._end += len(data)
        return piece

    def close(self) -> None:
        """End writing.

        Raises:
            CassetteError: the disk is full.
        """
        try:
            self._file.close()
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError) -> CassetteError:
        message = f"cannot be written ({error.strerror}): make room, or set TMPDIR to another folder"
        return CassetteError(message, file=self.path)


def _compressor() -> Callable[[bytes], bytes]:
    """Compress pieces where the library for it is: without it they take more room for a while."""
    try:
        compressor = zstd.library().ZstdCompressor(level=_LEVEL)
    except CassetteError:
        return bytes
    compress: Callable[[bytes], bytes] = compressor.compress
    return compress


def _plain(data: bytes) -> bytes:
    """A piece as it was before it was compressed, here, in one frame that says its size."""
    if not data.startswith(ZSTD_MAGIC):
        return data
    library = zstd.library()
    try:
        plain: bytes = library.ZstdDecompressor().decompress(data)
    except library.ZstdError as error:
        raise EOFError(str(error)) from error
    return plain


class Pieces:
    """A spool that is read. It is open from the start, so that its file may be removed, and is shared by forks.

    Args:
        path: of the spool.

    Raises:
        CassetteError: it is not there.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            message = f"cannot be read ({error.strerror}): the process that sorted the cassette has ended"
            raise CassetteError(message, file=path) from error

    def read(self, pieces: Iterable[Piece]) -> list[Span]:
        """Read the spans of some pieces.

        Args:
            pieces: of one lane.

        Raises:
            CassetteError: the spool was damaged meanwhile.
        """
        spans: list[Span] = []
        for document, message in self._documents(pieces):
            spans += document_spans(document, message, self._path)
        return spans

    def documents(self, pieces: Iterable[Piece]) -> Iterator[Json]:
        """Read pieces as they were written.

        Args:
            pieces: of one lane.

        Raises:
            CassetteError: the spool was damaged meanwhile.
        """
        return (document for document, _ in self._documents(pieces))

    def _documents(self, pieces: Iterable[Piece]) -> Iterator[tuple[Json, TracesMessage]]:
        for start, length in pieces:
            try:
                data = _plain(os.pread(self._file, length, start))
            except (OSError, EOFError) as error:
                raise CassetteError(f"cannot be read any more ({error}): start again", file=self._path) from error
            message = TracesMessage(1, data, start)
            yield document_of(message, self._path), message

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)
