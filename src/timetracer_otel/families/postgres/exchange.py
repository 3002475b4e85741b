"""One exchange of a connection while it is recorded: what is asked and answered, by reference until it is written."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeVar

import pybase64

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.families.postgres import asked as questions
from timetracer_otel.families.postgres import literals, secret_rows, statements, wire
from timetracer_otel.families.postgres.asked import SYSTEM, Asked, Described, Place
from timetracer_otel.families.postgres.wire import Message
from timetracer_otel.seams import Call

__all__ = ["CANCELLED", "CLOSED", "Exchange", "Prepared", "Remembered", "encode", "names"]

CANCELLED: Final = "timetracer.postgresql.cancelled"
"""On a call that the program cancelled: the server's error came of that."""
CLOSED: Final = "timetracer.postgresql.closed"
"""On a call during which the server closed the connection."""
_SHORT: Final = 4096
"""Characters of the longest statement that is remembered."""
_MOST: Final = 64
"""Statements that are remembered of a connection, of a client that gives them no names."""
_COPY_BEGINS: Final = b"G"
_COPIED: Final = frozenset({b"d", b"c", b"f"})


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Remembered(dict[_Key, _Value]):
    """The last few of what was put in."""

    def __setitem__(self, key: _Key, value: _Value) -> None:
        super().__setitem__(key, value)
        if len(self) > _MOST:
            del self[next(iter(self))]


@dataclass(slots=True)
class Prepared:
    """A statement that a connection knows.

    Attributes:
        parse: the body of its Parse.
        described: the server's messages that describe it.
    """

    parse: bytes
    described: bytes = b""


@dataclass
class Exchange:
    """What a client asks until the server is ready for the next question.

    Attributes:
        place: on the connection.
        messages: of the client, complete by themselves.
        size: of these together.
        pieces: of the answer.
        prepared: the statement that is executed or prepared.
        call: the recorded call; None where nothing is recorded.
        context: of who asked, where that is needed later.
        server: what is to be said of the connection.
        counts: whether it is a call at all.
    """

    place: Place
    messages: list[Message] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    prepared: Prepared | None = None
    call: Call | None = None
    context: contextvars.Context | None = None
    server: Mapping[str, Any] | None = None
    size: int = 0
    counts: bool = False
    begun: bool = False
    """Whether its call was begun, if it is one."""
    only_described: bool = False
    """Whether the server is asked to describe a statement, and not to be ready again."""
    failed: bool = False
    """Whether it was refused."""
    template: str = ""
    """The statement without the parameters that the driver writes into it, where it does."""
    _sql: str | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return self.size + sum(map(len, self.pieces))

    @property
    def is_settled(self) -> bool:
        """Whether nothing in it changes once it is over: all that it holds are bytes."""
        return True

    def catch_up(self) -> None:
        """Everything that has passed was looked at."""

    def abandoned(self) -> None:
        """The process ends before the answer has."""
        if self.call is not None and not self.call.over:
            self.call.end()

    def ask(self, kind: bytes, body: bytes) -> None:
        """Take a message of the client.

        Args:
            kind: of it.
            body: likewise.
        """
        self.messages.append((kind, body))
        self.size += len(body)

    def restate(self, kind: bytes, body: bytes) -> None:
        """Take another message in place of all that were asked.

        Args:
            kind: of it.
            body: likewise.
        """
        self.messages, self.size = [], 0
        self._sql = None
        self.ask(kind, body)

    @property
    def about(self) -> str:
        """The statement, by what it is like many others, if it is."""
        return self.template or self.sql

    @property
    def sql(self) -> str:
        """The statement; empty where it is none."""
        if self._sql is None:  # a cached property takes a lock, which costs more
            self._sql = self._stated()
        return self._sql

    def _stated(self) -> str:
        for kind, body in self.messages:
            if kind in {b"Q", b"P"}:
                return wire.text(body, 0 if kind == b"Q" else body.index(b"\0") + 1)[0]
        return ""

    def request(self) -> list[bytes]:
        """The client's messages, complete by themselves; secrets are hidden."""
        if literals.speaks(self.sql) or any(kind in _COPIED for kind, _ in self.messages):
            asked = self.asked()
            asked.described = Described.of(self.described())
            return [asked.hidden().messages()]
        return [wire.frame(*one) for one in self.messages]

    def asked(self) -> Asked:
        """What is asked, as far as the server heard it: a client may send the data of a COPY before it is refused."""
        asked = Asked.of(self.messages)
        if asked.copied is not None or asked.refused:
            kinds = [kind for kind, _ in wire.messages(b"".join(self.answer()))]
            if _COPY_BEGINS not in kinds:
                asked.copied, asked.done, asked.refused = None, False, ""
            elif b"E" in kinds:
                asked.done = False
        return asked

    def answer(self) -> list[bytes]:
        """The server's messages."""
        return self.pieces

    def described(self) -> bytes:
        """The server's messages that describe what is asked."""
        if self.prepared is not None:
            return self.prepared.described
        for kind, body in wire.messages(self.pieces[0] if self.pieces else b""):
            if kind == _COPY_BEGINS:
                return wire.frame(kind, body)
        return b""


