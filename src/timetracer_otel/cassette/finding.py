"""Which files a user means."""

# ruff: noqa: PTH110, PTH112, PTH113, PTH115, PTH207 - pathlib raises on a name too long or not to be seen; os.path answers no

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeAlias

from timetracer_otel.cassette.naming import ENDINGS, LATEST, OLD
from timetracer_otel.cassette.sniffing import holds_traces, is_foreign
from timetracer_otel.cassette.urls import is_url, parse
from timetracer_otel.errors import CassetteError

__all__ = ["below", "find", "is_cassette", "may_be_cassette", "require_entry", "unreadable"]

_Inside: TypeAlias = Callable[[Path], Iterator[Path]]
"""Gives the files of a folder."""


def is_cassette(path: Path) -> bool:
    """Whether a file in a directory is taken, when the directory is named.

    Args:
        path: the file, neither hidden nor unfinished.
    """
    if not os.path.isfile(path):  # reading a pipe would wait for its writer
        return False
    if path.name.endswith(tuple(ENDINGS.values())):
        return not is_foreign(path)
    return holds_traces(path)


def find(
    specs: Sequence[str],
    directory: Path,
    wanted: Callable[[Path], bool] = is_cassette,
    left_out: list[CassetteError] | None = None,
) -> list[Path]:
    """Find cassette files, each once, those of one folder in order of name.

    What stands at a URL is downloaded, to a folder that goes when this process ends.

    Args:
        specs: each a file, a directory (with all below it), a glob, ``latest``, or several of them separated by
            ``os.pathsep``; or one URL, see :mod:`remote`.
        directory: the cassette directory, where ``latest`` is looked for.
        wanted: which files of a directory are taken.
        left_out: gets the errors of folders that cannot be read, where others can; None to stop at the first.

    Raises:
        CassetteError: one of them leads to no file, or a folder cannot be read.
    """
    found: dict[Path, None] = {}
    for spec in _single(specs):
        refused: list[CassetteError] = []
        files = list(_matches(spec, directory, partial(below, wanted=wanted, left_out=refused)))
        if refused and (left_out is None or not files):
            raise refused[0]
        if left_out is not None:
            left_out += refused
        if not files:
            _nothing(spec)
        found.update(dict.fromkeys(files))
    if not found:
        raise CassetteError("no cassette was named: give a file, a directory, a glob or `latest`")
    return list(found)


def _single(specs: Sequence[str]) -> Iterator[str]:
    for spec in specs:
        if is_url(spec) or os.path.exists(spec):
            yield spec
        else:
            yield from filter(None, spec.split(os.pathsep))


def _matches(spec: str, directory: Path, inside: _Inside) -> Iterator[Path]:
    if is_url(spec):
        yield from _remote(spec, directory, inside)
    elif spec == "latest":
        yield _latest(directory)
    elif os.path.isdir(spec):
        yield from inside(Path(spec))
    elif os.path.exists(spec):
        yield _real(Path(spec))
    else:
        for match in sorted(glob.glob(spec, recursive=True)):
            path = Path(match)
            if path.is_dir():
                yield from inside(path)
            elif path.suffix not in {".part", OLD} and path.name != LATEST:
                yield path


def _remote(url: str, directory: Path, inside: _Inside) -> Iterator[Path]:
    """Yield the files of a URL."""
    from timetracer_otel.cassette import remote  # noqa: PLC0415 - who names no URL needs no HTTP client

    if (path := remote.local_path(url)) is not None:
        yield from _matches(path, directory, inside)
    elif (trace := remote.fetch_trace(url)) is not None:
        yield trace
    else:
        objects, folders = remote.download(url)
        yield from objects
        for folder in folders:
            yield from inside(folder)


def below(
    folder: Path, wanted: Callable[[Path], bool] = is_cassette, left_out: list[CassetteError] | None = None
) -> Iterator[Path]:
    """Give the cassettes in a directory and all below it, those of one folder in order of name.

    Taken are files whose names end as those of cassettes do, unless they are empty or hold other JSON; and files of any
    other name that begin as OTLP traces do, such as those that a collector writes and rotates. Left out are hidden
    files, unfinished ones (``.part``), those that were replaced (``.old``) and the link to the latest.

    Args:
        folder: the directory.
        wanted: which of its files are taken.
        left_out: gets the errors of folders that cannot be read; None to stop at the first.

    Raises:
        CassetteError: a folder in it cannot be read.
    """

    def refused(error: OSError) -> None:
        if left_out is None:
            raise unreadable(error, error.filename) from error
        left_out.append(unreadable(error, error.filename))

    for parent, folders, names in os.walk(folder, onerror=refused):
        try:
            require_entry(parent)
        except PermissionError as error:
            folders.clear()
            refused(error)
            continue
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if may_be_cassette(name) and wanted(path):
                yield path


def may_be_cassette(name: str) -> bool:
    """Whether a file's name lets it be looked at: none that is hidden, unfinished, an old baseline or our own link.

    Args:
        name: of the file.
    """
    return not name.startswith(".") and not name.endswith((".part", OLD)) and name != LATEST


def require_entry(folder: str) -> None:
    """Refuse a folder that may be listed, but in which nothing may be opened.

    Args:
        folder: its path.

    Raises:
        PermissionError: it is one.
    """
    if os.path.isdir(folder) and not os.access(folder, os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)


def unreadable(error: OSError, folder: str) -> CassetteError:
    """Give the error of a folder that cannot be read.

    Args:
        error: that the system gave.
        folder: its path.
    """
    return CassetteError(f"cannot be read ({error.strerror}): check its permissions", file=folder)


def _latest(directory: Path) -> Path:
    latest = directory / LATEST
    if not latest.is_symlink() and not latest.exists():
        raise CassetteError("nothing has been recorded here yet: record first, or set TIMETRACER_DIR", file=directory)
    return _real(latest)


def _real(path: Path) -> Path:
    """Follow our own link, so that a lane's session is looked for beside the lane."""
    if path.name != LATEST or not path.is_symlink():
        return path
    target = path.parent / os.readlink(path)
    if not target.exists():
        raise CassetteError(f"leads to {target}, which is gone: name another cassette", file=path)
    return target


def _nothing(spec: str) -> NoReturn:
    if is_url(spec):
        raise CassetteError("nothing that stands there holds OTLP traces", file=str(parse(spec)))
    if os.path.isdir(spec):
        raise CassetteError("no cassette in this directory: no file in it holds OTLP traces", file=spec)
    if glob.has_magic(spec):
        raise CassetteError("no file matches this pattern", file=spec)
    raise CassetteError("there is no file or directory of this name", file=spec)
