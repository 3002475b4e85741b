"""The cursor that a MongoDB reply opens or continues: its id and its name, read and set."""

from __future__ import annotations

from timetracer_otel.families.mongodb.bson_walk import DOCUMENT, INT32, INT64, STRING, elements, guarded
from timetracer_otel.families.mongodb.wire import named

__all__ = ["cursor_id", "cursor_namespace", "set_cursor_id"]


@guarded
def cursor_id(reply: bytes) -> int:
    """Give the id of the cursor that a reply opens or continues; 0 when there is none or it is exhausted.

    Args:
        reply: BSON document of a reply: find, aggregate, getMore, list…, bulkWrite all say it in ``cursor.id``.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    if _is_surely_done(reply):
        return 0
    found = _cursor_id_at(reply)
    return 0 if found is None else int.from_bytes(reply[found[0] : found[1]], "little", signed=True)


@guarded
def set_cursor_id(reply: bytes, new: int) -> bytes:
    """Put another cursor id into a reply that has one; any other is given back as it is.

    Raises:
        CassetteError: the bytes are no BSON document, or ``new`` is wider than the id it replaces (64 bits).
    """
    found = _cursor_id_at(reply)
    if found is None:
        return reply
    start, end = found
    return reply[:start] + new.to_bytes(end - start, "little", signed=True) + reply[end:]


@guarded
def cursor_namespace(reply: bytes) -> str:
    """Give the ``database.collection`` that a reply says its cursor reads; empty when it does not say.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    cursor = named(elements(reply, 0, len(reply)), b"cursor")
    if cursor is None or cursor[0] != DOCUMENT:
        return ""
    name = named(elements(reply, cursor[3], cursor[4]), b"ns")
    return reply[name[3] + 4 : name[4] - 1].decode() if name is not None and name[0] == STRING else ""


def _is_surely_done(reply: bytes) -> bool:
    """Whether every 64-bit ``id`` in a reply is 0, at whatever place: most replies are told so without a walk."""
    at = reply.find(_ID64)
    if at < 0:
        return False  # some servers give a cursor's id in 32 bits
    while at >= 0:
        if reply[at + len(_ID64) : at + len(_ID64) + 8] != _ZERO64:
            return False
        at = reply.find(_ID64, at + 1)
    return b"\x10id\0" not in reply


_ID64 = b"\x12id\0"  # type INT64, and the element's name
_ZERO64 = bytes(8)


def _cursor_id_at(reply: bytes) -> tuple[int, int] | None:
    cursor = named(elements(reply, 0, len(reply)), b"cursor")
    if cursor is None or cursor[0] != DOCUMENT:
        return None
    number = named(elements(reply, cursor[3], cursor[4]), b"id")
    return None if number is None or number[0] not in (INT32, INT64) else (number[3], number[4])
