"""One command of a connection while it is recorded: what is asked and answered, by reference until it is written."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.families.dbapi.place import Place
from timetracer_otel.families.mysql import asked as questions
from timetracer_otel.families.mysql import literals, secret_rows, statements
from timetracer_otel.families.mysql.asked import QUERY, SYSTEM, Asked
from timetracer_otel.families.mysql.course import Course, Following
from timetracer_otel.families.mysql.wire import LONGEST
from timetracer_otel.seams import Call

__all__ = ["CLOSED", "SENDING", "Exchange", "encode", "names"]

CLOSED: Final = "timetracer.mysql.closed"
"""On a call during which the server closed the connection."""
SENDING: Final = "timetracer.mysql.sending"
"""On a call that could not be sent: its exception was raised by that."""
_FIXED: Final = frozenset({bytes})
_HEADER: Final = 4
_PREFIX: Final = 4096


@dataclass
class Exchange:
    """A command until its answer is at its end.

    Attributes:
        command: its number.
        place: on the connection.
        sent: the packets of the command.
        file: the packets of a file that the server asked for.
        pieces: of the answer.
        call: the recorded call; None where nothing is recorded.
        context: of who asked.
        server: what is to be said of the connection.
    """

    command: int
    place: Place
    sent: list[bytes] = field(default_factory=list)
    file: list[bytes] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    call: Call | None = None
    context: contextvars.Context | None = None
    server: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.course = Course(self.command)
        self.following = Following(self.course)
        self.continues = False
        """Whether the command goes on in the next packet."""

    def __len__(self) -> int:
        return sum(map(len, self.sent)) + sum(map(len, self.file)) + sum(map(len, self.pieces))

    @property
    def is_settled(self) -> bool:
        """Whether nothing in it changes once it is over; a driver may send from buffers of its own."""
        return not self.file and _FIXED.issuperset(map(type, (*self.sent, *self.pieces)))

    def catch_up(self) -> None:
        """Everything that has passed was looked at."""

    def abandoned(self) -> None:
        """The process ends before the answer has."""
        if self.call is not None and not self.call.over:
            self.call.end()

    def ask(self, packet: bytes) -> None:
        """Take a packet of the command.

        Args:
            packet: whole.
        """
        self.sent.append(packet)
        self.continues = len(packet) - _HEADER == LONGEST

    def send_file(self, packet: bytes) -> None:
        """Take a packet of the file that the server asked for; the last one is empty.

        Args:
            packet: whole.
        """
        self.file.append(packet)
        if len(packet) == _HEADER:
            self.course.sent_file()

    @property
    def beginning(self) -> str:
        """The beginning of the statement; empty where it is none."""
        if self.command != QUERY:
            return ""
        return bytes(self.sent[0][_HEADER + 1 : _HEADER + 1 + _PREFIX]).decode("utf-8", "surrogateescape")

    @property
    def size(self) -> int:
        """Bytes of the first packet of the command."""
        return len(self.sent[0]) - _HEADER - 1

    def asked(self) -> Asked:
        """What is asked."""
        first, *more = self.sent
        argument = first[_HEADER + 1 :] + b"".join(packet[_HEADER:] for packet in more)
        file = b"".join(packet[_HEADER:] for packet in self.file) if self.file else None
        return Asked(self.command, bytes(argument), file, self.place)


def names(
    command: int, sql: str, database: str, address: tuple[str, int | None], *, kind: str = ""
) -> tuple[str, dict[str, Any]]:
    """Name a span of ours by the semantic conventions. What stands in a statement for its values is left out.

    Args:
        command: of a client.
        sql: the beginning of the statement.
        database: its name.
        address: the server's.
        kind: of call, where it is none of these.
    """
    verb, target = statements.verb_and_target(sql) if sql else ("", "")
    verb = kind or verb or questions.NAMES.get(command, "QUERY")
    attributes: dict[str, Any] = {"db.system.name": SYSTEM, "db.operation.name": verb}
    host, port = address
    optional = {
        "db.namespace": database,
        "db.query.text": literals.bare(sql).encode("utf-8", "replace").decode() if sql else "",
        "db.collection.name": target,
        "server.address": host,
    }
    attributes |= {name: value for name, value in optional.items() if value}
    if port is not None:
        attributes["server.port"] = port
    return f"{verb} {target}" if target else verb, attributes


def encode(_name: str, exchange: Any) -> dict[str, spans.Attribute]:
    """Encode an exchange, when it is written.

    Args:
        exchange: an :class:`Exchange`.
    """
    attributes = questions.encode(exchange.asked())
    said = secret_rows.hidden(exchange.command, exchange.beginning, exchange.pieces)
    attributes |= spans.encode_payload(spans.RESPONSE, said)
    if exchange.server is not None:
        attributes[questions.SERVER] = json.dumps(exchange.server)
    return attributes
