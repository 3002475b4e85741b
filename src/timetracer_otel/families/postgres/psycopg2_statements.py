"""Statements that psycopg2 makes in C, where nobody sees them: as they are in all releases of 2.9."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

__all__ = [
    "Settings",
    "begin",
    "call",
    "close",
    "copy_from",
    "copy_to",
    "exists",
    "fetch",
    "is_refused",
    "level",
    "move",
    "session",
    "two_phase_begin",
    "two_phase_end",
    "two_phase_prepare",
]

_READY, _IN_TRANSACTION, _PREPARED = 1, 2, 5
"""The driver's status of a connection."""
_LEVELS: Final = {1: "READ COMMITTED", 2: "REPEATABLE READ", 3: "SERIALIZABLE", 4: "READ UNCOMMITTED"}
_READ_ONLY: Final = {True: " READ ONLY", False: " READ WRITE"}
_DEFERRABLE: Final = {True: " DEFERRABLE", False: " NOT DEFERRABLE"}
_ON: Final = {True: "on", False: "off"}
_CHARACTERISTICS: Final[dict[str, tuple[str, dict[Any, str]]]] = {
    "isolation_level": ("default_transaction_isolation", _LEVELS),
    "readonly": ("default_transaction_read_only", _ON),
    "deferrable": ("default_transaction_deferrable", _ON),
}
"""By the connection's attribute the server's parameter and its values, in the order in which they are set."""

Sent = tuple[bytes, bytes]
"""A statement, and the tag that the server answers."""


# Transactions.


def begin(conn: Any) -> bytes:
    """Begin a transaction, as a connection does before its first statement.

    Args:
        conn: the connection.
    """
    isolation = _LEVELS.get(conn.isolation_level)
    words = f" ISOLATION LEVEL {isolation}" if isolation else ""
    return f"BEGIN{words}{_READ_ONLY.get(conn.readonly, '')}{_DEFERRABLE.get(conn.deferrable, '')}".encode()


@dataclass(frozen=True, slots=True)
class Settings:
    """How a connection is set up before that changes.

    Attributes:
        autocommit: whether it begins no transactions.
        inside: whether it is in one.
        encoding: of the client.
        kept: its characteristics that are not the default.
    """

    autocommit: bool
    inside: bool
    encoding: str
    kept: tuple[str, ...]

    @classmethod
    def of(cls, conn: Any) -> Self:
        """Read them from a connection."""
        kept = tuple(name for name in _CHARACTERISTICS if getattr(conn, name) is not None)
        return cls(bool(conn.autocommit), conn.status == _IN_TRANSACTION, conn.encoding, kept)

    def statements(self, conn: Any, changed: dict[str, Any]) -> Sequence[bytes]:
        """Give what was sent.

        Args:
            conn: the connection, set up.
            changed: what was given; ``rollback`` where what was under way is rolled back first.
        """
        sent: list[str] = []
        if "encoding" in changed:
            if conn.encoding == self.encoding:
                return []
            sent.append(f"SET client_encoding TO '{conn.encoding}'")
        elif conn.autocommit:
            sent += [_set(name, getattr(conn, name)) for name in _CHARACTERISTICS if name in changed]
        elif self.autocommit:
            sent += [_set(name, None) for name in self.kept]
        if self.inside and ("encoding" in changed or "rollback" in changed):
            sent.insert(0, "ROLLBACK")
        return [one.encode() for one in sent]


def _set(name: str, value: Any) -> str:
    parameter, words = _CHARACTERISTICS[name]
    word = words.get(value)
    return f"SET {parameter} TO DEFAULT" if word is None else f"SET {parameter} TO '{word}'"


def session(
    isolation_level: Any = None, readonly: Any = None, deferrable: Any = None, autocommit: Any = None
) -> dict[str, Any]:
    """Give what ``set_session`` sets: None means that something stays as it is."""
    given = {
        "isolation_level": isolation_level, "readonly": readonly, "deferrable": deferrable, "autocommit": autocommit,
    }  # fmt: skip
    return {name: value for name, value in given.items() if value is not None}


def level(isolation_level: Any) -> dict[str, Any]:
    """Give what ``set_isolation_level`` sets; the level 0 is autocommit."""
    name = "autocommit" if isolation_level == 0 and isolation_level is not None else "isolation_level"
    return {name: isolation_level, "rollback": True}


