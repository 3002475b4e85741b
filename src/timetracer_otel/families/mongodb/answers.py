"""Digests of MongoDB replies, without the values that differ each time."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from timetracer_otel.families.mongodb.bson_walk import elements, guarded
from timetracer_otel.families.mongodb.wire import cursor_id

__all__ = ["digest"]

_VOLATILE: Final = frozenset(
    {
        b"$clusterTime", b"operationTime", b"electionId", b"$configTime", b"$topologyTime",
        # of createIndexes: whether the index was there before; after it, it is
        b"numIndexesBefore", b"numIndexesAfter", b"createdCollectionAutomatically", b"note", b"commitQuorum",
    }
)  # fmt: skip


@guarded
def digest(reply: bytes, unique: str) -> bytes:
    """Give a digest of a reply that is equal for equal answers.

    Args:
        reply: BSON document.
        unique: of this call alone. An answer whose cursor goes on is like no other: the rest of it may differ.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    hashed = blake2b(digest_size=16)
    for _kind, name, start, _value, end in elements(reply, 0, len(reply)):
        if name not in _VOLATILE:
            hashed.update(memoryview(reply)[start:end])
    if cursor_id(reply):
        hashed.update(unique.encode())
    return hashed.digest()
