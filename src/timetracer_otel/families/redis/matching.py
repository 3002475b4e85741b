"""Describes commands in the form in which recorded and live ones are compared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.redis import commands as known
from timetracer_otel.families.redis.wire import Command, commands_in, rewritten
from timetracer_otel.families.replies import answer, reply_values
from timetracer_otel.families.words import blanked
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams import values as kinds
from timetracer_otel.seams.values import Blanker

__all__ = [
    "ASKED",
    "CONNECT",
    "DATABASE",
    "SYSTEM",
    "answer",
    "describe",
    "describe_recorded",
    "describe_sent",
    "is_connecting",
    "rebound",
    "reply_values",
]

SYSTEM: Final = "redis"
DATABASE: Final = "db.namespace"
"""The number of the database, as the semantic conventions name it."""
ASKED: Final = "timetracer.redis.asked"
"""True on a call that could set a connection up, and was the app's own."""
_CONNECTING: Final = "while connecting"
CONNECT: Final = Description((SYSTEM, "CONNECT", ""), b"", (), read=False, subjects=())
"""A connection that failed. One that did not is no call."""
_MESSAGE: Final = Description((SYSTEM, "message"), b"", (), read=True)
"""What a subscription was told: nobody asks for it. There may be many, so they share one."""
_IN_TRANSACTION: Final = "MULTI"
_KEPT: Final = 1024
"""Bytes of the longest commands whose description is remembered."""


def describe(asked: list[Command], database: str = "0", *, connecting: bool = False) -> Description:
    """Say what commands ask that were sent together, so that the same asked in another run compares equal.

    The key is the system, the name and the first argument of the first command. All of a command counts: ids and times
    in it are values. The number of the database counts as a preference, since a URL may name another one.

    Args:
        asked: one command, or those of a pipeline; at least one.
        database: the number of the database.
        connecting: whether the driver asks them to set a connection up.
    """
    asked = list(map(known.without_secrets, asked))
    blanker = Blanker()
    digest = blake2b(digest_size=16)
    for command in asked:
        digest.update(b"*%d" % len(command))
        for word in command:
            found = blanked(word, blanker)
            digest.update(b"$%d:" % len(found) + found)
    is_read = all(map(known.is_read, asked))
    settles = all(map(known.is_settling, asked))
    return Description(
        (*_key(asked), _CONNECTING) if connecting else _key(asked),
        digest.digest(),
        tuple(blanker.values),
        is_read or settles,
        b"" if database == "0" else database.encode(),
        subjects=_subjects(asked),
        settles=settles,
        probe=all(known.name(command) in known.UNSUBSCRIBES for command in asked),
    )


def is_connecting(asked: Description) -> bool:
    """Whether a call is a connection that could not be made, or was not set up.

    Args:
        asked: of the call.
    """
    return asked.key == CONNECT.key or asked.key[-1] == _CONNECTING


def describe_sent(data: bytes, database: str = "0") -> Description:
    """As :func:`describe`, of commands as they were sent: an app sends few different ones, often.

    Args:
        data: one command, or those of a pipeline.
        database: the number of the database.
    """
    return _described(data, database) if len(data) <= _KEPT else describe(commands_in(data), database)


@lru_cache(maxsize=1024)
def _described(data: bytes, database: str) -> Description:
    return describe(commands_in(data), database)


def _key(asked: list[Command]) -> tuple[str, ...]:
    names = [known.name(command) for command in asked]
    verb = names[0] if len(names) == 1 else " ".join(dict.fromkeys(names))
    first = next((command[1] for command in asked if len(command) > 1), b"")
    return SYSTEM, verb, Blanker().text(first.decode("utf-8", "replace")).replace("\0", "~")


def _subjects(asked: list[Command]) -> tuple[tuple[str, ...], ...] | None:
    found: dict[tuple[str, ...], None] = {}
    for command in asked:
        keys = [] if known.name(command) in {_IN_TRANSACTION, "EXEC"} else known.keys(command)
        if keys is None:
            return None
        found |= dict.fromkeys((SYSTEM, key.decode("utf-8", "replace")) for key in keys)
    return tuple(found)


def describe_recorded(recorded: Span) -> Description | None:
    """Say what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.
    """
    if spans.LOST in recorded.attributes:
        return None
    request = recorded.payload(spans.REQUEST)
    if request is None:  # a message of a subscription, or a connection that failed
        return _MESSAGE if spans.FOLLOWS in recorded.attributes else CONNECT
    asked = commands_in(request)
    connecting = ASKED not in recorded.attributes and all(map(known.is_setup, asked))
    return describe(asked, recorded.text(DATABASE) or "0", connecting=connecting)


def rebound(reply: bytes, bindings: Mapping[Value, Value]) -> bytes:
    """Give a reply with live values in place of the recorded ones that they are bound to.

    Args:
        reply: whole.
        bindings: the live value of each recorded one.
    """
    return rewritten(reply, lambda text: kinds.rebound(text, bindings)) if bindings else reply
