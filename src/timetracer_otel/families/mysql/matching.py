"""Describes a question to a server in the form in which recorded and live calls are compared."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.dbapi import in_lists
from timetracer_otel.families.mysql import asked as questions
from timetracer_otel.families.mysql import cells, literals, statements
from timetracer_otel.families.mysql.asked import INIT_DB, QUERY, SYSTEM, Asked
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams.values import Blanker

__all__ = ["CONNECT", "CONNECTING", "describe", "describe_otherwise", "describe_recorded", "sets_up"]

_KEPT: Final = 4096
"""Characters of the longest statement that is remembered."""
_LONGEST: Final = 1 << 20
"""Characters of the longest statement in which binary values are looked for."""
_NO_DATA: Final = frozenset({"BEGIN", "START", "SAVEPOINT", "RELEASE", "SET", "SHOW", "USE", "KILL", "STATISTICS"})
_BINARY: Final = re.compile(r"(?s)_binary\s*'([^'\\]*(?:(?:\\.|'')[^'\\]*)*)'")

CONNECTING: Final = "timetracer.mysql.connecting"
"""On a call that is no exchange: a connection could not be made."""
CONNECT: Final = Description((SYSTEM, "CONNECT", ""), b"", (), read=False, subjects=())
"""Of a connection that could not be made."""


def describe(asked: Asked, *, aside: bool = False, first: bool = False) -> Description:
    """Say what is asked, so that the same asked in another run compares equal.

    The key is the system, the verb of the statement and its table. The text of the statement counts, which has the
    parameters in it; ids and times in it are values. Names of savepoints, cursors and connections do not count. Of
    calls that are alike, one of the same transaction answers first.

    Args:
        asked: recorded or live.
        aside: whether it looks after its connection, which no program asks for: it is another question then.
        first: whether it sets its connection up, as the first call in its lane of one that was there before.
    """
    text, values = _statement(asked.compact) if len(asked.compact) <= _KEPT else _statement.__wrapped__(asked.compact)
    shape = [asked.command, text if asked.command == QUERY else asked.argument, aside, first]
    if asked.file is not None:
        shape.append(blake2b(asked.file, digest_size=16).digest())
    digest = blake2b(repr(shape).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    settles = asked.command == QUERY and statements.is_catalog(asked.compact)
    read = settles or _is_read(asked)
    verb, target = _about(asked)
    return Description(
        (SYSTEM, verb, target),
        digest,
        values,
        read,
        _preference(asked, settles=settles, read=read),
        subjects=() if settles or verb in _NO_DATA else None,
        settles=settles,
    )


@lru_cache(maxsize=1024)
def _statement(sql: str) -> tuple[str, tuple[Value, ...]]:
    """Give the text of a statement as it counts, and the values that were in it."""
    blanker = Blanker()
    text = statements.normal(sql)
    if "\\" not in text:  # behind one a quote may not end a text
        text = in_lists.sorted_literals(text)
    if "_binary" in text and len(text) <= _LONGEST:
        text = _BINARY.sub(lambda found: _of_binary(found, blanker), text)
    return blanker.text(text), tuple(blanker.values)


def _of_binary(found: re.Match[str], blanker: Blanker) -> str:
    raw = literals.unescaped(found[1]).encode("utf-8", "surrogateescape")
    value = cells.value_of(raw)
    if value is None:
        return found[0]
    blanker.values.append(value)
    return f"_binary\0{len(raw)}"


def describe_otherwise(asked: Asked) -> tuple[Description, ...]:
    """As :func:`describe`, in the other forms in which a recording may have it; mostly none.

    Without the secrets, which may be hidden for good; as the first on its connection.

    Args:
        asked: live.
    """
    first = (describe(asked, first=True),) if sets_up(asked) else ()
    return (*first, describe(asked.blanked())) if asked.secrets() else first


def describe_recorded(recorded: Span) -> Description | None:
    """Say what a recorded call asked; None when it never counts.

    Args:
        recorded: its span.
    """
    if spans.LOST in recorded.attributes:
        return None
    if recorded.attributes.get(CONNECTING):
        return CONNECT
    asked = questions.read(recorded)
    if asked is None:
        return None
    aside = bool(recorded.attributes.get(questions.ASIDE))
    if not aside and not asked.place.inside and statements.is_end(asked.sql):
        return None  # of an earlier version's recordings
    first = questions.SERVER in recorded.attributes and not aside and sets_up(asked)
    return describe(asked.blanked() if asked.secret else asked, aside=aside, first=first)


def sets_up(asked: Asked) -> bool:
    """Whether a call only sets its connection up.

    Args:
        asked: recorded or live.
    """
    return asked.command == QUERY and statements.is_set_up(asked.compact)


def _about(asked: Asked) -> tuple[str, str]:
    if asked.command == QUERY:
        verb, target = statements.verb_and_target(asked.compact)
        return verb or "QUERY", target
    return asked.verb, asked.argument.decode("utf-8", "replace") if asked.command == INIT_DB else ""


def _is_read(asked: Asked) -> bool:
    """Whether it changes nothing. After a write of its transaction it sees that, so that it answers for no other."""
    return asked.command == QUERY and not asked.place.wrote and statements.is_read(asked.compact)


def _preference(asked: Asked, *, settles: bool, read: bool) -> bytes:
    """Digest of the database that is asked, and of the transaction that a call is in, if what that wrote counts."""
    place = asked.place
    if settles:
        return b""
    transaction = f"{place.connection} {place.transaction}" if place.inside and not read else ""
    return blake2b(f"{place.peer} {transaction}".encode("utf-8", "replace"), digest_size=16).digest()
