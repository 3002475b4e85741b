"""What psycopg2 says of its connections, by the names that libpq has for it; and what sees to each of them."""

from __future__ import annotations

from typing import Any, Final
from weakref import WeakKeyDictionary, ref

from timetracer_otel.families.postgres import wire
from timetracer_otel.families.postgres.libpq import LibpqConnection

__all__ = ["Begun", "Beside", "Libpq", "codec", "driver", "encoded", "error_fields", "handler_of", "seen"]

_FIELDS: Final = {
    "S": "severity", "V": "severity_nonlocalized", "C": "sqlstate", "M": "message_primary", "D": "message_detail",
    "H": "message_hint", "P": "statement_position", "p": "internal_position", "q": "internal_query", "W": "context",
    "s": "schema_name", "t": "table_name", "c": "column_name", "d": "datatype_name", "n": "constraint_name",
    "F": "source_file", "L": "source_line", "R": "source_function",
}  # fmt: skip

seen: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""What the connections of the driver are recorded or answered by."""


def handler_of(conn: Any) -> Any:
    """Give what records or answers a connection; None where nothing does.

    Args:
        conn: any of the driver's.
    """
    try:
        return seen.get(conn)
    except TypeError:
        return None  # of a class of the program's own that cannot be hashed


def driver() -> Any:
    """Give the driver's module of C, which is there when anything of it is called."""
    from psycopg2 import _psycopg  # noqa: PLC0415 - it is optional

    return _psycopg


class Libpq:
    """A connection of psycopg2 by the names that libpq has for what it says.

    Args:
        conn: the connection; it must not be kept alive.
    """

    pipeline_status = 0

    def __init__(self, conn: Any) -> None:
        self._conn = ref(conn)
        info = conn.info
        self.host, self.port, self.db = (str(one or "").encode() for one in (info.host, info.port, info.dbname))
        self.backend_pid = info.backend_pid

    @property
    def status(self) -> int:
        """As libpq's: 1 where the connection is lost."""
        conn = self._conn()
        return int(conn is None or bool(conn.closed))

    @property
    def transaction_status(self) -> int:
        """As libpq's."""
        conn = self._conn()
        return 0 if conn is None or conn.closed else int(conn.get_transaction_status())

    def parameter_status(self, name: bytes) -> bytes | None:
        """As libpq's."""
        conn = self._conn()
        value = None if conn is None or conn.closed else conn.get_parameter_status(name.decode())
        return None if value is None else value.encode()


class Begun:
    """The same once a transaction has begun, which the driver says only after the statement behind it."""

    status, pipeline_status, transaction_status = 0, 0, 2

    def __init__(self, libpq: Libpq) -> None:
        self.parameter_status = libpq.parameter_status


class Beside:
    """What a connection had been told beside answers.

    Args:
        conn: the connection.
    """

    __slots__ = ("notice", "notification")

    def __init__(self, conn: Any) -> None:
        self.notice, self.notification = _last(conn.notices), _last(conn.notifies)

    def tell(self, recording: LibpqConnection, conn: Any) -> None:
        """Tell what has come since.

        Args:
            recording: is told.
            conn: the connection.
        """
        for text in _since(conn.notices, self.notice):
            severity, _, message = text.rstrip("\n").partition(":  ")
            fields = {"S": _raw(conn, severity), "M": _raw(conn, message)}
            recording.beside(wire.error_response(fields, b"N"))
        for one in _since(conn.notifies, self.notification):
            recording.beside(wire.notification(one.pid, encoded(conn, one.channel), encoded(conn, one.payload)))


def _last(items: Any) -> Any:
    try:
        return items[-1] if items else None
    except (TypeError, KeyError):
        return None  # what the program has put there keeps nothing in order


def _since(items: Any, last: Any) -> list[Any]:
    """What was appended after an item, which may have been dropped since."""
    if _last(items) is last:
        return []
    found = list(items)
    at = next((number for number in range(len(found) - 1, -1, -1) if found[number] is last), -1)
    return found[at + 1 :]


def codec(conn: Any) -> str:
    """The name of a connection's encoding, by which texts are sent."""
    return str(driver().encodings.get(conn.encoding, "utf-8"))


def encoded(conn: Any, text: str | None) -> bytes:
    """Give the bytes of a text as they are sent."""
    return (text or "").encode(codec(conn), "replace")


def _raw(conn: Any, text: str) -> str:
    """A text whose bytes, as our messages write them, are those of the client's encoding."""
    return encoded(conn, text).decode("utf-8", "surrogateescape")


def error_fields(conn: Any, error: BaseException) -> dict[str, bytes]:
    """The fields of the server's error that the driver made an exception of; none where it made it itself."""
    diag = getattr(error, "diag", None)
    if diag is None or not hasattr(error, "pgcode"):
        return {}
    found = ((letter, getattr(diag, name, None)) for letter, name in _FIELDS.items())
    return {letter: encoded(conn, value) for letter, value in found if value is not None}
