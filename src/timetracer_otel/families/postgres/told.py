"""The answer of a server: its messages, the values in them, and the same with live values in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.postgres import asked, cells, secret_rows, wire
from timetracer_otel.families.postgres.wire import Column, Message
from timetracer_otel.seams import Value

__all__ = ["answer", "messages", "opened", "rebound", "reply_values", "rows"]

_ANSWERS: Final = frozenset({b"T", b"D", b"C", b"E", b"I", b"s", b"d", b"n"})
"""Messages that count in an answer; the others are about the connection."""
_SERVER_CODE: Final = frozenset("FLRW")
"""Fields of an error that say where in the server's code it happened, or within which statements."""


def messages(recorded: Span) -> list[Message]:
    """Give the messages that answered a recorded call.

    Args:
        recorded: its span.

    Raises:
        CassetteError: they are damaged.
    """
    return list(wire.messages(recorded.payload(spans.RESPONSE) or b""))


def opened(recorded: Span) -> list[Message]:
    """As :func:`messages`, with the secrets in them put back where there is a key.

    Args:
        recorded: its span.
    """
    said = messages(recorded)
    if not any(redaction.may_be_sealed(body) for _, body in said):
        return said
    question = asked.read(recorded)
    return list(secret_rows.opened(said, "" if question is None else question.sql))


def rows(recorded: Span, said: Iterable[Message] | None = None) -> Iterator[tuple[list[Column], list[bytes | None]]]:
    """Give the rows that answered a recorded call, each with its columns.

    Args:
        recorded: its span.
        said: the messages, where they are not to be those of the recording itself.

    Raises:
        CassetteError: they are damaged.
    """
    known = _known_columns(recorded)
    try:
        for kind, body in messages(recorded) if said is None else said:
            if kind == b"T":
                known = wire.columns(body)
            elif kind == b"D":
                yield known, wire.cells(body)
    except (ValueError, wire.StructError) as error:
        raise CassetteError(f"what PostgreSQL answered is damaged ({error}): record it again") from error


def _known_columns(recorded: Span) -> list[Column]:
    """The columns as they were described before, in the formats that the call asked for."""
    question = asked.read(recorded)
    if question is None or not question.sets:
        return []
    formats = question.sets[0].result_formats or (0,)
    return [
        column._replace(format=formats[number] if number < len(formats) else formats[0])
        for number, column in enumerate(question.described.columns)
    ]


def reply_values(recorded: Span) -> Iterator[Value]:
    """Give the ids and times in what a recorded call was told.

    Args:
        recorded: its span.
    """
    for columns, row in rows(recorded, opened(recorded)):
        for column, cell in zip(columns, row, strict=False):
            yield from cells.values_in(cell, column.type, column.format)


def rebound(recorded: Span, bindings: Mapping[Value, Value]) -> Iterator[Message]:
    """Give the messages that answered a recorded call with live values in place of those that they are bound to.

    Each is framed. Rows to which nothing is done are given together, as they are.

    Args:
        recorded: its span.
        bindings: the live value of each recorded one.
    """
    data = recorded.payload(spans.RESPONSE) or b""
    if not bindings and not redaction.may_be_sealed(data):
        yield from wire.framed(data)
        return
    change = _changer(bindings) if bindings else None
    known = _known_columns(recorded) if change is not None else []
    for kind, body in opened(recorded):
        if change is not None and kind == b"T":
            known = wire.columns(body)
        yield kind, wire.frame(kind, change(known, body) if change is not None and kind == b"D" else body)


def _changer(bindings: Mapping[Value, Value]) -> Callable[[list[Column], bytes], bytes]:
    def change(columns: list[Column], body: bytes) -> bytes:
        row = wire.cells(body)
        changed = [
            cells.rebound(cell, column.type, column.format, bindings)
            for column, cell in zip(columns, row, strict=False)
        ]
        return body if changed == row[: len(changed)] else wire.row([*changed, *row[len(changed) :]])[5:]

    return change


def answer(recorded: Span) -> bytes:
    """Digest of what a recorded call was told, equal for equal answers; of one without an end its own.

    Args:
        recorded: its span.
    """
    told = messages(recorded)
    if not told or told[-1][0] != b"Z":
        return recorded.span_id.encode()
    hashed = blake2b(digest_size=16)
    for kind, body in told:
        if kind == b"E":
            fields = wire.error_fields(body)
            body = repr({name: text for name, text in fields.items() if name not in _SERVER_CODE}).encode()  # noqa: PLW2901 - without what means nothing
        if kind in _ANSWERS:
            hashed.update(kind + body + b"\0")
    return hashed.digest()
