"""A connection of psycopg2 in a replay: the driver runs on libpq, which talks to a socket of ours in its own thread."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any, Final
from weakref import ref

from timetracer_otel.families.nowhere import Reply
from timetracer_otel.families.postgres import connecting, statements, wire
from timetracer_otel.families.postgres.asked import Asked
from timetracer_otel.families.postgres.connection import peer_of
from timetracer_otel.families.postgres.libpq_link import DROPPED, LibpqLink
from timetracer_otel.families.postgres.psycopg2_copying import Copy, read_all, write_all
from timetracer_otel.families.postgres.psycopg2_driver import codec, handler_of
from timetracer_otel.families.postgres.server import Server
from timetracer_otel.seams import Responder

__all__ = ["Replaying", "lifted", "wait"]

_ELSEWHERE: Final = {
    "hostaddr": "", "sslmode": "disable", "gssencmode": "disable", "target_session_attrs": "any",
}  # fmt: skip
"""Parameters that mean nothing where the connection reaches nowhere, and what they are then."""
_DROPPED: Final = DROPPED | {"channel_binding"}
_DEFAULTS: Final = {
    "channel_binding": "prefer", "sslmode": "prefer", "gssencmode": "prefer", "target_session_attrs": "any",
    "port": "5432",
}  # fmt: skip
"""What libpq takes of these where nothing is asked for."""
_POLL_OK, _POLL_READ, _POLL_WRITE = 0, 1, 2
_LONGEST: Final = 0.05
"""Seconds after which it is looked at whether there is something to send."""
_COPIES: Final = frozenset({b"G", b"H", b"d", b"c"})


class CopyServer(Server):
    """A server for a client that reads and writes the files of COPY beside its protocol.

    Attributes:
        brings: reads what is to be copied to the server: its bytes, and why they end too early.
        copied: what was copied from the server.
    """

    def __init__(self, responder: Responder, peer: str) -> None:
        super().__init__(responder, peer)
        self.brings: Callable[[], tuple[bytes, str]] | None = None
        self.copied: list[bytes] = []

    def _query(self, body: bytes) -> Iterator[Reply[bytes]]:
        asked = Asked("query", wire.text(body)[0])
        if statements.outline(asked.sql).verb != "COPY":
            yield from super()._query(body)
            return
        if self.brings is not None and self._copy_begins(asked):
            asked.copied, asked.refused = self.brings()
            asked.done = not asked.refused
        for reply in self._answer(asked):
            yield self._without_data(reply) if isinstance(reply, bytes) else reply

    def _without_data(self, reply: bytes) -> bytes:
        said = list(wire.messages(reply))
        self.copied += [body for kind, body in said if kind == b"d"]
        return b"".join(wire.frame(*one) for one in said if one[0] not in _COPIES)


class Replaying:
    """Answers a connection.

    Args:
        responder: gives the recorded calls.
        plugin: the integration's name.
        dsn: what the program connects to.
        module: the driver's module of C.
    """

    def __init__(self, responder: Responder, plugin: str, dsn: str, module: Any) -> None:
        from psycopg2.extensions import make_dsn, parse_dsn  # noqa: PLC0415 - the driver is there

        self.is_new = True
        """Whether the driver has not spoken of its connection yet."""
        self.refuse = responder.refuse
        self.entered = False
        self.xid: Any = None
        self._plugin = plugin
        self._module = module
        self._turn = threading.RLock()
        """Of the threads that share the connection: where the driver calls us, it lets none of them wait."""
        self._copied_by: ref[Any] | None = None
        """The cursor whose last statement was a COPY, of which the driver says no tag."""
        self.asked: dict[str, str] = parse_dsn(dsn)
        self.shown_dsn = make_dsn(**{**self.asked, "password": "xxx"}) if "password" in self.asked else dsn
        port = _first(self.asked.get("port", "")) or "5432"
        address = self.asked.get("host", ""), int(port) if port.isdigit() else None
        self._server = CopyServer(responder, peer_of(address, self.asked.get("dbname", "")))
        self._link = LibpqLink(self._server, port)
        kept = {name: value for name, value in self.asked.items() if name not in _DROPPED}
        self.dsn: str = make_dsn(**{**kept, **_ELSEWHERE, "host": self._link.host, "port": port})

    # What the connection says of itself.

    def info(self, conn: Any) -> Any:
        """Give what a program reads of the connection.

        Args:
            conn: the connection.
        """
        return _info_class(self._module)(conn, self)

    def shown(self, parameters: dict[str, str]) -> dict[str, str]:
        """Give the parameters that a program reads: those that it asked for.

        Args:
            parameters: those that are in force.
        """
        left = {name: value for name, value in parameters.items() if name not in {*_ELSEWHERE, "host", "port"}}
        asked = {name: value for name, value in self.asked.items() if name != "password"}
        given = left | {name: value for name, value in _DEFAULTS.items() if name in parameters} | asked
        return {name: given[name] for name in (*parameters, *asked) if name in given}

    def copied_by(self, cursor: Any) -> bool:
        """Whether the last statement of a cursor was a COPY.

        Args:
            cursor: any of the connection.
        """
        return self._copied_by is not None and self._copied_by() is cursor

    # What is asked: by the driver itself.

    @contextmanager
    def answering(self) -> Iterator[None]:
        """While the driver asks: it must call us when it waits, and what is lost is lost as it was recorded."""
        with _waiting(self._module) as is_ours, self._turn if is_ours else nullcontext():
            try:
                yield
            except self._module.Error:
                failure, self._link.failure = self._link.failure, None
                if failure is None:
                    raise
                raise failure.make() from None

    def ask(
        self, cursor: Any, _sent: bytes, run: Callable[[], Any], *, begins: bool = True, template: Any = None
    ) -> Any:
        """Answer a statement.

        Args:
            cursor: that sends it.
            run: sends it.
            begins: whether the driver begins a transaction for it where there is none.
            template: what the driver has made its text of.
        """
        self._executes(cursor)
        with self.answering():
            result = run()
        if cursor.connection.async_:
            self._pump(cursor.connection)
        return result

    def _executes(self, cursor: Any) -> None:
        if self.copied_by(cursor):
            self._copied_by = None

    def close_unasked(self, cursor: Any, _asks: bytes, _closes: bytes, run: Callable[[], Any]) -> Any:
        """Answer the end of a cursor of the server that the client's has not declared.

        Args:
            cursor: that is closed.
            run: asks whether it is there, and closes it.
        """
        return self.ask(cursor, b"", run)

    def ask_each(
        self, cursor: Any, statements: Iterable[bytes], run: Callable[[Iterable[bytes]], Any], _template: Any
    ) -> Any:
        """Answer statements that the driver sends one by one.

        Args:
            cursor: that sends them.
            statements: their texts.
            run: sends them.
        """
        self._executes(cursor)
        with self.answering():
            return run(statements)

    def command(self, _conn: Any, _sent: Callable[[], Sequence[tuple[bytes, bytes]]], run: Callable[[], Any]) -> Any:
        """Answer what the connection sends by itself.

        Args:
            run: sends it.
        """
        with self.answering():
            return run()

    def settle(self, _conn: Any, run: Callable[[], Any], _statements: Callable[[], Sequence[bytes]]) -> Any:
        """Likewise of its settings.

        Args:
            run: makes them.
        """
        with self.answering():
            return run()

    def cancel(self, _run: Callable[[], Any]) -> None:
        """Break off what is under way."""
        self._server.cancel()

    def polled(self, conn: Any, run: Callable[[], int]) -> int:
        """Answer what was sent, before and after the driver looks.

        Args:
            conn: the connection.
            run: looks.
        """
        connects, self.is_new = self.is_new and conn.async_, False
        if not connects:
            return self._look(conn, run)
        with connecting.attempt(self._plugin):
            return self._look(conn, run)

    def _look(self, conn: Any, run: Callable[[], int]) -> int:
        self._pump(conn)
        state = run()
        self._pump(conn)
        return state

    def _pump(self, conn: Any) -> None:
        try:
            self._link.pump()
        except BaseException:
            self._link.close()
            if conn.async_:
                conn.close()
            raise

    def patience(self) -> float:
        """Seconds to wait for what may still be sent."""
        due = self._link.due
        return _LONGEST if due is None else min(due, _LONGEST)

    # COPY: the driver refuses it where it calls somebody when it waits.

    def copy(self, cursor: Any, copy: Copy) -> Any:
        """Answer a COPY, whose file is read or written here.

        Args:
            cursor: that asks for it.
            copy: what is asked.
        """
        is_file = hasattr(copy.file, "read") or hasattr(copy.file, "write")
        if self._module.get_wait_callback() not in {None, wait} or not is_file:
            return copy.run(copy.file)  # as the driver refuses it
        name = codec(cursor.connection)
        self._server.brings = lambda: read_all(copy.file, copy.size, lambda text: text.encode(name))
        self._server.copied = []
        is_copy = statements.outline(copy.sql.decode("utf-8", "surrogateescape")).verb == "COPY"
        self._copied_by = ref(cursor) if is_copy else None
        try:
            with self.answering():
                return copy.execute(copy.sql)
        finally:
            self._server.brings = None
            write_all(copy.file, self._server.copied, lambda data: data.decode(name))


_asking = 0
"""How many threads ask something of replayed connections now."""
_counting = threading.Lock()


def _after_fork() -> None:
    """In a child nobody asks yet: the threads that did are the parent's."""
    global _asking, _counting
    _asking, _counting = 0, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def _waiting(module: Any) -> Iterator[bool]:
    """While a connection is asked: the driver calls us when it waits, unless a program has named somebody else.

    It does so for all connections of a process, and refuses some of them COPY then, so it ends with the last.

    Args:
        module: the driver's module of C.

    Yields:
        Whether it calls us.
    """
    global _asking  # noqa: PLW0603 - the driver has one such setting
    with _counting:
        _asking += 1
        if module.get_wait_callback() is None:
            module.set_wait_callback(wait)
    try:
        yield module.get_wait_callback() is wait
    finally:
        with _counting:
            _asking -= 1
            if not _asking and module.get_wait_callback() is wait:
                module.set_wait_callback(None)


