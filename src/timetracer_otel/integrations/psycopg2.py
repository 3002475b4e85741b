"""psycopg2: recorded where its connections and cursors in C are asked, replayed by real libpq on a socket of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.failures import Attempt
from timetracer_otel.families.postgres import connecting, family
from timetracer_otel.families.postgres import psycopg2_statements as texts
from timetracer_otel.families.postgres.psycopg2_cursors import METHODS, Attribute, making
from timetracer_otel.families.postgres.psycopg2_driver import driver, handler_of, seen
from timetracer_otel.families.postgres.psycopg2_recording import Recording
from timetracer_otel.families.postgres.psycopg2_replaying import Replaying, lifted, wait
from timetracer_otel.seams import Instrumentor, Patch, Responder, faults

__all__ = ["INTEGRATION"]

NAME: Final = "psycopg2"
_IN_TRANSACTION: Final = 2
"""The driver's status of a connection that is in a transaction."""
_FAILED: Final = 3
"""The status of a transaction that has failed, by libpq."""
_POLL_OK: Final = 0

_answers: ContextVar[Replaying | None] = ContextVar("timetracer_psycopg2_answers", default=None)
"""What answers the connection that is being made in this context."""


# Connections are made.


def _connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the making of a connection."""
    responder = seams.responder(NAME)
    if responder is not None:
        return _connect_nowhere(wrapped, responder, args, kwargs)
    with lifted(driver()):
        if seams.is_off(NAME):
            return wrapped(*args, **kwargs)
        with connecting.attempt(NAME) as going:
            conn = wrapped(*args, **kwargs)
    if conn.async_:
        if going is not None:
            going.forget()  # it begins when the program looks first
        seen[conn] = _Connecting()
    else:
        _record(conn)
    return conn


def _record(conn: Any) -> None:
    try:
        seen[conn] = Recording(NAME, conn, driver())
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("psycopg2.connect", error)


class _Connecting:
    """Waits until a connection is made that does not wait for that itself."""

    entered = False
    _going: Attempt | None = None

    def polled(self, conn: Any, run: Callable[[], int]) -> int:
        """Look whether it is."""
        if self._going is not None:
            self._going.forget()  # it is the same attempt
        with connecting.attempt(NAME) as self._going:
            state = run()
        if state == _POLL_OK:
            _record(conn)
        return state


def _connect_nowhere(wrapped: Any, responder: Responder, args: Any, kwargs: Any) -> Any:
    dsn = args[0] if args else kwargs["dsn"]
    answers = Replaying(responder, NAME, dsn, driver())
    args, kwargs = ((answers.dsn, *args[1:]), kwargs) if args else (args, {**kwargs, "dsn": answers.dsn})
    token = _answers.set(answers)
    try:
        if kwargs.get("async") or kwargs.get("async_"):
            conn = wrapped(*args, **kwargs)
        else:
            with connecting.attempt(NAME), answers.answering():
                conn = wrapped(*args, **kwargs)
    finally:
        _answers.reset(token)
    seen[conn] = answers
    return conn


def _poll(original: Any) -> Any:
    def poll(self: Any) -> int:
        handler = handler_of(self)
        answers = _answers.get() if handler is None else None
        if answers is not None and answers.is_new:
            handler = seen[self] = answers
        state: int = original(self) if handler is None else handler.polled(self, lambda: original(self))
        return state

    return poll


# What a connection asks by itself.


def _ends(sql: bytes) -> Callable[[Any], Any]:
    """Make what goes around the end of a transaction.

    Args:
        sql: that ends it.
    """

    def maker(original: Any) -> Any:
        def end(self: Any) -> Any:
            handler = handler_of(self)
            if handler is None or self.closed:
                return original(self)

            def sent() -> list[tuple[bytes, bytes]]:
                if self.status != _IN_TRANSACTION:
                    return []
                return [(sql, b"ROLLBACK" if self.get_transaction_status() == _FAILED else sql)]

            return handler.command(self, sent, lambda: original(self))

        return end

    return maker


def _reset(original: Any) -> Any:
    def reset(self: Any) -> Any:
        handler = handler_of(self)
        if handler is None or self.closed:
            return original(self)
        inside = self.status == _IN_TRANSACTION
        return handler.settle(self, lambda: original(self), lambda: [b"ABORT"] if inside else [])

    return reset


def _sets(changes: Callable[..., dict[str, Any]]) -> Callable[[Any], Any]:
    """Make what goes around a method that sets a connection up.

    Args:
        changes: gives what is set, by the names of the connection's attributes, from the method's arguments.
    """

    def maker(original: Any) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            handler = handler_of(self)
            if handler is None or self.closed or isinstance(handler, _Connecting):
                return original(self, *args, **kwargs)
            before = texts.Settings.of(self)
            return handler.settle(
                self,
                lambda: original(self, *args, **kwargs),
                lambda: before.statements(self, changes(*args, **kwargs)),
            )

        return method

    return maker


def _setting(name: str) -> Callable[[Any], Any]:
    def maker(original: Any) -> Any:
        change = _sets(lambda value: {name: value})(original.__set__)
        return Attribute(original.__get__, change, doc=original.__doc__)

    return maker


def _two_phase(statement: Callable[..., tuple[bytes, bytes] | None]) -> Callable[[Any], Any]:
    """Make what goes around a step of a transaction in two phases.

    Args:
        statement: gives what is sent and what it is answered, from the connection and the arguments.
    """

    def maker(original: Any) -> Any:
        def step(self: Any, *args: Any) -> Any:
            handler = handler_of(self)
            sent = None if handler is None or self.closed else statement(self, handler, *args)
            return (
                original(self, *args)
                if sent is None
                else handler.command(self, lambda: [sent], lambda: original(self, *args))
            )

        return step

    return maker


def _cancel(original: Any) -> Any:
    def cancel(self: Any) -> Any:
        handler = handler_of(self)
        if handler is None or self.closed or isinstance(handler, _Connecting):
            return original(self)
        return handler.cancel(lambda: original(self))

    return cancel


def _enters(*, inside: bool) -> Callable[[Any], Any]:
    def maker(original: Any) -> Any:
        def method(self: Any, *args: Any) -> Any:
            handler = handler_of(self)
            if handler is not None:
                handler.entered = inside
            return original(self, *args)

        return method

    return maker


def _lobject(original: Any) -> Any:
    def lobject(self: Any, *args: Any, **kwargs: Any) -> Any:
        handler = handler_of(self)
        if isinstance(handler, Replaying):
            handler.refuse("large objects of psycopg2 are not recorded: let the program read them by SQL (lo_get)")
        with lifted(driver()):
            return original(self, *args, **kwargs)

    return lobject


def _encrypt_password(original: Any) -> Any:
    def encrypt_password(password: Any, user: Any, scope: Any = None, algorithm: Any = None) -> Any:
        handler = None if algorithm else handler_of(getattr(scope, "connection", scope))
        if isinstance(handler, Replaying):
            handler.refuse(
                "libpq asks by itself which algorithm it is to encrypt a password by: let the program name one"
            )
        return original(password, user, scope, algorithm)

    return encrypt_password


# What a replayed connection says of itself.


def _dsn(original: Any) -> Any:
    def get(self: Any) -> Any:
        handler = handler_of(self)
        return handler.shown_dsn if isinstance(handler, Replaying) else original.__get__(self)

    return Attribute(get)


def _info(original: Any) -> Any:
    def get(self: Any) -> Any:
        handler = handler_of(self)
        return handler.info(self) if isinstance(handler, Replaying) else original.__get__(self)

    return Attribute(get)


def _dsn_parameters(original: Any) -> Any:
    def get_dsn_parameters(self: Any) -> Any:
        handler = handler_of(self)
        found = original(self)
        return handler.shown(found) if isinstance(handler, Replaying) else found

    return get_dsn_parameters


def _wait_callback(original: Any) -> Any:
    def get_wait_callback() -> Any:
        found = original()
        return None if found is wait else found

    return get_wait_callback


def _patches() -> Iterator[Patch]:
    yield Patch("psycopg2", "_connect", _connect)
    yield Patch("psycopg2.extensions", "get_wait_callback", maker=_wait_callback)
    yield Patch("psycopg2.extensions", "encrypt_password", maker=_encrypt_password)
    for name, maker in METHODS.items():
        yield Patch("psycopg2.extensions", f"cursor.{name}", maker=maker, underneath=True)
    for name, maker in {
        "cursor": making,
        "commit": _ends(b"COMMIT"),
        "rollback": _ends(b"ROLLBACK"),
        "reset": _reset,
        "set_session": _sets(texts.session),
        "set_isolation_level": _sets(texts.level),
        "set_client_encoding": _sets(lambda _encoding: {"encoding": None}),
        "autocommit": _setting("autocommit"),
        "isolation_level": _setting("isolation_level"),
        "readonly": _setting("readonly"),
        "deferrable": _setting("deferrable"),
        "tpc_begin": _two_phase(texts.two_phase_begin),
        "tpc_prepare": _two_phase(texts.two_phase_prepare),
        "tpc_commit": _two_phase(texts.two_phase_end(b"COMMIT")),
        "tpc_rollback": _two_phase(texts.two_phase_end(b"ROLLBACK")),
        "cancel": _cancel,
        "lobject": _lobject,
        "poll": _poll,
        "__enter__": _enters(inside=True),
        "__exit__": _enters(inside=False),
        "dsn": _dsn,
        "info": _info,
        "get_dsn_parameters": _dsn_parameters,
    }.items():
        yield Patch("psycopg2.extensions", f"connection.{name}", maker=maker, underneath=True)


INTEGRATION = family.declared(
    NAME,
    tuple(_patches()),
    packages={NAME: NAME, "psycopg2._psycopg": "psycopg2-binary"},  # either of them brings both
    oldest=(NAME, (2, 9)),
    instrumentors=(Instrumentor(NAME, NAME),),
    plumbing=("psycopg2.", "psycogreen."),
)
