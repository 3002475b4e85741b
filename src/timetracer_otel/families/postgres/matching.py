"""Describes a question to a server in the form in which recorded and live calls are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi import in_lists
from timetracer_otel.families.postgres import asked as questions
from timetracer_otel.families.postgres import cells, literals, statements
from timetracer_otel.families.postgres.asked import SYSTEM, Asked, Place
from timetracer_otel.families.postgres.setting_up import FIRST
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams.values import Blanker

__all__ = ["CONNECT", "CONNECTING", "describe", "describe_otherwise", "describe_recorded"]

_KEPT: Final = 4096
"""Characters of the longest statement that is remembered."""
_NO_DATA: Final = frozenset(
    {"BEGIN", "START", "SAVEPOINT", "RELEASE", "SET", "SHOW", "LISTEN", "UNLISTEN", "CLOSE", "DISCARD", "RESET"}
)

_TEXT: Final = (0,)
"""The formats of a result in text, as libpq asks for them; asyncpg does one by one, or for binary."""

CONNECTING: Final = "timetracer.postgresql.connecting"
"""On a call that is no exchange: a connection could not be made."""
CONNECT: Final = Description((SYSTEM, "CONNECT", ""), b"", (), read=False, subjects=())
"""Of a connection that could not be made."""


def describe(asked: Asked) -> Description:
    """Say what is asked, so that the same asked in another run compares equal.

    The key is the system, the verb of the statement and its table. The text of the statement counts, the bytes of each
    parameter with its type and format, and in which formats the client wants the result; ids and times in the text and
    in parameters are values. Names of statements, portals and connections do not count. Of calls that are alike, one
    of the same transaction answers first.

    Args:
        asked: recorded or live.
    """
    text = literals.compact(asked.sql)
    sql, values, lists = _statement(text) if len(text) <= _KEPT else _statement.__wrapped__(text)
    blanker = Blanker()
    is_plain = asked.operation == "execute" and _is_plain(asked)
    shape: list[object] = ["query" if is_plain else asked.operation, sql, asked.types, asked.limit]
    if asked.first:
        shape.append("first")
    for one in () if is_plain else asked.sets:
        shape += [one.formats, one.result_formats]
        forms, more = in_lists.blanked(
            asked.sql, one.parameters, blanker, partial(_blanked, asked, one.formats, blanker)
        )
        shape += forms
        lists += tuple((start + len(values), count, width) for start, count, width in more)
    if asked.copied is not None or asked.refused:
        whole = asked.done or bool(asked.refused)
        shape += ["copy", blake2b(asked.copied or b"", digest_size=16).digest() if whole else b"", asked.refused]
    digest = blake2b(repr(shape).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    asks = asked.operation in {"query", "execute"}
    settles = asked.first or (asks and statements.is_catalog(asked.sql))
    probe = asks and not asked.place.inside and statements.is_probe(asked.sql)
    read = not asked.first and (settles or probe or _is_read(asked))
    return Description(
        _key(asked),
        digest,
        (*values, *blanker.values),
        read,
        _preference(asked, settles=settles, read=read),
        unordered=lists,
        subjects=() if settles else _subjects(asked),
        settles=settles,
        probe=probe,
        kept_twice=asked.first,
    )


def _is_plain(asked: Asked) -> bool:
    """Whether a statement is one that libpq asks without parameters, prepared: on a colder connection it is a query."""
    return len(asked.sets) == 1 and not asked.sets[0].parameters and asked.sets[0].result_formats == _TEXT


def _blanked(asked: Asked, formats: Sequence[int], blanker: Blanker, number: int, raw: bytes | None) -> object:
    return cells.blanked(raw, asked.type_of(number), formats[number], blanker)


@lru_cache(maxsize=1024)
def _statement(sql: str) -> tuple[str, tuple[Value, ...], in_lists.Unordered]:
    """Give the text of a statement as it counts, and the values that were in it: an app asks with few texts, often."""
    blanker = Blanker()
    sql = statements.normal(sql)
    return blanker.text(sql), tuple(blanker.values), in_lists.unordered(sql)


def describe_otherwise(asked: Asked) -> tuple[Description, ...]:
    """As :func:`describe`, in the other forms in which a recording may have it; mostly none.

    Without the secrets, which may be hidden for good; and without the data of a COPY that failed before its end.

    Args:
        asked: live.
    """
    forms = [asked.blanked()] if asked.secrets() else []
    if asked.copied is not None and asked.done:
        forms.append(replace(asked, done=False))
    return tuple(map(describe, forms))


def describe_recorded(recorded: Span) -> Description | None:
    """Say what a recorded call asked; None when it never counts.

    Args:
        recorded: its span.
    """
    if spans.LOST in recorded.attributes or recorded.text(questions.ASIDE):
        return None
    if recorded.attributes.get(CONNECTING):
        return CONNECT
    asked = questions.read(recorded)
    if asked is None:
        return None
    if FIRST in recorded.attributes:
        asked = replace(asked, first=True)
    return describe(asked.blanked() if asked.secret else asked)


def _key(asked: Asked) -> tuple[str, ...]:
    one = statements.outline(asked.sql)
    return SYSTEM, one.verb or "QUERY", one.target


def _is_read(asked: Asked) -> bool:
    """Whether it changes nothing. After a write of its transaction it sees that, so that it answers for no other."""
    return (
        asked.operation in {"query", "execute"}
        and not asked.place.wrote
        and asked.copied is None
        and statements.is_read(asked.sql)
    )


def _preference(asked: Asked, *, settles: bool, read: bool) -> bytes:
    """Digest of the database that is asked, and of the transaction that a call is in, if what that wrote counts.

    Of what concerns a cursor of the server it is that cursor's.
    """
    place: Place = asked.place
    if settles:
        return b""
    if asked.cursor:
        return blake2b(f"{place.peer} {asked.cursor}".encode("utf-8", "replace"), digest_size=16).digest()
    transaction = f"{place.connection} {place.transaction}" if place.inside and not read else ""
    return blake2b(f"{place.peer} {transaction}".encode("utf-8", "replace"), digest_size=16).digest()


def _subjects(asked: Asked) -> tuple[tuple[str, ...], ...] | None:
    return () if statements.outline(asked.sql).verb in _NO_DATA else None
