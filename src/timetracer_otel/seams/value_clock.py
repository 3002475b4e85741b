"""The moment at which a value says that it was made: what a clock showed, and ids that begin with the time."""

from __future__ import annotations

import re
import uuid
from typing import Final, TypeAlias

from timetracer_otel.seams.integration import Value
from timetracer_otel.seams.value_forms import milliseconds
from timetracer_otel.seams.values import EPOCH, HASH, OBJECT_ID, TIME, TIMESTAMP, TOKEN, UUID

__all__ = ["Span", "as_far_from", "made_in", "new_each_time"]

Span: TypeAlias = tuple[int, int]
"""From when to when, in milliseconds of the epoch."""

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_KSUID_BEGAN: Final = 1_400_000_000
_GREGORIAN: Final = 0x01B21DD213814000
"""From 1582 to 1970, in the 100 nanoseconds that UUIDs of version 1 and 6 count (RFC 9562)."""
_ULID: Final = re.compile(r"0[0-9A-HJKMNP-TV-Z]{25}")
_KSUID: Final = re.compile(r"[0-9A-Za-z]{27}")
_COARSE: Final = 1000
"""Milliseconds that a clock which only counts seconds may be behind."""
_SLACK: Final = 120_000
"""Milliseconds that a time may be off from where it stood in the other run: requests take their time."""


def made_in(value: Value, span: Span) -> bool:
    """Whether a value says that it was made in a span of time.

    Args:
        value: of any kind; those that say nothing about it were not.
        span: the run.
    """
    made = _made(value)
    return made is not None and made[0] <= span[1] and made[1] >= span[0]


def _made(value: Value) -> Span | None:
    tag, raw = value[0], value[1:]
    if tag == OBJECT_ID:
        return _second(int.from_bytes(raw[:4], "big"))
    if tag == TIMESTAMP:
        return _second(int.from_bytes(raw[4:], "little"))
    if tag == UUID:
        return _of_uuid(raw)
    if tag == TOKEN:
        return _of_text(raw.decode())
    moment = milliseconds(value)
    if moment is None:
        return None
    whole = tag == TIME or (tag == EPOCH and b"." not in raw)
    return (moment, moment + 999) if whole and not moment % 1000 else (moment, moment)


def _second(seconds: int) -> Span:
    return seconds * 1000, seconds * 1000 + 999


def _of_uuid(raw: bytes) -> Span | None:
    version = raw[6] >> 4
    if version == 7:  # noqa: PLR2004 - RFC 9562: milliseconds first
        moment = int.from_bytes(raw[:6], "big")
    elif version == 1:
        moment = (uuid.UUID(bytes=raw).time - _GREGORIAN) // 10_000
    elif version == 6:  # noqa: PLR2004 - RFC 9562: the same, highest bits first
        moment = (
            (int.from_bytes(raw[:6], "big") << 12 | int.from_bytes(raw[6:8], "big") & 0xFFF) - _GREGORIAN
        ) // 10_000
    else:
        return None
    return moment, moment


def _of_text(text: str) -> Span | None:
    if _ULID.fullmatch(text) is not None:
        moment = _number(text[:10], _CROCKFORD)
        return moment, moment
    if _KSUID.fullmatch(text) is not None:
        return _second((_number(text, _BASE62) >> 128) + _KSUID_BEGAN)
    return None


def _number(text: str, digits: str) -> int:
    number = 0
    for digit in text:
        number = number * len(digits) + digits.index(digit)
    return number


def new_each_time(recorded: Value, live: Value, then: Span, now: Span) -> bool:
    """Whether two values show by themselves that no run can have the other's.

    A salted hash has its salt inside. A clock's reading, or an id that begins with the time, says when it was made: the
    one in the recorded run, the other by the real clock of this one, which the app's own clock is not.

    Args:
        recorded: the recorded value.
        live: the one in its place.
        then: when the recorded lane ran.
        now: since when the live one runs.
    """
    if recorded[0] == live[0] == HASH:
        return True
    then, now = (then[0] - _COARSE, then[1]), (now[0] - _COARSE, now[1])
    return made_in(recorded, then) and made_in(live, now) and not made_in(live, then)


def as_far_from(recorded: Value, live: Value, then: int, now: int) -> bool:
    """Whether two numbers can be the same time of two runs: as far from the moment of the call, or nearly equal.

    Any number may look like a time; one that moves with the clock is one.

    Args:
        recorded: the recorded value.
        live: the one in its place.
        then: when the recorded call began, in milliseconds.
        now: the time by the real clock, in milliseconds.
    """
    if not recorded[0] == live[0] == EPOCH:
        return True
    mine, theirs = milliseconds(live) or 0, milliseconds(recorded) or 0
    return abs((mine - now) - (theirs - then)) <= _SLACK or abs(mine - theirs) <= _SLACK
