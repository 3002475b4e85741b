"""Where cassettes are on disk: their names, writing them whole, finding them.

Files are 0600 and folders that we make 0700, whatever the umask: a recording holds what users sent.
"""

# ruff: noqa: PTH101, PTH102, PTH105, PTH108, PTH112, PTH120, PTH211 - pathlib takes twice the time of os, and this is
# on the path of every request

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from timetracer_otel.cassette import zstd
from timetracer_otel.cassette.finding import find
from timetracer_otel.cassette.naming import LATEST, lane_path, session_path
from timetracer_otel.config import Compression
from timetracer_otel.errors import CassetteError

__all__ = [
    "append",
    "compress",
    "find",
    "lane_path",
    "point_latest",
    "session_path",
    "whole_file",
    "write_all",
    "write_lane",
    "write_whole",
]

_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
"""Error numbers of filesystems without symbolic links."""


def compress(data: bytes, compression: Compression) -> bytes:
    """Compress lines, as one gzip member or zstd frame with a checksum: such pieces can be appended to one another.

    Args:
        data: whole lines.
        compression: none, gzip or zstd.
    """
    if compression == "gzip":
        import gzip  # noqa: PLC0415 - start-up time of apps that do not compress

        return gzip.compress(data, compresslevel=5, mtime=0)
    if compression == "zstd":
        packed: bytes = zstd.library().ZstdCompressor(write_checksum=True).compress(data)
        return packed
    return data


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is whole or absent, in folders that are made as needed.

    Args:
        path: the file; one that is there already is replaced.
        data: all of it, compressed already.

    Raises:
        CassetteError: the disk is full, the folder cannot be written; nothing is left behind.
    """
    with whole_file(path) as file:
        write_all(file, data)


def write_lane(path: Path, data: bytes) -> None:
    """Write the file of a lane, whole or absent, as :func:`write_whole` does, but without a look at what is there.

    Args:
        path: the file, which nobody but us has named.
        data: all of it, compressed already.

    Raises:
        CassetteError: as there.
    """
    with _put_in_place(path) as file:
        write_all(file, data)


@contextmanager
def whole_file(path: Path) -> Iterator[int]:
    """Open ``<path>.part``, to become ``path`` when the block ends well, and to be removed when it does not.

    A device or a pipe, such as ``/dev/stdout``, is written to as it is: a file in its place would be the end of it.

    Args:
        path: the file.

    Yields:
        The file descriptor to write to; it is closed here.

    Raises:
        CassetteError: any OSError of the block or of ours.
    """
    if not _is_no_file(path):
        with _put_in_place(path) as file:
            yield file
        return
    try:
        with path.open("wb", buffering=0) as special:
            yield special.fileno()
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error


@contextmanager
def _put_in_place(path: Path) -> Iterator[int]:
    part = f"{path}.part"
    try:
        file = _open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            try:
                os.fchmod(file, 0o600)
                yield file
            finally:
                os.close(file)
            os.replace(part, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error


def _is_no_file(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # opening it says so
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def append(path: Path, data: bytes) -> None:
    """Append to a file, or begin it, in one write: lines of several processes do not mix.

    Args:
        path: the file.
        data: whole lines; for a compressed file, what :func:`compress` made of them.

    Raises:
        CassetteError: the disk is full, the file cannot be written; what was written of ``data`` is taken back.
    """
    begins = False
    try:
        file = _open(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            status = os.fstat(file)
            begins = not status.st_size and stat.S_ISREG(status.st_mode)
            if begins:
                os.fchmod(file, 0o600)
            written = os.write(file, data)
            if written != len(data):
                _complete(file, data, written)
        except OSError:
            if begins and not os.fstat(file).st_size:
                os.unlink(path)
            raise
        finally:
            os.close(file)
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error


def point_latest(directory: Path, path: Path, *, began: int | None = None) -> None:
    """Make ``latest.jsonl`` in a directory lead to the file of a lane, or of a script.

    It is a relative link, so that the directory can be moved, replaced in one step, so that of several processes one
    wins and no reader ever sees it missing. Where there are no links it is a copy of the file as it is now.

    Args:
        directory: the cassette directory.
        path: a file within it.
        began: of what ran for a while, when it began, in nanoseconds since the epoch: a lane that was written since is
            newer, such as those that the workers of a server have written.

    Raises:
        CassetteError: the directory cannot be written.
    """
    latest = directory / LATEST
    if began is not None and _was_written_since(latest, began):
        return
    temporary = f"{directory}/.{path.name}.link"  # its own for each lane, so no other process uses it
    try:
        try:
            _link(os.path.relpath(path, directory), temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(path, temporary)
        os.replace(temporary, latest)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise _cannot_write(latest, error) from error


def _was_written_since(path: Path, time_ns: int) -> bool:
    try:
        return path.stat().st_mtime_ns >= time_ns
    except OSError:
        return False


def _link(target: str, link: str) -> None:
    try:
        os.symlink(target, link)
    except FileExistsError:  # left behind by a process that was killed
        os.unlink(link)
        os.symlink(target, link)


def _open(path: str, flags: int) -> int:
    """Open, making the folders only when they are missing: no look beforehand."""
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        _make_folders(os.path.dirname(path))
        return os.open(path, flags, 0o600)


def _make_folders(folder: str) -> None:
    if not folder or os.path.isdir(folder):
        return
    _make_folders(os.path.dirname(folder))
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:  # made by another process meanwhile; if it is no folder, opening the file says so
        return
    os.chmod(folder, 0o700)


def write_all(file: int, data: bytes) -> None:
    """Write all of it: a full disk takes a part first, and refuses the rest only then.

    Args:
        file: a file descriptor.
        data: the bytes.

    Raises:
        OSError: not all of it could be written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _complete(file: int, data: bytes, written: int) -> None:
    """Write what a first write left over (a full disk, a signal), or take back what was written."""
    start = os.lseek(file, 0, os.SEEK_CUR) - written
    try:
        while written < len(data):
            written += os.write(file, memoryview(data)[written:])
    except OSError:
        if os.fstat(file).st_size == start + written:  # else another process wrote behind us, and its lines must stay
            os.ftruncate(file, start)
        raise


def _cannot_write(path: Path, error: Exception) -> CassetteError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    message = f"cannot be written ({reason}): make room, name another folder, or set TIMETRACER_DIR"
    return CassetteError(message, file=path)
