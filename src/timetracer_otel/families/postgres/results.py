"""An exchange of libpq while it is recorded: what was sent, and the results that stand for the server's messages."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle
from typing import Any, Final, NamedTuple, TypeAlias

from timetracer_otel.families.postgres import literals, wire
from timetracer_otel.families.postgres.asked import Asked
from timetracer_otel.families.postgres.exchange import Exchange
from timetracer_otel.families.postgres.wire import Bound

__all__ = ["ABORTED", "COPYING", "COPY_IN", "COPY_OUT", "FATAL", "SYNCED", "ResultExchange", "errors_in", "framing"]

EMPTY, COMMAND, TUPLES, COPY_OUT, COPY_IN, FATAL, SINGLE, SYNCED, ABORTED, CHUNK = 0, 1, 2, 3, 4, 7, 9, 10, 11, 12
"""The status of a result (ExecStatusType of libpq)."""
COPYING: Final = frozenset({COPY_OUT, COPY_IN})
_PIECES: Final = frozenset({SINGLE, CHUNK})
_FIELDS: Final = "SVCMDHPpqWstcdnFLR"
"""The fields of an error, by their letter, which are libpq's codes for them too."""
_COPIED: Final = 1 << 16
"""Bytes of parameters that are copied at most."""
_Columns: TypeAlias = dict[tuple[Any, ...], bytes]
_FIXED: Final = frozenset({bytes, type(None)})
"""Types of parameters that are as they are."""
_EXECUTE: Final = wire.execute("")
_VALUE: Final = 8
"""Bytes that a value is taken to have."""


class Sent(NamedTuple):
    """Parameters as libpq is given them."""

    parameters: Sequence[Any]
    formats: Sequence[int] | None
    result_format: int

    @property
    def is_settled(self) -> bool:
        """Whether no parameter can change."""
        return _FIXED.issuperset(map(type, self.parameters))

    def settled(self) -> Sent:
        """The same with copies of the parameters, which may be buffers of the app's."""
        return self._replace(parameters=[None if one is None else bytes(one) for one in self.parameters])

    def bound(self) -> Bound:
        """The same as the client's message."""
        formats = tuple(map(int, self.formats or ())) or (0,) * len(self.parameters)
        parameters = [one if one is None or type(one) is bytes else bytes(one) for one in self.parameters]
        return Bound("", "", formats, parameters, (int(self.result_format),))


@dataclass
class ResultExchange(Exchange):
    """What libpq asks, and its results. They pin their rows until they are written.

    Attributes:
        sent: the parameters; of a statement that is executed many times in a pipeline several.
        results: of libpq.
        beside: messages that came with them: notices, notifications, parameters.
        copied: data of a COPY, either way.
        ended: whether the client sent that to its end; its reason where it broke it off.
        status: of the transaction afterwards.
        name: of the prepared statement, by which executions belong together.
        columns: how its columns were described, by their tables and formats.
        expected: results to come.
        open: whether more executions may follow.
    """

    sent: list[Sent] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)
    beside: list[bytes] = field(default_factory=list)
    copied: list[Any] = field(default_factory=list)
    ended: bytes | None = None
    status: bytes = b""
    name: bytes = b""
    columns: _Columns | None = None
    expected: int = 1
    open: bool = False

    def __len__(self) -> int:
        rows: int = sum(result.ntuples * result.nfields for result in self.results)
        return self.size + rows * _VALUE + sum(map(len, self.copied))

    @property
    def is_settled(self) -> bool:
        """Whether nothing in it changes once it is over: a parameter may be a buffer of the app's."""
        return not self.copied and all(sent.is_settled for sent in self.sent)

    def execute(self, sent: Sent) -> None:
        """Take an execution.

        Args:
            sent: its parameters.
        """
        size = sum(map(len, filter(None, sent.parameters)))
        self.sent.append(sent if size > _COPIED else sent.settled())
        self.size += size
        self.counts = True

    @property
    def direction(self) -> int:
        """Whether it is a COPY and which way; 0 for what is none."""
        for result in self.results:
            if result.status in COPYING:
                return COPY_IN if result.status == COPY_IN else COPY_OUT
        return 0

    def request(self) -> list[bytes]:
        """The client's messages, complete by themselves; secrets are hidden."""
        if literals.speaks(self.sql) or self.direction:
            return [self.asked().hidden().messages()]
        pieces = [wire.frame(*one) for one in self.messages]
        for one in self.sent:
            pieces += (wire.bind(one.bound()), _EXECUTE)
        return pieces

    def asked(self) -> Asked:
        """What is asked, as far as the server heard it."""
        asked = Asked.of(self.messages)
        if self.sent:
            asked.operation, asked.sets = "execute", [one.bound() for one in self.sent]
        if self.direction == COPY_IN:
            asked.copied = b"".join(bytes(piece) for piece in self.copied)
            asked.refused = (self.ended or b"").decode("utf-8", "replace")
            asked.done = not asked.refused and not any(result.status == FATAL for result in self.results)
        return asked

    def described(self) -> bytes:
        """How the server asks for the data of a COPY; libpq's statements describe themselves."""
        return b"".join(_copy(result, b"G") for result in self.results if result.status == COPY_IN)

    def answer(self) -> list[bytes]:
        """The server's messages."""
        pieces, streams = [*self.beside], False
        for result in self.results:
            pieces += _messages(result, self.columns, described=streams)
            streams = result.status in _PIECES
            if result.status == COPY_OUT:
                pieces += [wire.frame(b"d", bytes(piece)) for piece in self.copied]
                pieces.append(wire.frame(b"c"))
        if self.status:
            pieces.append(wire.ready(self.status))
        return pieces

    def keep_context(self) -> None:
        """Remember who asks."""
        self.context = contextvars.copy_context()