def two_phase_begin(conn: Any, of: Any, xid: Any) -> Sent | None:
    """Begin a transaction in two phases."""
    of.xid = xid
    return None if conn.status != _READY or conn.autocommit else (begin(conn), b"BEGIN")


def two_phase_prepare(conn: Any, of: Any) -> Sent | None:
    """Prepare it."""
    return None if of.xid is None else (_named(conn, b"PREPARE TRANSACTION", of.xid), b"PREPARE TRANSACTION")


def two_phase_end(verb: bytes) -> Callable[..., Sent | None]:
    """Commit it or roll it back.

    Args:
        verb: which.
    """

    def end(conn: Any, of: Any, xid: Any = None) -> Sent | None:
        if xid is None and conn.status == _IN_TRANSACTION:
            return verb, verb
        if xid is None and (of.xid is None or conn.status != _PREPARED):
            return None
        tag = verb + b" PREPARED"
        return _named(conn, tag, of.xid if xid is None else xid), tag

    return end


def _named(conn: Any, verb: bytes, xid: Any) -> bytes:
    return verb + b" " + _literal(conn, str(xid))


# Cursors of the server.


def is_refused(cursor: Any) -> bool:
    """Whether the driver executes no statement on a cursor of the server.

    Args:
        cursor: any.
    """
    if cursor.name is None:
        return False
    return cursor.query is not None or (cursor.connection.autocommit and not cursor.withhold)


def fetch(cursor: Any, count: Any) -> bytes:
    """Fetch rows from a cursor of the server.

    Args:
        cursor: it.
        count: how many; ``ALL``.
    """
    return f"FETCH FORWARD {count} FROM {_quoted(cursor)}".encode()


def move(cursor: Any, value: Any, mode: str = "relative") -> bytes:
    """Move a cursor of the server."""
    return f"MOVE {'ABSOLUTE ' if mode == 'absolute' else ''}{value} FROM {_quoted(cursor)}".encode()


def close(cursor: Any) -> bytes:
    """Close a cursor of the server."""
    return f"CLOSE {_quoted(cursor)}".encode()


def exists(cursor: Any) -> bytes:
    """Ask whether there is a cursor on the server which the client's has not declared."""
    return b"SELECT 1 FROM pg_catalog.pg_cursors where name = " + _literal(cursor.connection, cursor.name)


def _quoted(cursor: Any) -> str:
    from psycopg2.extensions import quote_ident  # noqa: PLC0415 - the driver is there

    return str(quote_ident(cursor.name, cursor.connection))


def _literal(conn: Any, text: str) -> bytes:
    from psycopg2.extensions import QuotedString  # noqa: PLC0415 - the driver is there

    quoted = QuotedString(text)
    quoted.prepare(conn)
    return bytes(quoted.getquoted())


def call(procedure: str) -> bytes:
    """Call a procedure, so far as that is known before the driver has put its parameters in."""
    return b"SELECT * FROM " + procedure.encode() + b"()"


# COPY.


def copy_from(cursor: Any, table: Any, *options: Any, **named: Any) -> bytes:
    """Copy rows to a table."""
    return _copy(
        cursor, table, b"FROM stdin", dict(zip(("sep", "null", "size", "columns"), options, strict=False)) | named
    )


def copy_to(cursor: Any, table: Any, *options: Any, **named: Any) -> bytes:
    """Copy rows from a table."""
    return _copy(cursor, table, b"TO stdout", dict(zip(("sep", "null", "columns"), options, strict=False)) | named)


def _copy(cursor: Any, table: Any, way: bytes, options: dict[str, Any]) -> bytes:
    from psycopg2.extensions import quote_ident  # noqa: PLC0415 - the driver is there

    conn, columns = cursor.connection, options.get("columns")
    sep, null = (_literal(conn, options.get(name, default)) for name, default in (("sep", "\t"), ("null", "\\N")))
    listed = "" if columns is None else f"({','.join(quote_ident(one, conn) for one in columns)})"
    named = f"{quote_ident(table, conn)}{listed}".encode()
    return b"COPY %s %s WITH DELIMITER AS %s NULL AS %s" % (named, way, sep, null)
