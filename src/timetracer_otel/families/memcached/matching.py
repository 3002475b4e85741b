"""Describes commands in the form in which recorded and live ones are compared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.memcached import commands as known
from timetracer_otel.families.memcached.wire import Command, commands_in, rewritten
from timetracer_otel.families.replies import answer, reply_values
from timetracer_otel.families.words import blanked
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams import values as kinds
from timetracer_otel.seams.values import Blanker

__all__ = ["CONNECT", "SYSTEM", "answer", "describe", "describe_recorded", "describe_sent", "rebound", "reply_values"]

SYSTEM: Final = "memcached"
CONNECT: Final = Description((SYSTEM, "connect", ""), b"", (), read=False, subjects=())
"""A connection that failed. One that did not is no call."""
_KEPT: Final = 1024
"""Bytes of the longest commands whose description is remembered."""
_FETCHES: Final = frozenset({"get", "gets"})
"""Commands with keys in any order: an app that has them in a set asks in another one each time."""


def describe(asked: list[Command]) -> Description:
    """Say what commands ask that were sent together, so that the same asked in another run compares equal.

    The key is the system, the name and the first argument of the first command. All of a command counts: ids and times
    in it are values.

    Args:
        asked: one command or several; at least one.
    """
    blanker = Blanker()
    digest = blake2b(digest_size=16)
    for command in map(_sorted, asked):
        pieces = command.words if command.value is None else [*command.words, command.value]
        digest.update(b"*%d" % len(pieces))
        for place, piece in enumerate(pieces):
            if _is_size(command, place):
                continue
            word = blanked(piece, blanker)
            digest.update(b"$%d:" % len(word) + word)
    return Description(
        _key(asked),
        digest.digest(),
        tuple(blanker.values),
        all(map(known.is_read, asked)),
        subjects=_subjects(asked),
        settles=all(map(known.is_settling, asked)),
    )


def describe_sent(data: bytes) -> Description:
    """As :func:`describe`, of commands as they were sent: an app sends few different ones, often.

    Args:
        data: one command or several.
    """
    return _described(data) if len(data) <= _KEPT else describe(commands_in(data))


@lru_cache(maxsize=1024)
def _described(data: bytes) -> Description:
    return describe(commands_in(data))


def _sorted(command: Command) -> Command:
    if command.name not in _FETCHES:
        return command
    name, *keys = command.words
    return Command([name, *sorted(keys, key=lambda key: (blanked(key, Blanker()), key))])


def _is_size(command: Command, place: int) -> bool:
    """Whether a word is the size of the value: an id in that may be written with or without dashes."""
    return command.value is not None and place == (2 if command.name == "ms" else 4)


def _key(asked: list[Command]) -> tuple[str, ...]:
    verb = " ".join(dict.fromkeys(command.name for command in asked))
    first = next((command.words[1] for command in map(_sorted, asked) if len(command.words) > 1), b"")
    return SYSTEM, verb, Blanker().text(first.decode("utf-8", "replace")).replace("\0", "~")


def _subjects(asked: list[Command]) -> tuple[tuple[str, ...], ...] | None:
    found: dict[tuple[str, ...], None] = {}
    for command in asked:
        keys = known.keys(command)
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
    return CONNECT if request is None else describe(commands_in(request))


def rebound(reply: bytes, bindings: Mapping[Value, Value]) -> bytes:
    """Give a reply with live values in place of the recorded ones that they are bound to.

    Args:
        reply: whole.
        bindings: the live value of each recorded one.
    """
    return rewritten(reply, lambda text: kinds.rebound(text, bindings)) if bindings else reply
