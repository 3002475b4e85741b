"""How a value may be written in a text, and by what it is known once a reply has brought it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from timetracer_otel.seams.integration import Value
from timetracer_otel.seams.values import DATETIME, EPOCH, HEX, OBJECT_ID, TIME, TIMESTAMP, UUID, UUID_LEGACY

__all__ = ["known_by", "milliseconds", "written"]

_START: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SMALLEST_EPOCH_TEXT: Final = 9
_MOST_SECONDS: Final = 1e11
"""Above it a number of the epoch is one of milliseconds."""
_CLOCK_SEPARATORS: Final = ("T%H:%M", " %H:%M", "%%20%H:%M", "+%H:%M", "T%H%%3A%M", "%%20%H%%3A%M", "+%H%%3A%M")


def written(value: Value) -> tuple[bytes, ...]:
    """Give the ways a value may be written in a URL, a JSON body, a form or a cookie, none percent-encoded but a time.

    ObjectId: hexadecimal in both cases. UUID: with and without dashes in both cases; of binary subtype 3 in each of the
    byte orders that drivers have used. Datetime: the UTC date, and unless it is midnight the hour and minute; epoch
    seconds and milliseconds when they have 9 digits or more (fewer would be found in any text). Timestamp: none. The
    rest: as it is.
    """
    tag, raw = value[0], value[1:]
    if tag in {OBJECT_ID, HEX}:
        return _both_cases(raw.hex() if tag == OBJECT_ID else raw.decode())
    if tag in {UUID, UUID_LEGACY}:
        return tuple(dict.fromkeys(form for one in _uuids(value) for form in _uuid_forms(one)))
    if tag == DATETIME:
        return _datetime_forms(int.from_bytes(raw, "little", signed=True))
    return () if tag == TIMESTAMP else (raw,)


def _both_cases(text: str) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((text.lower().encode(), text.upper().encode())))


def _uuids(value: Value) -> tuple[bytes, ...]:
    raw = value[1:]
    if value[0] == UUID:
        return (raw,)
    return (raw, uuid.UUID(bytes_le=raw).bytes, raw[7::-1] + raw[:7:-1])  # as Python, as C# and as Java wrote it


def _uuid_forms(raw: bytes) -> tuple[bytes, ...]:
    return _both_cases(str(uuid.UUID(bytes=raw))) + _both_cases(raw.hex())


def _datetime_forms(moment_ms: int) -> tuple[bytes, ...]:
    epochs = [str(number) for number in (moment_ms // 1000, moment_ms)]
    forms = [text for text in epochs if len(text) >= _SMALLEST_EPOCH_TEXT]
    try:
        moment = _START + timedelta(milliseconds=moment_ms)
    except OverflowError:  # BSON reaches further than the calendar
        return tuple(form.encode() for form in forms)
    date = moment.date().isoformat()
    midnight = not moment_ms % 86_400_000
    dates = [date] if midnight else [date + moment.strftime(clock) for clock in _CLOCK_SEPARATORS]
    return tuple(form.encode() for form in (*dates, *forms))


def milliseconds(value: Value) -> int | None:
    """Give the moment that a time names, in milliseconds of the epoch; one without a zone as if in UTC.

    Args:
        value: of any kind; None for those that are no time.
    """
    tag, raw = value[0], value[1:]
    if tag == DATETIME:
        return int.from_bytes(raw, "little", signed=True)
    if tag == EPOCH:
        number = float(raw)
        return int(number if number > _MOST_SECONDS else number * 1000)
    if tag != TIME:
        return None
    text = raw.decode().replace("%3A", ":").replace("%2B", "+").replace("%20", " ").replace(" Z", "Z")
    try:
        moment = parsedate_to_datetime(text) if text[3:4] == "," else datetime.fromisoformat(text)
    except ValueError:  # no day of the calendar
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _START) // timedelta(milliseconds=1)


def known_by(value: Value) -> Iterator[Value]:
    """Give the keys under any of which a value is known, whatever family brought it.

    A time is known by its moment too, when it is as good as unique (it has milliseconds) or somebody chose it (it has
    no seconds). A whole second is not: the clock may say the same one again.
    """
    yield value
    if value[0] == UUID_LEGACY:
        yield from (bytes((UUID,)) + raw for raw in _uuids(value))
    elif (moment := milliseconds(value)) is not None and (moment % 1000 or not moment % 60_000):
        yield b"\0%d" % moment
