"""psycopg 3: recorded by what is sent through libpq and its results, replayed by real libpq on a socket of ours."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, Final
from weakref import WeakKeyDictionary

from timetracer_otel import seams
from timetracer_otel.families.postgres import connecting, family, psycopg_rows, wire
from timetracer_otel.families.postgres.connection import peer_of
from timetracer_otel.families.postgres.libpq import LibpqConnection
from timetracer_otel.families.postgres.libpq_link import DROPPED, LibpqLink
from timetracer_otel.families.postgres.libpq_server import LibpqServer
from timetracer_otel.families.postgres.results import Sent, error_of
from timetracer_otel.seams import Instrumentor, Patch, Responder, faults

__all__ = ["INTEGRATION"]

NAME: Final = "psycopg"
_Steps = Generator[Any, Any, Any]
"""A generator of the driver: gives what it waits for, is sent what came."""

_connecting: ContextVar[bool] = ContextVar("timetracer_psycopg_connecting", default=False)
_recorded: WeakKeyDictionary[Any, LibpqConnection] = WeakKeyDictionary()
_replayed: WeakKeyDictionary[Any, tuple[LibpqLink, dict[str, str]]] = WeakKeyDictionary()
"""By the driver's connection of libpq: that of a replay with what the app asked to connect to."""

_ELSEWHERE: Final = {
    **dict.fromkeys(DROPPED), "hostaddr": None, "sslmode": "disable", "gssencmode": "disable",
    "channel_binding": "disable", "target_session_attrs": "any",
}  # fmt: skip
"""Parameters that mean nothing where the connection reaches nowhere."""


class _Sender:
    """Stands as a cursor's own connection of libpq, and sees what the cursor sends.

    Args:
        real: the connection.
        recording: what is told.
        begin: gives the call of what is sent.
    """

    def __init__(self, real: Any, recording: LibpqConnection, begin: Callable[..., Any] = seams.begin) -> None:
        self.real = real
        self._recording = recording
        self._begin = begin

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def send_query(self, command: bytes) -> None:
        self._recording.query(command, self._begin)
        self.real.send_query(command)

    def send_query_params(
        self, command: bytes, params: Any, param_types: Any = None, param_formats: Any = None, result_format: Any = 0
    ) -> None:
        self._recording.query_with(command, param_types, Sent(params or (), param_formats, result_format), self._begin)
        self.real.send_query_params(command, params, param_types, param_formats, result_format)

    def send_prepare(self, name: bytes, command: bytes, param_types: Any = None) -> None:
        self._recording.prepare(name, command, param_types)
        self.real.send_prepare(name, command, param_types)

    def send_query_prepared(self, name: bytes, params: Any, param_formats: Any = None, result_format: Any = 0) -> None:
        sent = Sent(params or (), param_formats, result_format)
        self._recording.execute(name, sent, in_pipeline=bool(self.real.pipeline_status))
        self.real.send_query_prepared(name, params, param_formats, result_format)

    def send_describe_portal(self, name: bytes) -> None:
        self._recording.describe(name)
        self.real.send_describe_portal(name)

    def send_close_prepared(self, name: bytes) -> None:
        self._recording.aside()
        self.real.send_close_prepared(name)

    def send_flush_request(self) -> None:
        self._recording.boundary()
        self.real.send_flush_request()

    def pipeline_sync(self) -> None:
        self._recording.boundary()
        self.real.pipeline_sync()


def _real(pgconn: Any) -> Any:
    return pgconn.real if type(pgconn) is _Sender else pgconn


# Recorded and replayed: around the driver's generators, which send and wait.


