"""How much of a cassette directory stays: the oldest files go when it is too large, or they too old."""

# ruff: noqa: PTH106, PTH108, PTH116, PTH119, PTH120 - os.scandir gives names, sizes and times in one go; a directory may hold a million files

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from timetracer_otel.cassette.naming import ENDINGS, LATEST, OLD
from timetracer_otel.config import Settings
from timetracer_otel.seams import faults

__all__ = ["PASS_SECONDS", "Retention", "hold"]

PASS_SECONDS: Final = 10.0
"""Between two passes. Of several processes, one makes them."""
_STALE_SECONDS: Final = 24 * 3600.0
"""A ``.part`` file that nobody has written to for so long belongs to a process that was killed."""
_LOW: Final = 0.9
"""The share of the limit that a pass leaves, so that the next one has less to do."""
_OVER: Final = 0.2
"""How far above the limit, as a share of it, the recording stops: removing does not keep up, or cannot."""
_LOCK: Final = ".retention"
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_HOUR: Final = re.compile(r"\d\d")
_NAMES: Final = (*ENDINGS.values(), OLD)


def hold(path: Path) -> int | None:
    """Say that a file is in use by this process, for as long as it lives: no retention removes it.

    Args:
        path: the file.

    Returns:
        A file descriptor that holds the lock; None when there are none left or the filesystem has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    size: int
    changed: float

    @property
    def is_session(self) -> bool:
        return os.path.basename(self.path).startswith("SESSION__")


class Retention:
    """Keeps a cassette directory below a size and an age.

    Never removed are the file that ``latest.jsonl`` leads to, the session of a living process, and a file that is being
    written.

    Args:
        settings: gives the directory and the limits.

    Attributes:
        pressure: from 0, within the limit, to 1: recording has to stop.
    """

    def __init__(self, settings: Settings) -> None:
        self._directory = settings.dir
        self._max_disk = settings.max_disk
        self._max_age = settings.max_age
        self._sizes: dict[str, tuple[int, int]] = {}
        self._used = 0
        self._due = 0.0
        self._thread: threading.Thread | None = None
        self.limited = bool(self._max_disk or self._max_age)
        self.pressure = 0.0

    def wrote(self, size: int) -> None:
        """Count what this process has written since the last pass.

        Args:
            size: bytes.
        """
        self._used += size
        if self._max_disk and self._used > self._max_disk:
            self._press()

    def start(self) -> None:
        """Begin a pass in a thread of its own, so that no lane waits for it."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._guarded, name="timetracer-retention", daemon=True)
            with suppress(RuntimeError):  # the process is ending, or has no memory for a stack: a later pass does it
                self._thread.start()

    def _guarded(self) -> None:
        try:
            self.run()
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("retention", error)

    def run(self) -> None:
        """Make a pass, unless another process has just made one, or the last one took long."""
        begun = time.monotonic()
        if begun < self._due or not self._directory.is_dir():
            return
        with _alone(self._directory / _LOCK) as first:
            if first:
                self._pass()
            elif self._max_disk:
                self._used = self._measured()
        self._press()
        self._due = time.monotonic() + 10 * (time.monotonic() - begun)  # a tenth of the time at most

    def _press(self) -> None:
        over = (self._used - self._max_disk) / self._max_disk if self._max_disk else 0.0
        self.pressure = min(max(over / _OVER, 0.0), 1.0)

    def _pass(self) -> None:
        now = time.time()
        self._remove_stale(str(self._directory), now)
        if not self.limited:
            return
        oldest = now - self._max_age if self._max_age else 0.0
        self._used = self._measured()
        excess = self._used - int(self._max_disk * _LOW) if 0 < self._max_disk < self._used else 0
        if excess > 0 or oldest:
            self._used -= self._remove(excess, oldest)

    def _measured(self) -> int:
        """Bytes in the directory. An hour that is over is measured again only when a name in it came or went."""
        total, current = 0, _hour_of(time.time())
        sizes: dict[str, tuple[int, int]] = {}
        for folder, hour in self._hours():
            with suppress(FileNotFoundError):
                changed = os.stat(folder).st_mtime_ns
                known = self._sizes.get(folder)
                if known is None or known[0] != changed or hour >= current:
                    known = (changed, sum(file.size for file in _files(folder)))
                sizes[folder] = known
                total += known[1]
        self._sizes = sizes
        return total

    def _remove(self, excess: int, oldest: float) -> int:
        """Remove what is too old, then the oldest until enough is gone; the bytes that are."""
        removed, sessions = 0, list[_File]()
        latest = self._latest()
        for folder, hour in self._hours():
            end = hour + 3600.0
            files = [*_files(folder), *sessions]
            # A session is as old as its last call, or the last lane of its process.
            sessions = [file for file in files if file.is_session and file.changed > end]
            self._remove_stale(folder, time.time())
            for file in sorted(set(files) - set(sessions), key=lambda file: file.changed):
                if removed >= excess and file.changed >= oldest:
                    break
                if os.path.realpath(file.path) != latest and _removed(file):
                    removed += file.size
            _remove_empty(folder)
            if removed >= excess and end >= oldest:
                break
        return removed

    def _hours(self) -> Iterator[tuple[str, float]]:
        """The folders of the hours, oldest first, with their beginning in seconds since the epoch."""
        for day in _folders(str(self._directory), _DAY):
            for hour in _folders(day, _HOUR):
                with suppress(ValueError):
                    name = f"{os.path.basename(day)} {os.path.basename(hour)}"
                    yield hour, datetime.strptime(name, "%Y-%m-%d %H").replace(tzinfo=UTC).timestamp()

    def _latest(self) -> str | None:
        latest = self._directory / LATEST
        return os.path.realpath(latest) if latest.is_symlink() else None

    @staticmethod
    def _remove_stale(folder: str, now: float) -> None:
        for entry in _scanned(folder):
            with suppress(OSError):
                if entry.name.endswith(".part") and entry.stat(follow_symlinks=False).st_mtime < now - _STALE_SECONDS:
                    os.unlink(entry.path)


def _hour_of(seconds: float) -> float:
    return seconds - seconds % 3600


def _scanned(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # another process removed it
        return []


def _folders(folder: str, name: re.Pattern[str]) -> list[str]:
    return sorted(
        one.path for one in _scanned(folder) if name.fullmatch(one.name) and one.is_dir(follow_symlinks=False)
    )


def _files(folder: str) -> Iterator[_File]:
    for entry in _scanned(folder):
        with suppress(OSError):
            if entry.name.endswith(_NAMES):
                status = entry.stat(follow_symlinks=False)
                yield _File(entry.path, status.st_size, status.st_mtime)


def _removed(file: _File) -> bool:
    """Remove a file that nobody holds; whether it is gone."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(file.path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _remove_empty(folder: str) -> None:
    """Remove the folder of an hour, and that of its day, when nothing is left in them."""
    with suppress(OSError):
        os.rmdir(folder)
        os.rmdir(os.path.dirname(folder))


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether this process is to make a pass: no other does now, or has just done."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:  # a directory that cannot be written: nothing can be removed either
        yield False
        return
    try:
        yield _is_first(descriptor)
    finally:
        os.close(descriptor)


def _is_first(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(descriptor)
        if status.st_size and 0 <= time.time() - status.st_mtime < PASS_SECONDS / 2:
            return False
        os.pwrite(descriptor, b"1", 0)
    except OSError:
        return False
    return True
