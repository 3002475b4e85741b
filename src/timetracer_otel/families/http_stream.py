"""A body while it passes, in one direction: kept by reference, and in child spans as soon as it is large."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from timetracer_otel import spans
from timetracer_otel.families.http_exchange import chunks_attribute

if TYPE_CHECKING:
    from timetracer_otel.seams import Call

__all__ = ["Body"]

LIMIT = 256 * 1024
"""Bytes held in memory of one body; more leave as a chunk."""
_MOST_PIECES = 50_000
"""Pieces whose times are kept: an endless stream must not fill memory with them."""


class Body:
    """The bytes of a request or a response, as far as they have passed.

    Args:
        call: that it belongs to.
        name: of its payload.
        timed: whether the pieces in which it came are kept.
    """

    __slots__ = ("_call", "_held", "_last", "_name", "_parts", "_pieces", "_timed", "complete", "failed")

    def __init__(self, call: Call, name: str, *, timed: bool) -> None:
        self._call = call
        self._name = name
        self._pieces: list[bytes] = []
        self._held = 0
        self._parts = 0
        self._last = time.monotonic_ns()
        self._timed: list[tuple[int, int]] | None = [] if timed else None
        self.complete = False
        self.failed = False
        """Whether it ended before its end: the app stopped reading, or an error came."""
        call.payloads.append((self._encode, name, self))

    def __len__(self) -> int:
        """Bytes held in memory."""
        return self._held

    def add(self, piece: bytes, *, continues: bool = False) -> None:
        """Take what has passed.

        Args:
            piece: the bytes.
            continues: whether it belongs to the piece before it.
        """
        self._pieces.append(piece)
        self._held += len(piece)
        timed = self._timed
        if timed is not None and continues and timed:
            timed[-1] = (timed[-1][0], timed[-1][1] + len(piece))
        elif timed is not None and len(timed) < _MOST_PIECES:
            timed.append(((time.monotonic_ns() - self._last) // 1000, len(piece)))
        if self._held >= LIMIT:
            self._leave()

    def end(self, *, failed: bool = False) -> None:
        """Say that nothing more will come.

        Args:
            failed: whether it is known not to be whole.
        """
        if self._parts and self._pieces:
            self._leave()
        self.failed = failed
        self.complete = True

    def _leave(self) -> None:
        pieces, self._pieces, self._held = self._pieces, [], 0
        number, self._parts = self._parts, self._parts + 1
        place: dict[str, spans.Attribute] = {spans.PART_OF: self._name, spans.PART_INDEX: number}
        self._call.late("chunk", lambda: place | spans.encode_payload(self._name, pieces))

    def encoded(self) -> dict[str, spans.Attribute]:
        """The payload as it is so far."""
        attributes: dict[str, spans.Attribute] = {}
        if not self._parts:
            attributes |= spans.encode_payload(self._name, list(self._pieces))
        elif self.complete:
            attributes[self._name + spans.PARTS] = self._parts
        if self._timed and 1 < len(self._timed) < _MOST_PIECES:
            attributes |= chunks_attribute(list(self._timed))
        return attributes

    def _encode(self, _name: str, _self: object) -> dict[str, spans.Attribute]:
        return self.encoded()