def names(sql: str, database: str, address: tuple[str, int | None], *, kind: str = "") -> tuple[str, dict[str, Any]]:
    """Name a span of ours by the semantic conventions.

    Args:
        sql: the statement.
        database: its name.
        address: the server's.
        kind: of exchange, where it is another one than to execute a statement.
    """
    one = statements.outline(sql)
    verb = " ".join(filter(None, (kind, one.verb))) or "QUERY"
    attributes: dict[str, Any] = {"db.system.name": SYSTEM, "db.operation.name": verb}
    host, port = address
    optional = {
        "db.namespace": database,
        "db.query.text": _query_text(sql),
        "db.collection.name": one.target,
        "server.address": host,
    }
    attributes |= {name: value for name, value in optional.items() if value}
    if port is not None:
        attributes["server.port"] = port
    return f"{verb} {one.target}" if one.target else verb, attributes


def _query_text(sql: str) -> str:
    """A statement without the values in it, which people do not expect in a trace."""
    return _bare(sql) if len(sql) <= _SHORT else literals.bare(sql[: literals.LONGEST])


_bare: Final = lru_cache(maxsize=1024)(literals.bare)


@lru_cache(maxsize=1024)
def _as_text(described: bytes) -> str:
    return pybase64.b64encode_as_string(described)


def encode(_name: str, exchange: Any) -> dict[str, spans.Attribute]:
    """Encode an exchange, when it is written.

    Args:
        exchange: an :class:`Exchange`.
    """
    payloads, texts = _told(exchange)
    attributes: dict[str, spans.Attribute] = {}
    for name, payload in payloads.items():
        attributes |= spans.encode_payload(name, payload)
    return attributes | texts


def encode_json(_name: str, exchange: Any) -> bytes:
    """As :func:`encode`, as the JSON of a file.

    Args:
        exchange: an :class:`Exchange`.
    """
    payloads, texts = _told(exchange)
    pieces = [otlp.payload_json(name, payload) for name, payload in payloads.items()]
    pieces += [otlp.text_json(name, text) for name, text in texts.items()]
    return b",".join(pieces)


def _told(exchange: Exchange) -> tuple[dict[str, list[bytes]], dict[str, str]]:
    """The payloads and the texts of an exchange, secrets hidden."""
    described, sql = exchange.described(), exchange.sql
    said = secret_rows.hidden(exchange.answer(), sql, described)
    texts = {questions.STATEMENT: statements.digest(sql), questions.PLACE: exchange.place.encoded()}
    if described:
        texts[questions.DESCRIBED] = _as_text(described)
    if exchange.server is not None:
        texts[questions.SERVER] = json.dumps(exchange.server)
    return {spans.REQUEST: exchange.request(), spans.RESPONSE: said}, texts


otlp.direct[encode] = encode_json
