"""How many bytes of ended spans the host's exporters still hold."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["Waiting"]


class Waiting:
    """Counts spans from when they end until nobody holds them any more: sent, refused or dropped from a full queue.

    The objects themselves tell, because no queue of the SDK's does. A forked child begins with none.
    """

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._refs: set[ref[ReadableSpan]] = set()
        self._freed: deque[int] = deque()
        self._held = 0
        self._lock = threading.Lock()

    def add(self, span: ReadableSpan, size: int) -> None:
        """Count a span for as long as it lives.

        Args:
            span: as exporters get it.
            size: its bytes.
        """
        refs, freed = self._refs, self._freed

        def gone(reference: ref[ReadableSpan]) -> None:
            # Runs wherever the last reference ends, also inside our lock: only what cannot block.
            refs.discard(reference)
            freed.append(size)

        refs.add(ref(span, gone))
        with self._lock:
            self._held += size

    def total(self) -> int:
        """Bytes held now."""
        with self._lock:
            while self._freed:
                self._held -= self._freed.popleft()
            return self._held
