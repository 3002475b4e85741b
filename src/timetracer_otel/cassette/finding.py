"""Which files a user means."""

# ruff: noqa: PTH110, PTH112, PTH115, PTH207 - pathlib raises on a name too long or not to be seen; os.path answers no

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

from timetracer_otel.cassette.naming import ENDINGS, LATEST
from timetracer_otel.errors import CassetteError

__all__ = ["below", "find"]

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def find(specs: Sequence[str], directory: Path) -> list[Path]:
    """Find cassette files, each once, those of one folder in order of name.

    Args:
        specs: each a file, a directory (with all below it), a glob, ``latest``, or several of them separated by
            ``os.pathsep``.
        directory: the cassette directory, where ``latest`` is looked for.

    Raises:
        CassetteError: one of them leads to no file.
    """
    found: dict[Path, None] = {}
    for spec in _single(specs):
        files = list(_matches(spec, directory))
        if not files:
            _nothing(spec)
        found.update(dict.fromkeys(files))
    if not found:
        raise CassetteError("no cassette was named: give a file, a directory, a glob or `latest`")
    return list(found)


def _single(specs: Sequence[str]) -> Iterator[str]:
    for spec in specs:
        if _URL.match(spec):
            raise CassetteError(f"{spec}: cassettes cannot be read from a URL yet; download it and name the file")
        if os.path.exists(spec):
            yield spec
        else:
            yield from filter(None, spec.split(os.pathsep))


def _matches(spec: str, directory: Path) -> Iterator[Path]:
    if spec == "latest":
        yield _latest(directory)
    elif os.path.isdir(spec):
        yield from below(Path(spec))
    elif os.path.exists(spec):
        yield _real(Path(spec))
    else:
        for match in sorted(glob.glob(spec, recursive=True)):
            path = Path(match)
            if path.is_dir():
                yield from below(path)
            elif path.suffix != ".part" and path.name != LATEST:
                yield path


def below(folder: Path) -> Iterator[Path]:
    """Give the cassettes in a directory and all below it, those of one folder in order of name.

    Args:
        folder: the directory.

    Raises:
        CassetteError: a folder in it cannot be read.
    """
    for parent, folders, names in os.walk(folder, onerror=_unreadable):
        folders.sort()
        for name in sorted(names):
            if name.endswith(tuple(ENDINGS.values())) and name != LATEST:
                yield Path(parent, name)


def _unreadable(error: OSError) -> NoReturn:
    raise CassetteError(f"cannot be read ({error.strerror}): check its permissions", file=error.filename) from error


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
    if os.path.isdir(spec):
        raise CassetteError("no cassette in this directory (*.jsonl, *.jsonl.gz, *.jsonl.zst)", file=spec)
    if glob.has_magic(spec):
        raise CassetteError("no file matches this pattern", file=spec)
    raise CassetteError("there is no file or directory of this name", file=spec)
