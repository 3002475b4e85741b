"""The question to a server: one command of a connection, as it is recorded, hidden and read back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import Final

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.dbapi.place import Place
from timetracer_otel.families.mysql import literals, statements

__all__ = [
    "ASIDE",
    "COMMAND",
    "FILE",
    "PLACE",
    "QUERY",
    "SERVER",
    "STATEMENT",
    "SYSTEM",
    "UPKEEP",
    "Asked",
    "encode",
    "kind",
    "read",
]

SYSTEM: Final = "mysql"
COMMAND: Final = "timetracer.mysql.command"
"""The number of a call's command."""
STATEMENT: Final = "timetracer.mysql.statement"
"""The digest of a statement that loads a file of the client: a replay finds by it whether the server asked for that."""
FILE: Final = "timetracer.mysql.file"
"""The payload of such a file."""
PLACE: Final = "timetracer.mysql.place"
"""JSON: the connection, the number of the transaction on it, whether that had begun, and written, before, the peer."""
ASIDE: Final = "timetracer.mysql.aside"
"""On a call that is one only because it went otherwise than what looks after a connection does."""
SERVER: Final = "timetracer.mysql.server"
"""JSON: what the server said of a connection when it was made; on the first call of each connection in a lane."""

INIT_DB, QUERY, FIELD_LIST, STATISTICS, PROCESS_KILL, PING, CHANGE_USER, SET_OPTION, RESET = (
    2,
    3,
    4,
    9,
    12,
    14,
    17,
    27,
    31,
)
NAMES: Final = {
    INIT_DB: "USE", QUERY: "QUERY", FIELD_LIST: "FIELDS", 7: "REFRESH", 8: "SHUTDOWN", STATISTICS: "STATISTICS",
    10: "PROCESSLIST", PROCESS_KILL: "KILL", 13: "DEBUG", PING: "PING", CHANGE_USER: "CHANGE USER",
    SET_OPTION: "SET OPTION", RESET: "RESET CONNECTION",
}  # fmt: skip
"""Commands that are recorded."""
UPKEEP: Final = frozenset({PING, CHANGE_USER, SET_OPTION, RESET})
"""Commands by which drivers and pools look after a connection: calls only when the server does not say yes."""
_PREPARED: Final = frozenset({22, 23, 24, 26, 28, 250})
NOWHERE: Final = Place()


@dataclass
class Asked:
    """One command.

    Attributes:
        command: its number.
        argument: of it: the statement, the database; nothing where that is a secret or a number of the server.
        file: that the server asked for, of the client.
        place: on the connection.
    """

    command: int
    argument: bytes = b""
    file: bytes | None = None
    place: Place = NOWHERE
    secret: bool = field(default=False, compare=False)
    """Whether it holds a secret that is not known here."""

    def __post_init__(self) -> None:
        if self.command in {PROCESS_KILL, CHANGE_USER}:
            self.argument = b""

    @cached_property
    def sql(self) -> str:
        """The statement; empty where it is none. What is no UTF-8 in it stays as it is."""
        return self.argument.decode("utf-8", "surrogateescape") if self.command == QUERY else ""

    @cached_property
    def compact(self) -> str:
        """The statement without its long values: what it is known by."""
        return literals.compact(self.sql)

    @property
    def verb(self) -> str:
        """What is done."""
        return statements.verb_and_target(self.sql)[0] or "QUERY" if self.command == QUERY else NAMES[self.command]

    def hidden(self) -> Asked:
        """The same with secrets hidden."""
        return self._with(redaction.hide)

    def opened(self) -> Asked:
        """The same with hidden secrets put back, where there is a key."""
        opened = self._with(redaction.opened)
        opened.secret = any(map(redaction.hidden, opened.secrets()))
        return opened

    def blanked(self) -> Asked:
        """The same with every secret alike."""
        return self._with(lambda _secret: redaction.MASK)

    def secrets(self) -> list[str]:
        """What in it is hidden when it is recorded."""
        return literals.secrets_in(self.compact)

    def _with(self, how: redaction.Hide) -> Asked:
        if not self.secrets():
            return self
        return replace(self, argument=literals.hidden(self.sql, how).encode("utf-8", "surrogateescape"))


def kind(command: int) -> str:
    """Name commands that are not recorded, for people.

    Args:
        command: the number of one.
    """
    return "prepared statements" if command in _PREPARED else f"commands {command} of MySQL's protocol"


def digest(sql: str) -> str:
    """Give a name of a statement, the same in each run.

    Args:
        sql: its text.
    """
    return blake2b(statements.normal(sql).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def encode(asked: Asked) -> dict[str, spans.Attribute]:
    """Encode a question as a recording has it, secrets hidden.

    Args:
        asked: live.
    """
    attributes = spans.encode_payload(spans.REQUEST, asked.hidden().argument)
    attributes |= {COMMAND: asked.command, PLACE: asked.place.encoded()}
    if statements.is_file_loaded(asked.compact) is not None:
        attributes[STATEMENT] = digest(asked.compact)
    if asked.file is not None:
        attributes |= spans.encode_payload(FILE, asked.file)
    return attributes


def read(recorded: Span) -> Asked | None:
    """Read what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.

    Raises:
        CassetteError: it is damaged.
    """
    argument = recorded.payload(spans.REQUEST)
    if argument is None:
        return None
    try:
        command = int(str(recorded.attributes.get(COMMAND, QUERY)))
        place = Place(*json.loads(recorded.text(PLACE) or "[]"))
    except (ValueError, TypeError) as error:
        raise CassetteError(f"what was asked of MySQL is damaged ({error}): record it again") from error
    if command not in NAMES:
        raise CassetteError(f"what was asked of MySQL is damaged (there is no command {command}): record it again")
    return Asked(command, argument, recorded.payload(FILE), place).opened()
