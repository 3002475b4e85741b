"""Parts of a lane's file beside its ended spans, and the ``.part`` file of a lane that is still open."""

from __future__ import annotations

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
    """Lines of a lane that is still open, on disk beside where its file will be; made only when there are any.

    Args:
        settings: where to, and how compressed.
        lane_id: names the file.
    """

    __slots__ = ("_over", "_path", "_settings", "_used")

    def __init__(self, settings: Settings, lane_id: str) -> None:
        self._settings = settings
        self._path: Path = settings.dir / f".{lane_id}.part"
        self._used = False
        self._over = False

    def write(self, line: bytes) -> None:
        """Append a line; nothing when the lane's file was written, or given up.

        Raises:
            CassetteError: it cannot be written.
        """
        if not self._over:
            self._used = True
            storage.append(self._path, storage.compress(line, self._settings.compression))

    def read(self) -> bytes:
        """Give what was spilled until now, as it is on disk."""
        return self._path.read_bytes() if self._used else b""

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a lane's file, with what was spilled behind it.

        Args:
            path: the lane's file.
            data: its lines, compressed already.

        Raises:
            CassetteError: it cannot be written.
        """
        try:
            if not self._used:
                storage.write_whole(path, data)
                return
            with storage.whole_file(path) as file, self._path.open("rb") as spilled:
                storage.write_all(file, data)
                while block := spilled.read(1 << 20):
                    storage.write_all(file, block)
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was spilled; take no more."""
        self._over = True
        if self._used:
            self._used = False
            self._path.unlink(missing_ok=True)
