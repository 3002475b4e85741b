"""The question to a server: one exchange of a connection, as it is recorded, hidden and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import pybase64

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.dbapi.place import Place
from timetracer_otel.families.postgres import copied_rows, literals, statements, wire
from timetracer_otel.families.postgres.cells import TEXTS
from timetracer_otel.families.postgres.wire import Bound, Column

__all__ = [
    "ASIDE",
    "DESCRIBED",
    "PLACE",
    "SERVER",
    "STATEMENT",
    "SYSTEM",
    "UNKNOWN",
    "Asked",
    "Described",
    "Place",
    "encode",
    "read",
    "read_described",
]

STATEMENT: Final = "timetracer.postgresql.statement"
"""The digest of a call's statement: a replay finds by it how a statement was described."""
DESCRIBED: Final = "timetracer.postgresql.described"
"""The server's messages that describe the statement, or the COPY, in base64."""
PLACE: Final = "timetracer.postgresql.place"
"""JSON: the connection, the number of the transaction on it, whether that had begun, and written, before, the peer."""
SERVER: Final = "timetracer.postgresql.server"
"""JSON: what the server said of a connection when it was made; on the first call of each connection in a lane."""

ASIDE: Final = "timetracer.postgresql.aside"
"""On what a recording keeps for a replay to look up, and no program asks in the same way each time: why."""
SYSTEM: Final = "postgresql"
_SHORT: Final = 1 << 12
"""Bytes of the longest question that is remembered."""
_NO_COLUMNS: Final = frozenset({"", "AND", "ELSE", "ON", "OR", "SELECT", "SET", "THEN", "VALUES", "WHEN", "WHERE"})


@dataclass(frozen=True, slots=True)
class Described:
    """How a server describes a statement.

    Attributes:
        messages: its own.
        types: of the parameters.
        columns: of the result.
    """

    messages: bytes = b""
    types: tuple[int, ...] = ()
    columns: tuple[Column, ...] = ()

    @classmethod
    def of(cls, messages: bytes) -> Described:
        """Read the messages that describe a statement.

        Args:
            messages: ParameterDescription, RowDescription, NoData; CopyInResponse of a COPY.
        """
        types: tuple[int, ...] = ()
        columns: list[Column] = []
        for kind, body in wire.messages(messages):
            if kind == b"t":
                types = wire.parameter_types(body)
            elif kind == b"T":
                columns = wire.columns(body)
        return cls(messages, types, tuple(columns))


UNKNOWN: Final = Described()


NOWHERE: Final = Place()


