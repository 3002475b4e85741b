"""Cursors of a module's class of C, as a subclass: statements go to the connection's link, rows are seen or given."""

from __future__ import annotations

from functools import partial
from operator import index
from typing import Any, Final

from timetracer_otel.families.dbapi.standing import Stands, named_as, real

__all__ = ["cursor_class", "is_statement"]

_SIZES: Final = range(-(2**31), 2**31)
"""Numbers of rows that the module takes: those of an int of C."""


def is_statement(args: tuple[Any, ...], kwargs: dict[str, Any], most: int = 2) -> bool:
    """Whether a method is called as the module has it; else that says what is wrong.

    Args:
        args: that it is called with; the first is the statement.
        kwargs: likewise; it takes none.
        most: how many arguments it takes.
    """
    return 1 <= len(args) <= most and not kwargs and isinstance(args[0], str)


def _has_items(args: tuple[Any, ...]) -> bool:
    """Whether parameters come with a statement, one after the other."""
    return len(args) > 1 and (hasattr(args[1], "__iter__") or hasattr(args[1], "__getitem__"))


def _size(args: tuple[Any, ...], kwargs: dict[str, Any], default: int) -> int | None:
    """How many rows ``fetchmany`` is asked for; None when it is called wrongly. Up to 0 it gives all of them."""
    given = (*args, *kwargs.values()) or (default,)
    if len(given) > 1 or kwargs.keys() - {"size"}:
        return None
    try:
        size = index(given[0])
    except TypeError:
        return None
    return size if size in _SIZES else None


def cursor_class(base: Any) -> Any:  # noqa: C901 - the methods of one class, which can only be made when its base is known
    """Make the class of cursors whose calls are carried by the link of their connection.

    Args:
        base: the module's own, of C.
    """

    class Cursor(base, metaclass=Stands):  # type: ignore[misc]  # what the base is, only its import tells
        _timetracer: Any = None
        _timetracer_rows: Any = None

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # No super(): a class of the app's may be older than this one.
            base.__init__(self, *map(real, args), **kwargs)
            link = getattr(self.connection, "_timetracer", None)
            if link is not None:
                self._timetracer, self._timetracer_rows = link, link.rows()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            if self._timetracer is None or not is_statement(args, kwargs):
                return super().execute(*args, **kwargs)
            return self._timetracer.statement(self, self._timetracer_rows, super().execute, "execute", *args)

        def executemany(self, *args: Any, **kwargs: Any) -> Any:
            if self._timetracer is None or not is_statement(args, kwargs) or not _has_items(args):
                return super().executemany(*args, **kwargs)
            return self._timetracer.statement(self, self._timetracer_rows, super().executemany, "executemany", *args)

        def executescript(self, *args: Any, **kwargs: Any) -> Any:
            if self._timetracer is None or not is_statement(args, kwargs, most=1):
                return super().executescript(*args, **kwargs)
            return self._timetracer.statement(
                self, self._timetracer_rows, super().executescript, "executescript", *args
            )

        def fetchone(self) -> Any:
            state = self._timetracer_rows
            if state is None:
                return super().fetchone()
            row = state.one(self, super().fetchone)
            return row if row is None or state.row_factory is None else state.row_factory(self, row)

        def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
            state, size = self._timetracer_rows, _size(args, kwargs, self.arraysize)
            if state is None or size is None:
                return super().fetchmany(*args, **kwargs)
            return self._rows(state, state.many(self, size if size > 0 else None, partial(super().fetchmany, size)))

        def fetchall(self) -> Any:
            state = self._timetracer_rows
            if state is None:
                return super().fetchall()
            return self._rows(state, state.many(self, None, super().fetchall))

        def _rows(self, state: Any, rows: list[Any]) -> list[Any]:
            factory = state.row_factory
            return rows if factory is None else [factory(self, row) for row in rows]

        def __iter__(self) -> Any:
            super().__iter__()
            return self

        def __next__(self) -> Any:
            state = self._timetracer_rows
            if state is None:
                return super().__next__()
            row = state.next(self, super().__next__)
            return row if state.row_factory is None else state.row_factory(self, row)

        def close(self) -> None:
            if self._timetracer_rows is not None:
                self._timetracer_rows.end(self, ended=False)
            super().close()

        def __del__(self) -> None:
            if self._timetracer_rows is not None:
                self._timetracer_rows.end(self, ended=False)

        @property
        def row_factory(self) -> Any:
            return super().row_factory if self._timetracer_rows is None else self._timetracer_rows.row_factory

        @row_factory.setter
        def row_factory(self, factory: Any) -> None:
            if self._timetracer_rows is None:
                base.row_factory.__set__(self, factory)
            else:
                self._timetracer_rows.row_factory = factory

        @property
        def description(self) -> Any:
            return self._shown("description", super().description)

        @property
        def rowcount(self) -> Any:
            return self._shown("rowcount", super().rowcount)

        @property
        def lastrowid(self) -> Any:
            return self._shown("lastrowid", super().lastrowid)

        def _shown(self, name: str, real: Any) -> Any:
            return real if self._timetracer_rows is None else self._timetracer_rows.shown(name, real)

    return named_as(Cursor, base)
