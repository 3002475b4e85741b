"""SQLite by the standard library's sqlite3: connections and cursors are subclasses of the module's types of C.

A recorded connection is a real one. A replayed one is a real one as well, to a database in memory that holds nothing
and runs nothing of the app's: it checks what Python's module checks (closed, another thread, wrong arguments), and what
it cannot know comes from the cassette. No file is opened.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib import import_module
from types import FrameType
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.dbapi import matching, rendering
from timetracer_otel.families.dbapi.binding import Binding
from timetracer_otel.families.dbapi.blobs import Blob
from timetracer_otel.families.dbapi.cursors import cursor_class, is_statement
from timetracer_otel.families.dbapi.driver import Driver
from timetracer_otel.families.dbapi.recorded_link import RecordedLink
from timetracer_otel.families.dbapi.replayed_link import ReplayedLink
from timetracer_otel.families.dbapi.standing import Stands, named_as, ours, real
from timetracer_otel.families.dbapi.typed import plain
from timetracer_otel.seams import Instrumentor, Integration, Patch, faults

__all__ = ["INTEGRATION"]

NAME: Final = "sqlite3"
_SYSTEM: Final = "sqlite"
_INSTRUMENTOR: Final = Instrumentor(NAME, NAME, in_code=False)
"""Not turned on by ``install()``: behind its proxies ``backup``, ``Cursor(…)`` and others of the module fail."""
_MODULES: Final = ("sqlite3.dbapi2", "sqlite3")
_BETWEEN: Final = (
    "timetracer_otel.integrations.",
    "timetracer_otel.seams.",
    "opentelemetry.instrumentation.",
    "wrapt.",
)
_TOOLS: Final = ("coverage.", "timetracer_otel.", "opentelemetry.", "IPython.", "testmon.", "mypy.")
"""Tools that keep databases for work which is not the app's."""
_FACTORY: Final = 5
"""Where ``connect`` takes the connection's class; the others are before it."""
_DETECT_TYPES: Final = 2
_TRANSACTION: Final = 22  # SQLITE_TRANSACTION, an action that an authorizer is asked about (sqlite3.h)
_DENY: Final = 1  # SQLITE_DENY


@dataclass(frozen=True)
class _C:
    """The module's own names, of C."""

    module: Any
    connection: Any
    cursor: Any
    own_cursor: Any
    statement: type
    driver: Driver


@cache
def _c() -> _C:
    module = import_module("_sqlite3")
    protocol, connection, cursor = module.PrepareProtocol, module.Connection, module.Cursor
    driver = Driver(
        plugin=NAME,
        system=_SYSTEM,
        binding=Binding(module.adapters, lambda value: module.adapt(value, protocol, value)),
        converters=module.converters,
        error=module.Error,
        unusable=module.OperationalError,
        misuse=module.ProgrammingError,
        in_transaction=connection.in_transaction.__get__,
        changes=connection.total_changes.__get__,
        count=cursor.rowcount.__get__,
        last_id=cursor.lastrowid.__get__,
        description=cursor.description.__get__,
        exhausted=_is_exhausted,
    )
    return _C(module, connection, cursor, cursor_class(cursor), _statement_class(connection), driver)


def _statement_class(connection: Any) -> type:
    """Find the class of prepared statements, which has no name in the module."""
    opened = connection(":memory:")
    try:
        return type(opened("SELECT 1"))
    finally:
        opened.close()


def _has_statement(cursor: Any) -> bool:
    """Whether a cursor holds on to its statement: the module lets it go with the last row."""
    return _c().statement in map(type, gc.get_referents(cursor))


@cache
def _shows_last_row() -> bool:
    """Whether this Python's cursors show it, by an example."""
    connection = _c().connection(":memory:")
    cursor = _c().cursor(connection)
    cursor.execute("SELECT 1 UNION ALL SELECT 2")
    shown = [(_has_statement(cursor), cursor.fetchone()) for _ in range(2)]
    connection.close()
    return [held for held, _ in shown] == [True, True] and not _has_statement(cursor)


def _is_exhausted(cursor: Any) -> bool:
    """Whether an app that fetched so many rows has fetched all, without having asked for one more."""
    return _shows_last_row() and not _has_statement(cursor)


def _argument(args: Sequence[Any], kwargs: Mapping[str, Any], place: int, name: str, default: Any = None) -> Any:
    return args[place] if len(args) > place else kwargs.get(name, default)


def _heeded(callback: Any) -> Any:
    """Give a callback whose exceptions stop nothing, as the module calls it."""

    def called(*args: Any) -> None:
        with suppress(Exception):
            callback(*args)

    return called if callable(callback) else None