@dataclass(slots=True)
class Asked:
    """One exchange.

    Attributes:
        operation: ``query`` (without parameters), ``execute``, ``prepare``, ``bind`` (of a portal), ``fetch`` (from
            one) or ``connect``.
        sql: the statement.
        types: of the parameters, where the client says them.
        sets: the parameters; several of one statement that is executed many times.
        limit: how many rows; 0 for all.
        copied: the data of a COPY to the server; None of anything else.
        done: whether the client sent that to its end: of a COPY that fails the server takes only some.
        refused: why the client broke the COPY off.
        described: the statement's description.
        place: on the connection.
    """

    operation: str
    sql: str = ""
    types: tuple[int, ...] = ()
    sets: list[Bound] = field(default_factory=list)
    limit: int = 0
    copied: bytes | bytearray | None = None
    done: bool = False
    refused: str = ""
    described: Described = UNKNOWN
    place: Place = NOWHERE
    cursor: str = ""
    """The cursor of the server that it uses: the connection and name as they were recorded."""
    first: bool = False
    """Whether it stands around what a process asks the server about itself, see :mod:`setting_up`."""
    secret: bool = field(default=False, compare=False)
    """Whether it holds a secret that is not known here."""

    def type_of(self, number: int) -> int:
        """The type of a parameter; 0 where nobody said it."""
        types = self.described.types or self.types
        return types[number] if number < len(types) else 0

    @property
    def columns(self) -> dict[int, str]:
        """The columns that parameters are given to or compared with, by the parameter's number from 0."""
        named = statements.outline(self.sql).named if self.sets else ()
        known = ((name, column) for name, column in named if name.isdigit() and column.upper() not in _NO_COLUMNS)
        return {int(name) - 1: column for name, column in known}

    def hidden(self) -> Asked:
        """The same with secrets hidden: texts that are bound to a column whose name speaks of one."""
        return self._with(redaction.hide)

    def opened(self) -> Asked:
        """The same with hidden secrets put back, where there is a key."""
        opened = self._with(redaction.opened)
        opened.secret = any(redaction.hidden(one) for one in opened.secrets())
        return opened

    def blanked(self) -> Asked:
        """The same with every secret alike."""
        return self._with(lambda _secret: redaction.MASK)

    def secrets(self) -> list[str]:
        """What in it is hidden when it is recorded."""
        found: list[str] = []

        def look(secret: str) -> str:
            found.append(secret)
            return secret

        self._with(look)
        return found

    def _with(self, how: redaction.Hide) -> Asked:
        copied = None if self.copied is None else copied_rows.of(self.sql)
        if copied is not None:
            return replace(self, copied=copied.changed(bytes(self.copied or b""), how))
        if not literals.speaks(self.sql):
            return self
        secret = literals.secret_parameters(self.sql) if self.sets else frozenset()
        sets = [one._replace(parameters=self._hiding(one, secret, how)) for one in self.sets] if secret else self.sets
        return replace(self, sql=literals.hidden(self.sql, how), sets=sets)

    def _hiding(self, one: Bound, secret: Iterable[int], how: redaction.Hide) -> list[bytes | None]:
        parameters = list(one.parameters)
        for number in secret:
            raw = parameters[number] if number < len(parameters) else None
            if raw is not None and (not one.formats[number] or self.type_of(number) in TEXTS):
                parameters[number] = how(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return parameters

    # As the messages of a client that prepares nothing beforehand.

    def messages(self) -> bytes:
        """Give it as a client's messages, complete by themselves."""
        if self.operation == "query":
            return wire.query(self.sql) + self._copied()
        pieces = [wire.parse("", self.sql, self.types)]
        for one in self.sets:
            pieces.append(wire.bind(one))
            if self.operation == "fetch":
                pieces.append(wire.SYNC)
            if self.operation in {"execute", "fetch"}:
                pieces.append(wire.execute("", self.limit))
        return b"".join(pieces) + self._copied()

    def _copied(self) -> bytes:
        if self.refused:
            return wire.frame(b"d", self.copied or b"") + wire.frame(b"f", self.refused.encode() + b"\0")
        if self.copied is None:
            return b""
        return wire.frame(b"d", self.copied) + (wire.frame(b"c") if self.done else b"")

    @classmethod
    def of(cls, messages: Iterable[wire.Message]) -> Asked:
        """Read a client's messages, as :meth:`messages` gives them.

        Args:
            messages: of one exchange.
        """
        asked = cls("prepare")
        for kind, body in messages:
            asked.take(kind, body)
        return asked

    def take(self, kind: bytes, body: bytes) -> None:
        """Take the next message of a client.

        Args:
            kind: of the message.
            body: likewise.
        """
        if kind == b"Q":
            self.operation, self.sql = "query", wire.text(body)[0]
        elif kind == b"P" and not self.sets:  # else it ends the transaction of an ``executemany`` that is broken off
            _, self.sql, self.types = wire.parsed(body)
        elif kind == b"B":
            self.sets.append(wire.bound(body)._replace(portal="", statement=""))
            self.operation = "bind" if self.operation == "prepare" else self.operation
        elif kind == b"S" and self.operation == "bind":
            self.operation = "fetch"
        elif kind == b"E":
            self.limit = wire.executed(body)[1]
            self.operation = "execute" if self.operation == "bind" else self.operation
        elif kind == b"d":
            if not isinstance(self.copied, bytearray):
                self.copied = bytearray()
            self.copied += body
        elif kind == b"c":
            self.copied, self.done = self.copied or b"", True
        elif kind == b"f":
            self.refused = wire.text(body)[0] or "refused"


def encode(asked: Asked) -> dict[str, spans.Attribute]:
    """Encode a live question as a recording has it, secrets hidden.

    Args:
        asked: it.
    """
    attributes = spans.encode_payload(spans.REQUEST, asked.hidden().messages())
    attributes |= {STATEMENT: statements.digest(asked.sql), PLACE: asked.place.encoded()}
    if asked.described.messages:
        attributes[DESCRIBED] = pybase64.b64encode_as_string(asked.described.messages)
    return attributes


def read(recorded: Span) -> Asked | None:
    """Read what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.

    Raises:
        CassetteError: it is damaged.
    """
    payload = recorded.payload(spans.REQUEST)
    if payload is None:
        return None
    make = _read if len(payload) <= _SHORT else _read.__wrapped__
    try:
        asked = make(payload, recorded.text(DESCRIBED), recorded.text(PLACE))
    except (ValueError, IndexError, TypeError, ArithmeticError, wire.StructError) as error:
        raise CassetteError(f"what was asked of PostgreSQL is damaged ({error}): record it again") from error
    return asked.opened()


@lru_cache(maxsize=4096)
def _read(payload: bytes, described: str | None, place: str | None) -> Asked:
    """Each call is read when it is looked up, and again when it answers. Nobody changes what was read."""
    asked = Asked.of(wire.messages(payload))
    asked.described = UNKNOWN if described is None else _described(described)
    asked.place = Place(*json.loads(place or "[]"))
    name, declares = statements.cursor_of(asked.sql)
    asked.cursor = f"{asked.place.connection} {name}" if name and not declares else ""
    return asked


def read_described(recorded: Span) -> Described:
    """Read how the server described a recorded call's statement.

    Args:
        recorded: its span.
    """
    text = recorded.text(DESCRIBED)
    return UNKNOWN if text is None else _described(text)


@lru_cache(maxsize=256)
def _described(text: str) -> Described:
    return Described.of(pybase64.b64decode(text, validate=True))
