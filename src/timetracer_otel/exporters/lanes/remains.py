"""What an open lane leaves on the disk, for the process that ends it where the lane's own is killed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from timetracer_otel.cassette import storage
from timetracer_otel.config import Settings

__all__ = ["Left", "Remains"]


class Left(NamedTuple):
    """What a process has left of a lane.

    Attributes:
        lines: of the calls that had ended, where it was killed in mid-lane.
        context: the ids of trace and entry, hexadecimal, where that is known.
        path: the lane's file, where it was written.
    """

    lines: bytes = b""
    context: tuple[str, str] | None = None
    path: Path | None = None


class Remains:
    """A file beside the lanes: it begins with the ids of the entry, and holds a line for each call that has ended.

    Args:
        settings: where to.
        lane_id: that both processes know.
    """

    __slots__ = ("_begun", "_path")

    def __init__(self, settings: Settings, lane_id: str) -> None:
        self._path = settings.dir / f".{lane_id}.left.part"
        self._begun = False

    def add(self, line: bytes, context: tuple[str, str]) -> None:
        """Append the line of a call.

        Args:
            line: uncompressed.
            context: the ids of trace and entry, hexadecimal.

        Raises:
            CassetteError: it cannot be written.
        """
        head = b"" if self._begun else f"{' '.join(context)}\n".encode()
        self._begun = True
        storage.append(self._path, head + line)

    def lead_to(self, path: Path) -> None:
        """Say where the lane's file is about to be: there is more to come behind the end of the process.

        Args:
            path: of the file.

        Raises:
            CassetteError: it cannot be written.
        """
        self._begun = True
        storage.append(self._path, f"{path.absolute()}\n".encode())

    def take(self) -> Left:
        """Take what another process has left, which is nothing where the lane made no call before it was killed."""
        try:
            lines = self._path.read_bytes().splitlines(keepends=True)
        except OSError:
            return Left()
        self._begun = True
        calls = b"".join(line for line in lines if line.startswith(b"{") and line.endswith(b"\n"))
        others = [line.decode().rstrip("\n") for line in lines if line[:1] != b"{"]
        ids = others[0].split() if others else []
        path = Path(others[-1]) if others else None
        context = (ids[0], ids[1]) if len(ids) == 2 and not ids[0].startswith("/") else None  # noqa: PLR2004 - a pair
        return Left(calls, context, path if path is not None and path.is_absolute() and path.exists() else None)

    def discard(self) -> None:
        """Remove the file."""
        if self._begun:
            self._begun = False
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
