"""Several lanes and their sessions in one file, to carry away."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from timetracer_otel.cassette import zstd
from timetracer_otel.cassette.damaged import reading_on
from timetracer_otel.cassette.framing import read_messages
from timetracer_otel.cassette.reading import document_of, document_spans, encoded
from timetracer_otel.cassette.sessions import SessionSearch
from timetracer_otel.cassette.storage import whole_file
from timetracer_otel.errors import CassetteError

__all__ = ["bundle", "writer"]


def bundle(paths: Iterable[str | PathLike[str]], output: Path, left_out: list[CassetteError] | None = None) -> int:
    """Write cassettes and the sessions that they name into one file of JSON lines; lines go into it as they are.

    Args:
        paths: the files.
        output: the file to write, compressed when its name ends in ``.gz`` or ``.zst``; whole or absent.
        left_out: gets the errors of files that cannot be read and are left out; None to stop at the first.

    Returns:
        How many files went into it.

    Raises:
        CassetteError: a file is missing, damaged, foreign or without spans, with ``left_out`` every one; the output
            cannot be written or is one of the files.
    """
    return reading_on(paths, lambda files, without: _bundle(files, without, output), left_out)


def _bundle(paths: list[Path], without: Collection[Path], output: Path) -> int:
    if output.exists() and not output.is_file():  # a device or a folder: a file would take its place
        raise CassetteError("is not a regular file: choose another name for the output", file=output)
    copied = dict.fromkeys(path.resolve() for path in without)
    search = SessionSearch()
    with whole_file(output) as descriptor, writer(descriptor, output) as write:
        more = paths
        while more:
            for path in more:
                _copy(path, output, copied, search, write)
            more = search.files()
    return len(copied) - len(without)


def _copy(
    path: Path, output: Path, copied: dict[Path, None], search: SessionSearch, write: Callable[[bytes], object]
) -> None:
    """Copy a file's lines unless that was done already, and take note of the sessions that they name."""
    real = path.resolve()
    if real in copied:
        return
    if real == output.resolve():
        raise CassetteError("is also one of the files to bundle: choose another name for the output", file=output)
    copied[real] = None
    empty = True
    for message in read_messages(path):
        document = document_of(message, path)
        for span in document_spans(document, message, path):
            search.saw(span, path)
            empty = False
        as_it_is = message.is_json and b"\n" not in message.data
        write((message.data if as_it_is else encoded(document)) + b"\n")
    if empty:
        raise CassetteError("holds no span: leave it out", file=path)


@contextmanager
def writer(descriptor: int, output: Path) -> Iterator[Callable[[bytes], object]]:
    """Give what writes to a descriptor, compressed as the output's name says.

    Args:
        descriptor: to write to.
        output: the name.

    Yields:
        What takes bytes.
    """
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        if output.suffix == ".gz":
            import gzip  # noqa: PLC0415 - only when it is asked for

            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as compressed:
                yield compressed.write
        elif output.suffix == ".zst":
            with zstd.library().ZstdCompressor(write_checksum=True).stream_writer(file, closefd=False) as frame:
                yield frame.write
        else:
            yield file.write
