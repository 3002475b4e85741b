"""Parts of a lane's file beside its ended spans, and where lines of the lane go before and after the file is whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from timetracer_otel.cassette import storage
from timetracer_otel.config import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

__all__ = ["Part", "Spill"]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a lane's file beside its ended spans: encoded when it is written, one span after the other.

    Args:
        scope: of the spans.
        size: bytes of payload that wait until then.
        fragments: encodes the spans.
        lost: told when the part was not written.
    """

    scope: InstrumentationScope | None
    size: int
    fragments: Callable[[], Iterable[bytes]]
    lost: Callable[[], None] = lambda: None

    def write(self, add_line: Callable[[bytes, InstrumentationScope | None], None]) -> None:
        """Give each span to what writes a line."""
        try:
            for fragment in self.fragments():
                add_line(fragment, self.scope)
        except BaseException:
            self.lost()
            raise


class Spill:
    """Lines beside those that a lane's file is begun with: in a ``.part`` file until then, and behind them afterwards.

    Other threads of the lane may add lines while its file is being written: none is lost.

    Args:
        settings: where to, and how compressed.
        lane_id: names the ``.part`` file, which is made only when there are lines.
    """

    __slots__ = ("_lock", "_over", "_part", "_settings", "_used", "_whole")

    def __init__(self, settings: Settings, lane_id: str) -> None:
        self._settings = settings
        self._part: Path = settings.dir / f".{lane_id}.part"
        self._whole: Path | None = None
        self._used = False
        self._over = False
        self._lock = threading.RLock()  # a signal's handler may add a line in the middle of another one

    def write(self, line: bytes) -> None:
        """Append a line; nothing when the lane was given up.

        Raises:
            CassetteError: it cannot be written.
        """
        with self._lock:
            if self._over and self._whole is None:
                return
            self._used = self._used or self._whole is None
            storage.append(self._whole or self._part, storage.compress(line, self._settings.compression))

    def read(self) -> bytes:
        """Give what was spilled until now, as it is on disk."""
        return self._part.read_bytes() if self._used else b""

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a lane's file, with what was spilled behind it.

        Args:
            path: the lane's file.
            data: its lines, compressed already.

        Raises:
            CassetteError: it cannot be written.
        """
        with self._lock:
            try:
                self._write_all(path, data)
                self._whole = path
            finally:
                self.discard()

    def go_on(self, path: Path) -> None:
        """Let all lines go behind those of a file that another process has written.

        Args:
            path: the lane's file.

        Raises:
            CassetteError: what was spilled cannot be put there.
        """
        with self._lock:
            if self._used:
                storage.append(path, self._part.read_bytes())
            self._whole = path
            self.discard()

    def _write_all(self, path: Path, data: bytes) -> None:
        if not self._used:
            storage.write_lane(path, data)
            return
        with storage.whole_file(path) as file, self._part.open("rb") as spilled:
            storage.write_all(file, data)
            while block := spilled.read(1 << 20):
                storage.write_all(file, block)

    def discard(self) -> None:
        """Remove what was spilled; spill no more."""
        with self._lock:
            self._over = True
            if self._used:
                self._used = False
                self._part.unlink(missing_ok=True)