def _is_tools(frame: FrameType | None) -> bool:
    """Whether a connection is for a tool: what coverage measures is nothing that the app asks."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", "")) + "."
        if not name.startswith(_BETWEEN):
            return name.startswith(_TOOLS)
        frame = frame.f_back
    return False


@lru_cache(maxsize=256)
def _without_rows(columns: tuple[str, ...]) -> str:
    """Write a statement whose result has these columns and no row."""
    names = [name.replace('"', '""') for name in columns]
    return "SELECT " + ", ".join(f'NULL AS "{name}"' for name in names) + " WHERE 0"


# Connections in a recording and in a replay.


class _RecordedConnection(RecordedLink):
    """Behind a recorded connection.

    Args:
        args: that it is made with.
        kwargs: likewise.
    """

    def __init__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        converts = bool(_argument(args, kwargs, _DETECT_TYPES, "detect_types", 0))
        super().__init__(_c().driver, _argument(args, kwargs, 0, "database"), converts=converts)

    def open(self, _connection: Any, init: Callable[..., None], args: Any, kwargs: Any) -> None:
        self.refuse_in_replay()
        try:
            init(*args, **kwargs)
        except _c().driver.error as error:  # other exceptions are about the arguments, which the module finds by itself
            self.failed_to_connect(error)
            raise

    def set_text_factory(self, connection: Any, factory: Any) -> None:
        _c().connection.text_factory.__set__(connection, self.noted_texts(factory))

    def hear(self, connection: Any, setter: str, callback: Any, more: Sequence[Any]) -> None:
        getattr(_c().connection, setter)(connection, self.noticing(setter, callback), *more)

    def backup(self, connection: Any, go: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if "progress" in kwargs:
            kwargs["progress"] = self.noticing("progress", kwargs["progress"])
        self.call(connection, "backup", [kwargs.get("name", "main")], partial(go, *args, **kwargs))

    def open_blob(self, connection: Any, go: Callable[[], Any], place: list[Any]) -> Any:
        opened: list[Any] = []

        def opening() -> int:
            opened.append(go())
            return len(opened[0])

        self.call(connection, "blobopen", place, opening)
        return opened[0]


class _ReplayedConnection(ReplayedLink):
    """Behind a replayed connection, which is one to a database in memory.

    Args:
        _args: that it is made with.
        kwargs: likewise.
    """

    def __init__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        super().__init__(_c().driver, _argument(args, kwargs, 0, "database"), self._show_columns)
        self._own = False
        """Whether that database runs a statement of ours."""

    def open(self, connection: Any, init: Callable[..., None], args: Any, kwargs: Any) -> None:
        if self.database and "\0" not in self.database:  # else the module says that it is no database's name
            self.connect()
            if args:
                args = (":memory:", *args[1:])
            else:
                kwargs = {**kwargs, "database": ":memory:"}
        init(*args, **kwargs)
        _c().connection.set_authorizer(connection, self._authorize)

    def _authorize(self, action: int, *_: Any) -> int:
        """Keep a cursor that is none of ours from asking the empty database."""
        return 0 if self._own or action == _TRANSACTION else _DENY

    def _execute(self, cursor: Any, sql: str, *parameters: Any) -> None:
        self._own = True
        try:
            _c().cursor.execute(cursor, sql, *parameters)
        finally:
            self._own = False

    def _show_columns(self, cursor: Any, columns: list[str] | None) -> None:
        """Have a real cursor check what it checks, and know the columns: a ``Row`` takes them from there."""
        self._execute(cursor, _without_rows(tuple(columns or ["nothing"])))

    def set_text_factory(self, _connection: Any, factory: Any) -> None:
        self.text_factory = factory

    def hear(self, connection: Any, setter: str, callback: Any, more: Sequence[Any]) -> None:
        """Let a callback hear what it heard in the recording; whatever it allows, the recorded answer stands."""
        getattr(_c().connection, setter)(connection, self._authorize if setter == "set_authorizer" else None, *more)
        self.callbacks[setter] = _heeded(callback)

    def backup(self, connection: Any, go: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.callbacks["progress"] = kwargs.get("progress")
        self.call(connection, "backup", [kwargs.get("name", "main")], go)

    def open_blob(self, connection: Any, go: Callable[[], Any], place: list[Any]) -> Any:
        """Open a blob of the recorded length: it knows of offsets, and of being closed."""
        length = int(self.call(connection, "blobopen", place, go) or 0)
        cursor = _c().cursor(connection)
        self._execute(cursor, "CREATE TABLE IF NOT EXISTS blobs (content BLOB)")
        self._execute(cursor, "INSERT INTO blobs VALUES (zeroblob(?))", (length,))
        return _c().connection.blobopen(connection, "blobs", "content", cursor.lastrowid)


# The classes in place of the module's.


def _link(args: Sequence[Any], kwargs: Mapping[str, Any]) -> _RecordedConnection | _ReplayedConnection | None:
    """Give the link of a connection that is being made; None when we leave it alone."""
    if seams.is_off(NAME) or _is_tools(sys._getframe(2)):  # noqa: SLF001 - the cheap way
        return None
    return _RecordedConnection(args, kwargs) if seams.responder(NAME) is None else _ReplayedConnection(args, kwargs)


@cache
def _connection_class() -> Any:  # noqa: C901 - the methods of one class, which can only be made when its base is known
    base = _c().connection

    class Connection(base, metaclass=Stands):  # type: ignore[misc, valid-type]  # as Cursor
        _timetracer: _RecordedConnection | _ReplayedConnection | None = None

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._timetracer = link = _link(args, kwargs)
            if link is None:
                super().__init__(*args, **kwargs)
            else:
                link.open(self, super().__init__, args, kwargs)

        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            link = self._timetracer
            factory = _argument(args, kwargs, 0, "factory", _c().cursor)
            if link is None or len(args) + len(kwargs) > 1 or set(kwargs) - {"factory"} or factory is None:
                return super().cursor(*args, **kwargs)
            cursor = super().cursor(ours(factory, _c().own_cursor))
            if link.row_factory is not None:
                cursor.row_factory = link.row_factory
            return cursor

        def _cursor(self) -> Any:
            """The cursor that the module makes where the app asks the connection itself."""
            cursor = _c().own_cursor(self)
            if self._timetracer is not None and self._timetracer.row_factory is not None:
                cursor.row_factory = self._timetracer.row_factory
            return cursor

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            if self._timetracer is None or not is_statement(args, kwargs):
                return super().execute(*args, **kwargs)
            return self._cursor().execute(*args)

        def executemany(self, *args: Any, **kwargs: Any) -> Any:
            if self._timetracer is None or not is_statement(args, kwargs):
                return super().executemany(*args, **kwargs)
            return self._cursor().executemany(*args)

        def executescript(self, *args: Any, **kwargs: Any) -> Any:
            if self._timetracer is None or not is_statement(args, kwargs, most=1):
                return super().executescript(*args, **kwargs)
            return self._cursor().executescript(*args)

        def commit(self) -> None:
            self._ending("commit", super().commit)

        def rollback(self) -> None:
            self._ending("rollback", super().rollback)

        def __exit__(self, *args: object) -> Any:
            failed = bool(args) and args[0] is not None
            return bool(self._ending("rollback" if failed else "commit", partial(super().__exit__, *args)))

        def _ending(self, operation: str, go: Callable[[], Any]) -> Any:
            """End a transaction: a call only where there is one."""
            link = self._timetracer
            if link is None or not link.in_transaction(self):
                return go()
            return link.call(self, operation, [], go)

        @property
        def in_transaction(self) -> bool:
            return super().in_transaction if self._timetracer is None else self._timetracer.in_transaction(self)

        @property
        def total_changes(self) -> int:
            return super().total_changes if self._timetracer is None else self._timetracer.changes(self)

        @property
        def isolation_level(self) -> Any:
            return super().isolation_level

        @isolation_level.setter
        def isolation_level(self, level: Any) -> None:
            go = partial(base.isolation_level.__set__, self, level)
            link = self._timetracer
            commits = link is not None and level is None and link.in_transaction(self)
            if link is not None and commits:
                link.call(self, "commit", [], go)  # which is what the module does then
            if not commits or isinstance(link, _ReplayedConnection):
                go()

        if hasattr(base, "autocommit"):

            @property
            def autocommit(self) -> Any:
                return super().autocommit

            @autocommit.setter
            def autocommit(self, mode: Any) -> None:
                before = super().autocommit
                operation = "commit" if mode is True else "begin"
                if self._timetracer is None or not isinstance(mode, bool) or mode is before:
                    base.autocommit.__set__(self, mode)
                    return
                self._timetracer.call(self, operation, [], partial(base.autocommit.__set__, self, mode))
                if isinstance(self._timetracer, _ReplayedConnection):
                    base.autocommit.__set__(self, mode)

        @property
        def row_factory(self) -> Any:
            return super().row_factory if self._timetracer is None else self._timetracer.row_factory

        @row_factory.setter
        def row_factory(self, factory: Any) -> None:
            if self._timetracer is None:
                base.row_factory.__set__(self, factory)
            else:
                self._timetracer.row_factory = factory

        @property
        def text_factory(self) -> Any:
            return super().text_factory if self._timetracer is None else self._timetracer.text_factory

        @text_factory.setter
        def text_factory(self, factory: Any) -> None:
            if self._timetracer is None:
                base.text_factory.__set__(self, factory)
            else:
                self._timetracer.set_text_factory(self, factory)

        def set_trace_callback(self, *args: Any, **kwargs: Any) -> None:
            self._hear("set_trace_callback", ("trace_callback",), args, kwargs)

        def set_authorizer(self, *args: Any, **kwargs: Any) -> None:
            self._hear("set_authorizer", ("authorizer_callback",), args, kwargs)

        def set_progress_handler(self, *args: Any, **kwargs: Any) -> None:
            self._hear("set_progress_handler", ("progress_handler", "n"), args, kwargs)

        def _hear(self, setter: str, names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
            getattr(base, setter)(self, *args, **kwargs)  # says what is wrong
            if self._timetracer is not None:
                callback, *more = (_argument(args, kwargs, place, name) for place, name in enumerate(names))
                self._timetracer.hear(self, setter, callback, more)

        def backup(self, *args: Any, **kwargs: Any) -> None:
            if "target" in kwargs:
                kwargs["target"] = real(kwargs["target"])
            elif args:
                args = (real(args[0]), *args[1:])
            if self._timetracer is None or not isinstance(_argument(args, kwargs, 0, "target"), base):
                super().backup(*args, **kwargs)
            else:
                self._timetracer.backup(self, super().backup, *args, **kwargs)

        def blobopen(self, *args: Any, **kwargs: Any) -> Any:
            link = self._timetracer
            if link is None:
                return super().blobopen(*args, **kwargs)
            place = [*args[:3], bool(kwargs.get("readonly", False)), kwargs.get("name", "main")]
            return Blob(self, link, link.open_blob(self, partial(super().blobopen, *args, **kwargs), place), args[:3])

        if hasattr(base, "serialize"):

            def serialize(self, *args: Any, **kwargs: Any) -> Any:
                go, link = partial(super().serialize, *args, **kwargs), self._timetracer
                return go() if link is None else link.call(self, "serialize", list(kwargs.values()), go)

            def deserialize(self, *args: Any, **kwargs: Any) -> Any:
                go, link = partial(super().deserialize, *args, **kwargs), self._timetracer
                given = [plain(value) for value in (*args, *kwargs.values())]
                return go() if link is None else link.call(self, "deserialize", given, go)

        if hasattr(base, "load_extension"):

            def load_extension(self, *args: Any, **kwargs: Any) -> Any:
                go, link = partial(super().load_extension, *args, **kwargs), self._timetracer
                return go() if link is None else link.call(self, "load_extension", [], go)

    return named_as(Connection, base)


def _connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around ``connect``: what it makes is of our class, and of the app's where it names one."""
    if seams.active() is None:
        return wrapped(*args, **kwargs)
    try:
        factory = ours(_argument(args, kwargs, _FACTORY, "factory"), _connection_class())
    except Exception as error:  # noqa: BLE001 - a class that cannot be derived from stays as it is
        faults.report("sqlite3.factory", error)
        return wrapped(*args, **kwargs)
    if len(args) > _FACTORY:
        args = (*args[:_FACTORY], factory, *args[_FACTORY + 1 :])
    else:
        kwargs = {**kwargs, "factory": factory}
    return wrapped(*args, **kwargs)


def _connection_maker(_original: Any) -> Any:
    return _connection_class()


def _cursor_maker(_original: Any) -> Any:
    return _c().own_cursor


def _patches() -> Iterable[Patch]:
    for module in _MODULES:
        yield Patch(module, "connect", _connect, everywhere=True)
        yield Patch(module, "Connection", maker=_connection_maker, everywhere=True)
        yield Patch(module, "Cursor", maker=_cursor_maker, everywhere=True)


INTEGRATION = Integration(
    name=NAME,
    patches=tuple(_patches()),
    aliases=("aiosqlite",),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=rendering.render,
    volatile=rendering.VOLATILE,
    plumbing=("sqlite3.",),
    packages={"sqlite3": "", "_sqlite3": ""},
    instrumentors=(_INSTRUMENTOR,),
)
