"""A body while it passes, in one direction: kept by reference, and in child spans as soon as it is large."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from timetracer_otel import spans
from timetracer_otel.families.http.messages import chunks_attribute

if TYPE_CHECKING:
    from timetracer_otel.seams import Call

__all__ = ["Body"]

_Piece: TypeAlias = bytes | memoryview
LIMIT = 256 * 1024
"""Bytes held in memory of one body; more leave as a chunk."""
MOST_PIECES = 50_000
"""Pieces whose times are kept: an endless stream must not fill memory with them."""


class Body:
    """The bytes of a request or a response, as far as they have passed.

    Args:
        call: that it belongs to.
        name: of its payload.
        since: when it began, by the monotonic clock in nanoseconds; None when its pieces and their times are not kept.
    """

    __slots__ = ("_call", "_held", "_name", "_parts", "_pieces", "_since", "_timed", "complete", "failed")

    def __init__(self, call: Call, name: str, since: int | None = None) -> None:
        self._call = call
        self._name = name
        self._pieces: list[_Piece] = []
        self._held = 0
        self._parts = 0
        self._since = since or 0
        self._timed: list[tuple[int, int]] | None = None if since is None else []
        self.complete = False
        self.failed = False
        """Whether it ended before its end: the app stopped reading, or an error came."""
        call.payloads.append((self._encode, name, self))

    def __len__(self) -> int:
        """Bytes held in memory."""
        return self._held

    @property
    def has_left(self) -> bool:
        """Whether some of it is in memory no more."""
        return bool(self._parts)

    def held(self) -> bytes:
        """What is in memory."""
        return b"".join(list(self._pieces))

    def add(self, piece: _Piece, *, continues: bool = False, at: int | None = None) -> None:
        """Take what has passed.

        Args:
            piece: the bytes, or a view of bytes, which cannot change.
            continues: whether it belongs to the piece before it.
            at: when it came, by the same clock; None for now.
        """
        size = len(piece)
        if size >= LIMIT and self._pieces:
            self._leave()  # a piece so large is cut where it is, and not joined with others
        self._pieces.append(piece if _cannot_change(piece) else bytes(piece))
        self._held += size
        timed = self._timed
        if timed is not None and continues and timed:
            timed[-1] = (timed[-1][0], timed[-1][1] + size)
        elif timed is not None and len(timed) < MOST_PIECES:
            timed.append((((time.monotonic_ns() if at is None else at) - self._since) // 1000, size))
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
        pieces, size, self._pieces, self._held = self._pieces, self._held, [], 0
        first, count = self._parts, max(1, size // LIMIT)
        self._parts += count
        if spans.LOST not in self._call.attributes:
            self._call.late("chunk", lambda: _chunks(self._name, pieces, first, count), size)

    def encoded(self) -> dict[str, spans.Attribute]:
        """The payload as it is so far."""
        attributes: dict[str, spans.Attribute] = {}
        if not self._parts:
            attributes |= spans.encode_payload(self._name, self.held())
        elif self.complete and spans.LOST not in self._call.attributes:
            attributes[self._name + spans.PARTS] = self._parts
        if self._timed and 1 < len(self._timed) < MOST_PIECES:
            attributes |= chunks_attribute(list(self._timed))
        return attributes

    def _encode(self, _name: str, _self: object) -> dict[str, spans.Attribute]:
        return self.encoded()


def _cannot_change(piece: _Piece) -> bool:
    return type(piece) is bytes or (type(piece) is memoryview and type(piece.obj) is bytes)


def _chunks(name: str, pieces: list[_Piece], first: int, count: int) -> Iterator[dict[str, spans.Attribute]]:
    """Encode what left memory together: one chunk of several pieces, or a large piece in several chunks."""
    for number, payload in enumerate(_cut(b"".join(pieces), count), first):
        place: dict[str, spans.Attribute] = {spans.PART_OF: name, spans.PART_INDEX: number}
        yield place | spans.encode_payload(name, payload)


def _cut(data: bytes, count: int) -> Iterator[memoryview]:
    ends = [*(number * LIMIT for number in range(1, count)), len(data)]
    return (memoryview(data)[start:end] for start, end in pairwise([0, *ends]))