def _messages(result: Any, known: _Columns | None, *, described: bool) -> list[bytes]:
    """The messages that libpq made a result of.

    Args:
        result: it.
        known: the descriptions of a prepared statement's columns.
        described: whether it goes on with rows that came one by one.
    """
    status, messages = result.status, list[bytes]()
    if status == TUPLES or status in _PIECES:
        if not described:
            messages.append(_columns(result) if known is None else _known_columns(result, known))
        messages.append(_rows(result))
    if status in COPYING:
        messages.append(_copy(result, b"G" if status == COPY_IN else b"H"))
    elif status == EMPTY:
        messages.append(wire.frame(b"I"))
    elif status == FATAL:
        messages.append(wire.error_response(error_of(result)))
    elif status == COMMAND and not result.command_status and result.nfields:
        messages.append(_columns(result))  # of a portal that was described
    elif status in {COMMAND, TUPLES}:
        messages.append(wire.frame(b"C", (result.command_status or b"") + b"\0"))
    return messages


def _rows(result: Any) -> bytes:
    """The rows of a result as they are framed."""
    count, columns = int(result.ntuples), int(result.nfields)
    if not columns:
        return wire.row(()) * count
    framed = framing.get(type(result))
    if framed is not None:
        return framed(result)
    numbers = chain.from_iterable(zip(*[range(count)] * columns, strict=True))
    values: list[bytes | None] = list(map(result.get_value, numbers, cycle(range(columns))))
    return wire.rows(values, columns)


framing: Final[dict[type, Callable[[Any], bytes]]] = {}
"""By the type of a result: what gives its rows as they are framed, faster than value by value. Drivers add theirs."""


def _known_columns(result: Any, known: _Columns) -> bytes:
    """As :func:`_columns`: the columns of a prepared statement stay, but not the tables that they are of."""
    fields = range(result.nfields)
    key = *map(result.ftable, fields), *map(result.fformat, fields)
    found = known.get(key)
    if found is None:
        found = known[key] = _columns(result)
    return found


def _columns(result: Any) -> bytes:
    table, number, kind = result.ftable, result.ftablecol, result.ftype
    size, modifier, form = result.fsize, result.fmod, result.fformat
    return wire.row_description(
        [
            (result.fname(n) or b"", (table(n), number(n), kind(n), size(n), modifier(n), int(form(n))))
            for n in range(result.nfields)
        ]
    )


def _copy(result: Any, kind: bytes) -> bytes:
    formats = [int(result.fformat(n)) for n in range(result.nfields)]
    return wire.copy_response(kind, int(result.binary_tuples), formats)


def error_of(result: Any) -> dict[str, str]:
    """Give the fields of an error or a notice.

    Args:
        result: of libpq.
    """
    found = ((letter, result.error_field(ord(letter))) for letter in _FIELDS)
    return {letter: text.decode("utf-8", "surrogateescape") for letter, text in found if text is not None}


def errors_in(exchange: ResultExchange) -> dict[str, str] | None:
    """Give the fields of the error that an exchange ended with; None without one.

    Args:
        exchange: that is over.
    """
    return next((error_of(result) for result in exchange.results if result.status == FATAL), None)
