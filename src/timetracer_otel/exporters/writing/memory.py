"""How much memory a recording holds: open lanes that have grown, and what waits for the writer."""

from __future__ import annotations

import resource
import threading
from pathlib import Path
from typing import Final

from timetracer_otel import encoding
from timetracer_otel.seams import forks

__all__ = ["Memory"]


_PAGE: Final = resource.getpagesize()
_HAS_STATM: Final = Path("/proc/self/statm").exists()


class Memory:
    """Bytes held, against a limit. A forked child begins with none.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.high = limit // 2
        """Above this the recording is under pressure."""
        self._reset()
        forks.after_in_child(self._reset)

    def _reset(self) -> None:
        self.used = 0
        self._lock = threading.Lock()

    def _room(self) -> int:
        """Bytes that may be held: where the address space has a limit, a quarter of what the app leaves of it."""
        address_space = encoding.look()
        if address_space is None:
            return self.limit
        return min(self.limit, (address_space - self._taken() + self.used) // 4)

    @staticmethod
    def _taken() -> int:
        """Bytes of address space that the process has; 0 where the system does not say it in a file."""
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * _PAGE if _HAS_STATM else 0

    def take(self, size: int) -> bool:
        """Count bytes that are held from now on.

        Args:
            size: bytes; negative ones are given back.

        Returns:
            False when they would go over the limit: they are not counted then.
        """
        with self._lock:
            if size > 0 and self.used + size > self._room():
                return False
            self.used += size
            return True
