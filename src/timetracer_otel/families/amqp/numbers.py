"""Which of its queue's consumers one is: several of a program may do different things with what comes."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

__all__ = ["Numbers", "lowest_free"]


def lowest_free(taken: set[int]) -> int:
    """Give the lowest number that is not taken: one that consumes anew, behind another, is what that was.

    Args:
        taken: by others of the queue.
    """
    return next(number for number in range(len(taken) + 1) if number not in taken)


class Numbers:
    """The consumers of a program, by their queue, each with its number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._live: defaultdict[str, dict[int, Callable[[], bool]]] = defaultdict(dict)

    def take(self, queue: str, is_live: Callable[[], bool]) -> int:
        """Give a consumer its number.

        Args:
            queue: that it consumes.
            is_live: says whether it still does.
        """
        with self._lock:
            here = self._live[queue]
            for number in [number for number, lives in here.items() if not lives()]:
                del here[number]
            number = lowest_free(set(here))
            here[number] = is_live
        return number
