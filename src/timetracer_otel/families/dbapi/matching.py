"""What is asked of a database, in the form that recorded and live calls are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi import asking, told, typed
from timetracer_otel.families.dbapi.asking import Asked
from timetracer_otel.families.dbapi.statements import normal
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams import values as kinds
from timetracer_otel.seams.values import Blanker

__all__ = ["answer", "describe", "describe_blind", "describe_recorded", "reply_values"]

_STATEMENTS: Final = frozenset({"execute", "executemany", "executescript"})
_READS: Final = frozenset({"serialize", "blob read"})


def describe(asked: Asked) -> Description:
    """Say what is asked, so that the same asked in another run compares equal.

    The key is the system, the verb of the statement and its table. The text of the statement counts, and each
    parameter with its type; ids and times in both are values. Which database it is counts as a preference: its path may
    be another one in another run. Nothing of the connection or of the cursor counts.

    Args:
        asked: recorded or live.
    """
    blanker = Blanker()
    shape = [asked.operation, blanker.text(normal(asked.sql)), asked.many, _blanked(asked.parameters or [], blanker)]
    digest = blake2b(typed.encoded(shape), digest_size=16).digest()
    where = asked.database.encode("utf-8", "surrogateescape") if asked.database else b""
    preference = blake2b(where, digest_size=16).digest() if where else b""
    subjects = () if asked.outline.sets else None
    return Description(_key(asked), digest, tuple(blanker.values), _is_read(asked), preference, subjects=subjects)


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


def _blanked(value: Any, blanker: Blanker) -> Any:
    if isinstance(value, Mapping):
        return {name: _blanked(value[name], blanker) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_blanked(item, blanker) for item in value]
    if isinstance(value, str):
        return blanker.text(value)
    if type(value) in {int, float}:
        return blanker.number(value)
    if isinstance(value, bytes) and (found := kinds.of_bytes(value)) is not None:
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