def _generator(taken: Callable[[LibpqConnection, Any, Any, tuple[Any, ...]], None]) -> Callable[..., Any]:
    """Make a wrapper of a generator function whose first argument is the connection.

    Args:
        taken: tells the recording what it gave.
    """

    def wrapper(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        pgconn = _real(args[0])
        args = (pgconn, *args[1:])
        recording = _recorded.get(pgconn)
        if recording is not None and recording.busy:
            return wrapped(*args, **kwargs)  # in Python the driver's generators are made of one another
        if recording is not None:
            return _looking(wrapped(*args, **kwargs), recording, partial(taken, recording, pgconn), args)
        replayed = _replayed.get(pgconn)
        if replayed is not None:
            return _pumping(wrapped(*args, **kwargs), replayed[0], pgconn)
        return wrapped(*args, **kwargs)

    return wrapper


def _looking(steps: _Steps, recording: LibpqConnection, taken: Callable[[Any, Any], None], args: Any) -> _Steps:
    recording.busy = True
    try:
        result = yield from steps
    except Exception as error:
        taken(error, args)
        if getattr(error, "sqlstate", None) is None:
            recording.lost()
        raise
    finally:
        recording.busy = False
    taken(result, args)
    return result


def _pumping(steps: _Steps, link: LibpqLink, pgconn: Any) -> _Steps:
    """Run a generator of the driver, and let what it sends be answered before it waits."""
    try:
        wanted = next(steps)
        while True:
            try:
                link.pump()
            except BaseException:
                steps.close()
                link.close()
                pgconn.finish()
                raise
            wanted = steps.send((yield wanted))
    except StopIteration as stop:
        return stop.value


def _took_all(recording: LibpqConnection, pgconn: Any, result: Any, _args: Any) -> None:
    if not isinstance(result, Exception):
        recording.answered(pgconn, result)


def _took_one(recording: LibpqConnection, pgconn: Any, result: Any, _args: Any) -> None:
    if not isinstance(result, Exception):
        recording.answered_piece(pgconn, result)


def _took_pipelined(recording: LibpqConnection, pgconn: Any, result: Any, _args: Any) -> None:
    if not isinstance(result, Exception):
        for found in result:
            recording.answered(pgconn, found)


def _took_nothing(_recording: LibpqConnection, _pgconn: Any, _result: Any, _args: Any) -> None:
    pass


def _took_notified(recording: LibpqConnection, _pgconn: Any, result: Any, _args: Any) -> None:
    if not isinstance(result, Exception):
        for one in result:
            recording.beside(wire.notification(one.be_pid, one.relname, one.extra))


def _took_copied(recording: LibpqConnection, pgconn: Any, result: Any, _args: Any) -> None:
    if isinstance(result, memoryview):
        recording.copied(bytes(result))
    else:
        recording.copy_ended(pgconn, _result_of(result), None)


def _took_written(recording: LibpqConnection, _pgconn: Any, _result: Any, args: Any) -> None:
    recording.copied(bytes(args[1]))


def _took_end(recording: LibpqConnection, pgconn: Any, result: Any, args: Any) -> None:
    recording.copy_ended(pgconn, _result_of(result), args[1])


def _result_of(result: Any) -> Any:
    """The result of libpq, also that which an exception was made of."""
    info = getattr(result, "_info", None)
    if isinstance(result, Exception):
        return info if hasattr(info, "error_field") else None
    return result


# Connections.


def _connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    if responder is not None:
        return _connect_nowhere(wrapped, responder, args[0] if args else kwargs["conninfo"])
    if seams.is_off(NAME):
        return wrapped(*args, **kwargs)
    return _connect_recorded(wrapped(*args, **kwargs))


def _connect_recorded(steps: _Steps) -> _Steps:
    pgconn = yield from steps
    try:
        _recorded[pgconn] = LibpqConnection(NAME, pgconn)
        _prepare_rows()
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("psycopg.connect", error)
    return pgconn


def _connect_nowhere(wrapped: Any, responder: Responder, conninfo: str) -> _Steps:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415 - the driver is there

    asked = {name: str(value) for name, value in conninfo_to_dict(conninfo).items() if value is not None}
    port = asked.get("port", "5432").partition(",")[0] or "5432"
    address = asked.get("host", ""), int(port) if port.isdigit() else None
    link = LibpqLink(LibpqServer(responder, peer_of(address, asked.get("dbname", ""))), port)
    elsewhere = {**asked, **_ELSEWHERE, "host": link.host, "port": port}
    known = {name: value for name, value in elsewhere.items() if value is not None}
    steps = wrapped(make_conninfo("", **known))
    try:
        wanted = next(steps)
        while True:
            link.pump()
            wanted = steps.send((yield wanted))
    except StopIteration as stop:
        _replayed[stop.value] = link, asked
        return stop.value


@cache
def _prepare_rows() -> None:
    from psycopg import pq  # noqa: PLC0415 - the driver is there

    psycopg_rows.prepare(pq.PGresult)


@contextmanager
def _is_connecting() -> Iterator[None]:
    token = _connecting.set(True)
    try:
        yield
    finally:
        _connecting.reset(token)


def _connects(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around ``connect``, which the driver has under several names."""
    if _connecting.get():
        return wrapped(*args, **kwargs)
    with _is_connecting(), connecting.attempt(NAME):
        return wrapped(*args, **kwargs)


async def _connects_async(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    with connecting.attempt(NAME):
        return await wrapped(*args, **kwargs)


def _attempts(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the look-up of hosts: where nothing is reached none is looked up."""
    return [dict(args[0])] if seams.responder(NAME) is not None else wrapped(*args, **kwargs)


async def _attempts_async(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    return [dict(args[0])] if seams.responder(NAME) is not None else await wrapped(*args, **kwargs)


# What is sent.


def _new_cursor(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    wrapped(*args, **kwargs)
    recording = _recorded.get(instance._pgconn)  # noqa: SLF001 - the driver's own name for it
    if recording is not None:
        instance._pgconn = _Sender(instance._pgconn, recording)  # noqa: SLF001 - as above


def _command(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what the connection itself asks: begins, commits, FETCH of server-side cursors."""
    recording = _recorded.get(instance.pgconn)
    if recording is None:
        return wrapped(*args, **kwargs)
    return _commanding(instance, recording, wrapped(*args, **kwargs), args, kwargs)


def _commanding(conn: Any, recording: LibpqConnection, steps: _Steps, args: Any, kwargs: Any) -> _Steps:
    pipeline = conn._pipeline  # noqa: SLF001 - the driver's own name for it
    if pipeline is not None:
        result = yield from steps
        _seen_in_queue(pipeline, recording)
        return result
    command = _as_bytes(conn, args[0] if args else kwargs["command"])
    form = args[1] if len(args) > 1 else kwargs.get("result_format", 0)
    if int(form):
        recording.query_with(command, None, Sent((), None, int(form)), seams.start)
    else:
        recording.query(command, seams.start)
    return (yield from steps)


def _seen_in_queue(pipeline: Any, recording: LibpqConnection) -> None:
    """Let the command that was put last into a pipeline be seen when it is sent."""
    last = pipeline.command_queue[-1]
    sender = _Sender(pipeline.pgconn, recording, seams.start)
    pipeline.command_queue[-1] = partial(getattr(sender, last.func.__name__), *last.args, **last.keywords)


def _as_bytes(conn: Any, command: Any) -> bytes:
    if isinstance(command, str):
        return command.encode(conn.info.encoding)
    return bytes(command) if isinstance(command, bytes) else bytes(command.as_bytes(conn))


def _close_prepared(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the end of a prepared statement, which is no call."""
    recording = _recorded.get(instance.pgconn)
    steps = wrapped(*args, **kwargs)
    return steps if recording is None else _closing(instance, recording, steps)


def _closing(conn: Any, recording: LibpqConnection, steps: _Steps) -> _Steps:
    pipeline = conn._pipeline  # noqa: SLF001 - the driver's own name for it
    if pipeline is not None:
        queued = len(pipeline.command_queue)
        result = yield from steps
        if len(pipeline.command_queue) > queued and "close" in pipeline.command_queue[-1].func.__name__:
            _seen_in_queue(pipeline, recording)
        return result
    return (yield from steps)


def _enqueue_sync(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    wrapped(*args, **kwargs)
    recording = _recorded.get(instance.pgconn)
    if recording is not None:
        instance.command_queue[-1] = _Sender(instance.pgconn, recording).pipeline_sync


def _fetch_pipeline(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the fetching of a pipeline's results, before which the client may ask for them."""
    recording = _recorded.get(instance.pgconn)
    if recording is not None and kwargs.get("flush") and instance.result_queue:
        recording.boundary()
    return wrapped(*args, **kwargs)


def _noticed(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    conn = args[0]()
    recording = None if conn is None else _recorded.get(conn.pgconn)
    if recording is not None:
        recording.beside(wire.error_response(error_of(args[1]), b"N"))
    return wrapped(*args, **kwargs)


def _notified(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what hears of notifications: those that come with an answer, in newer versions all of them."""
    conn = args[0]()
    recording = None if conn is None else _recorded.get(conn.pgconn)
    if recording is not None and recording.pending:
        one = args[1]
        recording.beside(wire.notification(one.be_pid, one.relname, one.extra))
    return wrapped(*args, **kwargs)


def _cancels(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the question whether there is something to break off, which comes before each way to do so."""
    cancels = wrapped(*args, **kwargs)
    replayed = _replayed.get(instance.pgconn) if cancels else None
    if replayed is not None:
        replayed[0].dialogue.cancel()
        return False
    recording = _recorded.get(instance.pgconn) if cancels else None
    if recording is not None:
        recording.cancelling()
    return cancels


# What a replayed connection says of itself.


def _info(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    replayed = _replayed.get(instance.pgconn)
    if replayed is not None and args[0] in {"host", "hostaddr"}:
        return replayed[1].get(args[0], "")
    return wrapped(*args, **kwargs)


def _info_parameters(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    replayed = _replayed.get(instance.pgconn)
    if replayed is None:
        return wrapped(*args, **kwargs)
    asked = replayed[1]
    left = {
        name: value for name, value in wrapped(*args, **kwargs).items() if name not in _ELSEWHERE and name != "host"
    }
    return left | {name: value for name, value in asked.items() if name != "password"}


def _patches() -> Iterator[Patch]:
    for name, taken in (
        ("execute", _took_all),
        ("fetch_many", _took_all),
        ("fetch", _took_one),
        ("pipeline_communicate", _took_pipelined),
        ("send", _took_nothing),
        ("copy_from", _took_copied),
        ("copy_to", _took_written),
        ("copy_end", _took_end),
        ("notifies", _took_notified),
    ):
        yield Patch("psycopg.generators", name, _generator(taken), everywhere=True)
    yield Patch("psycopg.generators", "connect", _connect, everywhere=True)
    yield Patch("psycopg.connection", "Connection.connect", _connects)
    yield Patch("psycopg.connection_async", "AsyncConnection.connect", _connects_async)
    yield Patch("psycopg", "connect", _connects)
    yield Patch("psycopg.connection", "conninfo_attempts", _attempts, required=False)
    yield Patch("psycopg.connection_async", "conninfo_attempts_async", _attempts_async, required=False)
    yield Patch("psycopg._cursor_base", "BaseCursor.__init__", _new_cursor)
    yield Patch("psycopg._connection_base", "BaseConnection._exec_command", _command)
    yield Patch("psycopg._connection_base", "BaseConnection._deallocate", _close_prepared, required=False)
    yield Patch("psycopg._connection_base", "BaseConnection._should_cancel", _cancels)
    yield Patch("psycopg._connection_base", "BaseConnection._notice_handler", _noticed)
    yield Patch("psycopg._connection_base", "BaseConnection._notify_handler", _notified)
    yield Patch("psycopg._pipeline_base", "BasePipeline._enqueue_sync", _enqueue_sync)
    yield Patch("psycopg._pipeline_base", "BasePipeline._fetch_gen", _fetch_pipeline)
    yield Patch("psycopg._connection_info", "ConnectionInfo._get_pgconn_attr", _info)
    yield Patch("psycopg._connection_info", "ConnectionInfo.get_parameters", _info_parameters)


INTEGRATION = family.declared(
    NAME,
    tuple(_patches()),
    packages={NAME: NAME},
    oldest=(NAME, (3, 2)),
    instrumentors=(Instrumentor(NAME, NAME),),
    plumbing=("psycopg.", "psycopg_pool."),
)
