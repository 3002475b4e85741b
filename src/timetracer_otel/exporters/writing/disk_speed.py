"""Whether the disk is slow, told apart from a process that has little of its interpreter's lock or of the machine."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["DOUBT_SECONDS", "Slowness", "control"]

DOUBT_SECONDS: Final = 0.05
"""A write that took longer is doubted; one that took so much longer than its control speaks for a slow disk."""
_MUCH: Final = 10
"""Times its control: then it speaks for that loudly."""
_LOUD: Final = 3
_ENOUGH: Final = 12
"""Evidence in a row from which the disk counts as slow: four loud writes."""
_EASY: Final = 3
"""Writes in a row that took no longer than their control, after which it no longer does."""
_DOUBTED: Final = 8
"""How many writes are compared after one that took long."""
_CALLS: Final = 5
"""System calls of a write that let go of the interpreter's lock."""
_CALL_SECONDS: Final = 0.0001
"""As long as such a call takes: in a shorter one, no thread that waits for the lock would wake up and take it."""


def control() -> float:
    """Do what a write does but for the disk: let go of the lock, and wait for it again; give the seconds."""
    begun = time.monotonic()
    for _ in range(_CALLS):
        time.sleep(_CALL_SECONDS)
    return time.monotonic() - begun


class Slowness:
    """Judges writes.

    Attributes:
        slow: whether the disk is slow.
        doubted: how many of the next writes are to be compared with a control.
    """

    def __init__(self) -> None:
        self.slow = False
        self.doubted = 0
        self._evidence = 0
        self._easy = 0

    def doubt(self) -> None:
        """Have the next writes compared: one took longer than :data:`DOUBT_SECONDS`."""
        self.doubted = _DOUBTED

    def compared(self, seconds: float, control_seconds: float) -> bool:
        """Look at a write beside its control.

        Args:
            seconds: that the write took.
            control_seconds: that :func:`control` took just before or after.

        Returns:
            Whether the disk has just turned out to be slow.
        """
        self.doubted -= self.doubted > 0
        if seconds - control_seconds <= DOUBT_SECONDS:
            self._evidence = 0
            self._easy += 1
            self.slow = self.slow and self._easy < _EASY
            return False
        self._easy = 0
        self._evidence += _LOUD if seconds > _MUCH * control_seconds else 1
        self.doubted = max(self.doubted, 1)
        if self.slow or self._evidence < _ENOUGH:
            return False
        self.slow = True
        return True
