"""Cursors of psycopg2: what goes around their methods in C, which record or answer what they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any, Final

from timetracer_otel.families.postgres import psycopg2_statements as texts
from timetracer_otel.families.postgres.psycopg2_copying import Copy
from timetracer_otel.families.postgres.psycopg2_driver import driver, handler_of
from timetracer_otel.families.postgres.psycopg2_replaying import Replaying, lifted

__all__ = ["METHODS", "Attribute", "making"]

_FAILED: Final = 3
"""The status of a transaction that has failed, by libpq."""


class Attribute(property):
    """An attribute in the place of one of C's; the patch notes on it what that was."""


def _execute(original: Any) -> Any:
    def execute(self: Any, query: Any, vars: Any = None) -> Any:  # noqa: A002 - the driver's own name
        handler = handler_of(self.connection)
        if handler is None or texts.is_refused(self):
            return original(self, query, vars)
        sent = driver().cursor.mogrify(self, query, vars)
        return handler.ask(self, sent, lambda: original(self, sent), template=query)

    return execute


class _Verbatim:
    """A statement as the only parameter of another one.

    Args:
        sent: its text.
    """

    __slots__ = ("_sent",)

    def __init__(self, sent: bytes) -> None:
        self._sent = sent

    def __conform__(self, _protocol: Any) -> _Verbatim:
        return self

    def getquoted(self) -> bytes:
        """Give it as it is."""
        return self._sent


def _executemany(original: Any) -> Any:
    def executemany(self: Any, query: Any, vars_list: Any) -> Any:
        handler = handler_of(self.connection)
        if handler is None or self.name is not None or self.closed:
            return original(self, query, vars_list)
        mogrify = driver().cursor.mogrify
        sent = (mogrify(self, query, one) for one in vars_list)
        return handler.ask_each(
            self, sent, lambda each: original(self, "%s", ((_Verbatim(one),) for one in each)), query
        )

    return executemany


def _callproc(original: Any) -> Any:
    def callproc(self: Any, procname: Any, parameters: Any = None) -> Any:
        handler = handler_of(self.connection)
        if handler is None or self.name is not None:
            return original(self, procname, parameters)
        return handler.ask(self, texts.call(procname), lambda: original(self, procname, parameters))

    return callproc


def _of_server(statement: Callable[..., bytes]) -> Callable[[Any], Any]:
    """Make what goes around a method by which a server-side cursor asks for something.

    Args:
        statement: gives its text, from the cursor and the arguments.
    """

    def maker(original: Any) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if self.name is None:
                return original(self, *args, **kwargs)
            handler = handler_of(self.connection)
            if handler is None or self.closed:
                return original(self, *args, **kwargs)
            sent = statement(self, *args, **kwargs)
            return handler.ask(self, sent, lambda: original(self, *args, **kwargs), begins=False)

        return method

    return maker


def _close(original: Any) -> Any:
    def close(self: Any) -> Any:
        handler = handler_of(self.connection) if self.name is not None and not self.closed else None
        if handler is None or self.connection.get_transaction_status() == _FAILED:
            return original(self)
        if self.query is None:
            return handler.close_unasked(self, texts.exists(self), texts.close(self), lambda: original(self))
        return handler.ask(self, texts.close(self), lambda: original(self), begins=False)

    return close


_END: Final = object()


def _step(following: Callable[[], Any]) -> Any:
    """Give the next row; that there is none is an answer as well."""
    try:
        return following()
    except StopIteration:
        return _END


@lru_cache(maxsize=64)
def _iterating(factory: type) -> type:
    """Give a class of cursors of the server whose steps are seen: C takes them without asking for a method.

    Args:
        factory: the program's.
    """

    class Cursor(factory):  # type: ignore[misc]  # the driver's or the program's
        def __next__(self) -> Any:
            handler = handler_of(self.connection)
            if handler is None or self.rownumber < self.rowcount:
                return super().__next__()
            step = partial(_step, super().__next__)
            row = handler.ask(self, texts.fetch(self, self.itersize), step, begins=False)
            if row is _END:
                raise StopIteration
            return row

    Cursor.__name__, Cursor.__qualname__ = factory.__name__, factory.__qualname__
    Cursor.__module__, Cursor.__doc__ = factory.__module__, factory.__doc__
    return Cursor


def making(original: Any) -> Any:
    """Make what goes around a connection's method that makes cursors: the steps of those on the server are seen.

    Args:
        original: the method.
    """

    def cursor(self: Any, name: Any = None, cursor_factory: Any = None, *args: Any, **kwargs: Any) -> Any:
        if name is not None and handler_of(self) is not None:
            factory = cursor_factory or self.cursor_factory or driver().cursor
            cursor_factory = _iterating(factory) if isinstance(factory, type) else factory
        return original(self, name, cursor_factory, *args, **kwargs)

    return cursor


def _statusmessage(original: Any) -> Any:
    def get(self: Any) -> Any:
        handler = handler_of(self.connection)
        return "" if isinstance(handler, Replaying) and handler.copied_by(self) else original.__get__(self)

    return Attribute(get)


# COPY.


def _copy(cursor: Any, file: Any, sql: Callable[[], bytes], run: Callable[[Any], Any], size: int = 8192) -> Any:
    handler = handler_of(cursor.connection)
    if handler is None:
        with lifted(driver()):
            return run(file)
    execute = driver().cursor.execute.__wrapped__
    try:
        text = sql()
    except Exception:  # noqa: BLE001 - the driver has its own words for what it cannot take
        return run(file)
    return handler.copy(cursor, Copy(file, text, run, lambda sent: execute(cursor, sent), size))


def _again(given: Any) -> Any:
    """Give what can be read twice: columns may come from a generator, which is the driver's to read."""
    return list(given) if isinstance(given, Iterator) else given


def _copies_rows(statement: Callable[..., bytes]) -> Callable[[Any], Any]:
    """Make what goes around a method that makes its COPY itself.

    Args:
        statement: gives its text, from the cursor and the arguments behind the file.
    """

    def maker(original: Any) -> Any:
        def method(self: Any, file: Any, *args: Any, **kwargs: Any) -> Any:
            args = tuple(map(_again, args))
            kwargs = {name: _again(one) for name, one in kwargs.items()}
            return _copy(
                self,
                file,
                lambda: statement(self, *args, **kwargs),
                lambda copied: original(self, copied, *args, **kwargs),
                kwargs.get("size", 8192),
            )

        return method

    return maker


def _copy_expert(original: Any) -> Any:
    def copy_expert(self: Any, sql: Any, file: Any, size: Any = 8192) -> Any:
        mogrify = driver().cursor.mogrify
        return _copy(self, file, lambda: mogrify(self, sql), lambda copied: original(self, sql, copied, size), size)

    return copy_expert


METHODS: Final[dict[str, Callable[[Any], Any]]] = {
    "execute": _execute,
    "executemany": _executemany,
    "callproc": _callproc,
    "fetchone": _of_server(lambda cursor: texts.fetch(cursor, 1)),
    "fetchmany": _of_server(lambda cursor, size=None: texts.fetch(cursor, cursor.arraysize if size is None else size)),
    "fetchall": _of_server(lambda cursor: texts.fetch(cursor, "ALL")),
    "scroll": _of_server(texts.move),
    "close": _close,
    "copy_from": _copies_rows(texts.copy_from),
    "copy_to": _copies_rows(texts.copy_to),
    "copy_expert": _copy_expert,
    "statusmessage": _statusmessage,
}
"""By the names of a cursor's methods and attributes: makes what stands in the place of each."""
