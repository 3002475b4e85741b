"""Ending a program of several processes behind its last recorded task: one of them tells the one that ends them all."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["Ending"]


class Ending:
    """The process that ends a program, and the signal for it. Forked children may tell it, and only one does.

    A second signal often means to end at once, whatever is under way.

    Args:
        number: of the signal.
        pid: of the process; this one's when it is not said.
    """

    def __init__(self, number: int, pid: int | None = None) -> None:
        self._number = number
        self._pid = os.getpid() if pid is None else pid
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.write(writing, b"!")  # for the one that may

    def tell(self) -> None:
        """Tell it, if nobody has."""
        with suppress(BlockingIOError):
            os.read(self._reading, 1)
            os.kill(self._pid, self._number)
