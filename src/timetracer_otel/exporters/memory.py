"""How much memory a recording holds: open lanes that have grown, and what waits for the writer."""

from __future__ import annotations

import os
import threading

__all__ = ["Memory"]


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
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self.used = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Count bytes that are held from now on.

        Args:
            size: bytes; negative ones are given back.

        Returns:
            False when they would go over the limit: they are not counted then.
        """
        with self._lock:
            if size > 0 and self.used + size > self.limit:
                return False
            self.used += size
            return True
