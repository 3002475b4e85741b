"""Describes a question to a database in the form in which recorded and live calls are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi import asking, in_lists, told, typed
from timetracer_otel.families.dbapi.asking import Asked
from timetracer_otel.families.dbapi.statements import normal
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams import values as kinds
from timetracer_otel.seams.values import Blanker

__all__ = ["answer", "describe", "describe_blind", "describe_recorded", "reply_values"]

_STATEMENTS: Final = frozenset({"execute", "executemany", "executescript"})
_KEPT: Final = 4096
"""Characters of the longest statement that is remembered."""
_READS: Final = frozenset({"serialize", "blob read"})


def describe(asked: Asked) -> Description:
    """Say what is asked, so that the same asked in another run compares equal.

    The key is the system, the verb of the statement and its table. The text of the statement counts, and each
    parameter with its type; ids and times in both are values. Which database it is counts as a preference: its path may
    be another one in another run. Nothing of the connection or of the cursor counts.

    Args:
        asked: recorded or live.
    """
    sql, values, lists = _statement(asked.sql) if len(asked.sql) <= _KEPT else _statement.__wrapped__(asked.sql)
    blanker = Blanker()
    parameters, more = _parameters(asked, blanker)
    shape = [asked.operation, sql, asked.many, parameters]
    digest = blake2b(typed.encoded(shape), digest_size=16).digest()
    return Description(
        _key(asked),
        digest,
        (*values, *blanker.values),
        _is_read(asked),
        _place(asked.database),
        unordered=(*lists, *((start + len(values), count, width) for start, count, width in more)),
        subjects=() if asked.outline.sets else None,
    )


@lru_cache(maxsize=1024)
def _statement(sql: str) -> tuple[str, tuple[Value, ...], in_lists.Unordered]:
    """Give the text of a statement as it counts, and the values that were in it: an app asks with few texts, often."""
    blanker = Blanker()
    sql = normal(sql)
    return blanker.text(sql), tuple(blanker.values), in_lists.unordered(sql)


@lru_cache(maxsize=1024)
def _place(database: str) -> bytes:
    """Digest of a database's name; empty when it has none."""
    return blake2b(database.encode("utf-8", "surrogateescape"), digest_size=16).digest() if database else b""


def describe_blind(asked: Asked) -> tuple[Description, ...]:
    """As :func:`describe` without the secrets, which a recording may have hidden for good; none where it has no secret.

    Args:
        asked: live.
    """
    return (describe(asked.blanked()),) if asked.has_secrets() else ()


def describe_recorded(recorded: Span) -> Description | None:
    """Say what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.
    """
    asked = asking.read(recorded)
    if asked is None or spans.LOST in recorded.attributes:
        return None
    return describe(asked.blanked() if asked.secret else asked)


def _key(asked: Asked) -> tuple[str, ...]:
    if asked.operation in _STATEMENTS:
        one = asked.outline
        return asked.system, one.verb or asked.operation.upper(), one.target
    return asked.system, asked.operation.upper(), ""


def _is_read(asked: Asked) -> bool:
    """Whether it changes nothing. In a transaction it sees what that wrote, so that it answers for no other."""
    if asked.in_transaction:
        return False
    return asked.operation in _READS or (asked.operation == "execute" and asked.outline.reads)


def _parameters(asked: Asked, blanker: Blanker) -> tuple[Any, in_lists.Unordered]:
    given = asked.parameters or []
    if asked.many or isinstance(given, Mapping):
        return _blanked(given, blanker), ()
    return in_lists.blanked(asked.sql, given, blanker, lambda _number, value: _blanked(value, blanker))


def _blanked(value: Any, blanker: Blanker) -> Any:
    kind = type(value)
    if kind is str:
        return blanker.text(value)
    if kind is int or kind is float:
        return blanker.number(value)
    if kind is list or kind is tuple:
        return [_blanked(item, blanker) for item in value]
    if kind is dict:
        return {name: _blanked(value[name], blanker) for name in sorted(value)}
    if kind is bytes and (found := kinds.of_bytes(value)) is not None:
        blanker.values.append(found)
        return {"\0bytes": len(value)}
    return value


def reply_values(recorded: Span) -> Iterable[Value]:
    """Give the ids and times in what a recorded call was told.

    Args:
        recorded: its span.
    """
    found = told.read(recorded)
    return () if found is None else told.values_in(found)


def answer(recorded: Span) -> bytes:
    """Digest of what a recorded call was told, equal for equal answers; of one not read to its end its own.

    Args:
        recorded: its span.
    """
    found = told.read(recorded)
    if found is None or not found.ended or any(type(row) is typed.Failed for row in found.rows):
        return recorded.span_id.encode()
    same = replace(found, changes=0, last_id=None, in_transaction=False)
    encoded = told.encode("", same)
    return blake2b(repr(encoded).encode("utf-8", "replace"), digest_size=16).digest()