@contextmanager
def lifted(module: Any) -> Iterator[None]:
    """While a connection that is not replayed does what the driver refuses where it calls somebody when it waits.

    Args:
        module: the driver's module of C.
    """
    is_set = module.get_wait_callback() is wait
    if is_set:
        module.set_wait_callback(None)
    try:
        yield
    finally:
        if is_set:
            module.set_wait_callback(wait)


@cache
def _info_class(module: Any) -> Any:
    class ConnectionInfo(module.ConnectionInfo):  # type: ignore[misc]  # a class of C
        def __init__(self, conn: Any, answers: Replaying) -> None:
            super().__init__(conn)
            self._answers = answers
            self._conn = conn

        @property
        def host(self) -> str | None:
            return _first(self._answers.asked.get("host", "")) or super().host

        @property
        def port(self) -> int:
            return int(_first(self._answers.asked.get("port", "")) or super().port)

        @property
        def dsn_parameters(self) -> Any:
            return self._answers.shown(super().dsn_parameters)

    return ConnectionInfo


def _first(several: str) -> str:
    """Of several servers the first, as what they are means nothing."""
    return several.partition(",")[0]


def wait(conn: Any) -> None:
    """Be called by the driver when it waits: as its own ``wait_select``, but for what we still have to send.

    Args:
        conn: the connection.
    """
    while (state := conn.poll()) != _POLL_OK:
        answers = handler_of(conn)
        timeout = answers.patience() if isinstance(answers, Replaying) else None
        reads, writes = [[conn], []] if state == _POLL_READ else [[], [conn]]
        select.select(reads, writes, [], timeout)
