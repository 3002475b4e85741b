"""The answer of a server: its packets, the values in them, and the same with live values in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.mysql import asked as questions
from timetracer_otel.families.mysql import cells, course, secret_rows, wire
from timetracer_otel.families.mysql.course import Kind
from timetracer_otel.families.mysql.wire import Column, Done, Refusal
from timetracer_otel.seams import Value

__all__ = ["Result", "answer", "command_of", "opened", "rebound", "reply_values", "results"]

_OF_THE_CONNECTION: Final = frozenset({Kind.END, Kind.DONE})
"""Packets that end with the flags of the connection."""


@dataclass
class Result:
    """What one statement of a call was told.

    Attributes:
        columns: of the rows.
        rows: as many as were read.
        done: of what has no rows.
        error: of the server.
        warnings: how many.
        text: of what is none of all that.
    """

    columns: list[Column] = field(default_factory=list)
    rows: list[list[bytes | None]] = field(default_factory=list)
    done: Done | None = None
    error: Refusal | None = None
    warnings: int = 0
    text: bytes = b""


def command_of(recorded: Span) -> int:
    """Give the number of the command of a recorded call.

    Args:
        recorded: its span.
    """
    return int(str(recorded.attributes.get(questions.COMMAND, questions.QUERY)))


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (ValueError, IndexError, wire.StructError) as error:
        raise CassetteError(f"what MySQL answered is damaged ({error}): record it again") from error


def opened(recorded: Span) -> bytes:
    """Give what answered a recorded call with the secrets put back, where there is a key.

    Args:
        recorded: its span.
    """
    with _reading():
        return secret_rows.opened(command_of(recorded), recorded.payload(spans.RESPONSE) or b"")


def results(recorded: Span, said: bytes | None = None) -> list[Result]:
    """Give the results that answered a recorded call.

    Args:
        recorded: its span.
        said: the answer, where it is not to be that of the recording itself.

    Raises:
        CassetteError: they are damaged.
    """
    found: list[Result] = []
    with _reading():
        packets = wire.packets((recorded.payload(spans.RESPONSE) or b"") if said is None else said)
        ends = 0
        for kind, (_, payload) in course.follow(command_of(recorded), packets):
            if kind in {Kind.DONE, Kind.COUNT, Kind.ERROR, Kind.TEXT} or not found:
                found.append(Result())
                ends = 0
            ends += kind is Kind.END
            _take(found[-1], kind, payload, ends)
    return found


def _take(result: Result, kind: Kind, payload: bytes, ends: int) -> None:
    match kind:
        case Kind.COLUMN:
            result.columns.append(wire.column(payload))
        case Kind.ROW:
            result.rows.append(wire.cells(payload))
        case Kind.DONE:
            result.done = wire.done(payload)
            result.warnings = result.done.warnings
        case Kind.ERROR:
            result.error = wire.refusal(payload)
        case Kind.END if ends > 1:
            result.warnings = wire.eof_status(payload)[1]
        case Kind.TEXT:
            result.text = payload
        case _:
            pass


def reply_values(recorded: Span) -> Iterator[Value]:
    """Give the ids and times in what a recorded call was told.

    Args:
        recorded: its span.
    """
    for result in results(recorded, opened(recorded)):
        for row in result.rows:
            for column, cell in zip(result.columns, row, strict=False):
                yield from cells.values_in(cell, column)


def rebound(recorded: Span, bindings: Mapping[Value, Value]) -> bytes:
    """Give what answered a recorded call with live values in place of those that they are bound to.

    Args:
        recorded: its span.
        bindings: the live value of each recorded one.
    """
    said = opened(recorded)
    if not bindings:
        return said
    pieces: list[bytes] = []
    columns: list[Column] = []
    with _reading():
        for kind, (number, payload) in course.follow(command_of(recorded), wire.packets(said)):
            changed = payload
            if kind is Kind.COUNT:
                columns = []
            elif kind is Kind.COLUMN:
                columns.append(wire.column(payload))
            elif kind is Kind.ROW:
                row = wire.cells(payload)
                live = [cells.rebound(*one, bindings) for one in zip(row, columns, strict=True)]
                changed = payload if live == row else wire.row(live)
            pieces.append(wire.frame(changed, number))
    return b"".join(pieces)


def answer(recorded: Span) -> bytes:
    """Digest of what a recorded call was told, equal for equal answers; of one without an end its own.

    Args:
        recorded: its span.
    """
    hashed = blake2b(digest_size=16)
    course_ = course.Course(command_of(recorded))
    with _reading():
        for _, payload in wire.packets(recorded.payload(spans.RESPONSE) or b""):
            kind = course_.take(payload, len(payload))
            hashed.update(kind.name.encode() + (b"" if kind in _OF_THE_CONNECTION else payload) + b"\0")
            if kind is Kind.DONE:
                done = wire.done(payload)
                hashed.update(f"{done.affected} {done.last_id}".encode())
    return hashed.digest() if course_.ended else recorded.span_id.encode()
