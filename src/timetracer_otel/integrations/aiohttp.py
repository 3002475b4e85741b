"""The client of aiohttp: recorded by the bytes of its connections, replayed by connections that reach nowhere."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from timetracer_otel import seams
from timetracer_otel.cassette.version1 import Library
from timetracer_otel.families.http import family
from timetracer_otel.families.http import recording as http_recording
from timetracer_otel.families.http.aiohttp_traces import Listener, listening, tell
from timetracer_otel.families.http.connection import Passing
from timetracer_otel.families.http.messages import Reply, Sent
from timetracer_otel.families.http.no_transport import NoTransport
from timetracer_otel.families.http.recording import Recording
from timetracer_otel.families.http.wire import Message
from timetracer_otel.seams import Instrumentor, Patch, exceptions, faults

__all__ = ["INTEGRATION"]

NAME = "aiohttp"
_ATTRIBUTE = "_timetracer"
_AGAIN = "_timetracer_again"


class _Exchange(Passing):
    """Watches a connection of aiohttp, whose own clock may end it."""

    def __init__(self, recording: Recording, method: str, timer: Any) -> None:
        super().__init__(recording, method)
        self._timer = timer

    def let_go(self) -> None:
        """As of any connection, unless it was let go because the time was up."""
        if self.has_head and getattr(self._timer, "_cancelled", False):
            self.recording.fail(TimeoutError(), "body")
        super().let_go()

    def timed_out(self) -> None:
        """Take that the client waited too long for more; without a head it is seen where that is waited for."""
        if self.has_head:
            from aiohttp import SocketTimeoutError  # noqa: PLC0415 - the library is there when a call of it is

            self.recording.fail(SocketTimeoutError("Timeout on reading data from socket"), "body")


def _asked(request: Any) -> Sent:
    headers = [(str(name), str(value)) for name, value in request.headers.items()]
    body, known = _body_of(request)
    return Sent(request.method, str(request.url.with_fragment(None)), headers, body, complete=known)


def _body_of(request: Any) -> tuple[bytes, bool]:
    """The body as far as it is known before it is sent, and whether it is."""
    body = getattr(request, "body", None)
    if body is None or body == b"":
        return b"", True
    value = getattr(body, "_value", body)
    return (bytes(value), True) if isinstance(value, bytes | bytearray) else (b"", False)


def _exchange_on(protocol: Any) -> _Exchange | None:
    found = getattr(protocol, _ATTRIBUTE, None)
    return found if isinstance(found, _Exchange) else None


def _observe(protocol: Any, step: str, *args: Any) -> None:
    exchange = _exchange_on(protocol)
    if exchange is not None:
        try:
            exchange.recording.catch_up()
            getattr(exchange, step)(*args)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"aiohttp.{step}", error)


def _observe_later(protocol: Any, step: str, data: Any, *args: Any) -> None:
    """As :func:`_observe`, of bytes that the app waits for; they are taken now, because they may change."""
    exchange = _exchange_on(protocol)
    if exchange is not None:
        try:
            exchange.recording.later(partial(getattr(exchange, step), bytes(data), *args))
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"aiohttp.{step}", error)


async def _connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs["req"]
    answering = family.responder(NAME)
    traces = args[1] if len(args) > 1 else kwargs.get("traces") or []
    if answering is not None:
        return await _no_connection(answering, instance, request, traces)
    recording = http_recording.begin(NAME, _asked(request))
    if recording is not None and len(args) > 1 and _hears(traces):
        args = (request, [*traces, Listener(recording)], *args[2:])
    elif recording is not None and _hears(traces):
        kwargs = kwargs | {"traces": [*traces, Listener(recording)]}
    token = seams.live_io.set(True)
    try:
        conn = await wrapped(*args, **kwargs)
    except BaseException as error:
        if recording is not None:
            recording.fail_unsent(error)
        raise
    finally:
        seams.live_io.reset(token)
    timer = getattr(request, "_timer", None) or getattr(request, "timer", None)
    setattr(conn.protocol, _ATTRIBUTE, None if recording is None else _Exchange(recording, request.method, timer))
    return conn


def _hears(traces: Any) -> bool:
    try:
        return listening(traces)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("aiohttp.traces", error)
        return False


async def _no_connection(answering: seams.Responder, connector: Any, request: Any, traces: Any) -> Any:
    """Give a connection that reaches nowhere, or raise what connecting raised."""
    from aiohttp.client_proto import ResponseHandler  # noqa: PLC0415 - the library is there when a call of it is
    from aiohttp.connector import Connection  # noqa: PLC0415 - as above

    asked = _asked(request)
    reply = family.ask_early(answering, asked)
    if reply is not None:
        await tell(traces, reply.events)
    if reply is not None and reply.phase == "connect":
        if exceptions.is_cancelled(reply.error or ""):
            await asyncio.Event().wait()  # the app itself gave up waiting, and will again
        family.raise_error(reply, _held_by_errors(request, reply.error or ""), _headers)
    loop = asyncio.get_running_loop()
    protocol = ResponseHandler(loop)

    def answer(_message: Message, body: bytes) -> Reply:
        return reply or family.ask(answering, Sent(asked.method, asked.url, asked.headers, body))

    transport = NoTransport(loop, protocol, answer)
    setattr(protocol, _ATTRIBUTE, transport)
    protocol.connection_made(transport)
    protocol.force_close()  # not into the connector's pool
    return Connection(connector, request.connection_key, protocol, loop)


def _held_by_errors(request: Any, error: str) -> tuple[object, ...]:
    """The objects that an exception of connecting holds: those of the proxy, when it is one of the proxy."""
    from aiohttp import RequestInfo  # noqa: PLC0415 - the library is there when a call of it is

    key, proxy = request.connection_key, request.proxy
    if proxy is None:
        return (key,)
    if "ClientProxyConnectionError" in error:
        of_proxy = {"host": proxy.host, "port": proxy.port, "is_ssl": proxy.scheme == "https"}
        key = key._replace(**of_proxy, proxy=None, proxy_auth=None, proxy_headers_hash=None)
    return (key, RequestInfo(request.url, "CONNECT", _headers([]), proxy))


def _headers(pairs: list[tuple[str, str]]) -> Any:
    from multidict import CIMultiDict, CIMultiDictProxy  # noqa: PLC0415 - aiohttp stands on it

    return CIMultiDictProxy(CIMultiDict(pairs))


def _write(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    try:
        return wrapped(*args, **kwargs)
    finally:  # the peer works on it meanwhile
        _observe_later(instance.protocol, "written", args[0])


def _writelines(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    chunks = list(args[0])
    try:
        return wrapped(chunks, *args[1:], **kwargs)
    finally:
        for chunk in chunks:
            _observe_later(instance.protocol, "written", chunk)


def _data_received(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if args[0] and not getattr(instance, _AGAIN, False):
        _observe_later(instance, "arrived", args[0], time.monotonic_ns())
    return _fed_again(wrapped, instance, args, kwargs)


def _fed_again(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Around what may give the protocol bytes that have come before: those are not seen twice."""
    before = getattr(instance, _AGAIN, False)
    setattr(instance, _AGAIN, True)
    try:
        return wrapped(*args, **kwargs)
    finally:
        setattr(instance, _AGAIN, before)


def _eof_received(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    _observe(instance, "ended_by_peer")
    return wrapped(*args, **kwargs)


def _connection_lost(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    _observe(instance, "lost", args[0])
    return wrapped(*args, **kwargs)


def _read_timeout(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    _observe(instance, "timed_out")
    return wrapped(*args, **kwargs)


def _release(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    _observe(args[1] if len(args) > 1 else kwargs.get("protocol"), "let_go")
    return wrapped(*args, **kwargs)


async def _start(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Around the wait for a response's head."""
    conn = args[0] if args else kwargs["connection"]
    protocol = conn.protocol
    transport = getattr(protocol, _ATTRIBUTE, None)
    if isinstance(transport, NoTransport):
        transport.exchange.live = (instance.request_info,)
        return await wrapped(*args, **kwargs)
    exchange = _exchange_on(protocol)
    try:
        response = await wrapped(*args, **kwargs)
    except BaseException as error:
        if exchange is not None:
            exchange.recording.fail(error, "head")
        raise
    if exchange is not None:
        headers = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in instance.raw_headers)
        head = (instance.status, instance.reason or "", f"{instance.version.major}.{instance.version.minor}", headers)
        exchange.recording.later(partial(exchange.accepted, *head, time.monotonic_ns()))
    return response


INTEGRATION = family.declared(
    NAME,
    (
        Patch("aiohttp.connector", "BaseConnector.connect", _connect),
        Patch("aiohttp.connector", "BaseConnector._release", _release),
        Patch("aiohttp.client_reqrep", "ClientResponse.start", _start),
        Patch("aiohttp.http_writer", "StreamWriter._write", _write),
        Patch("aiohttp.http_writer", "StreamWriter._writelines", _writelines, required=False),
        Patch("aiohttp.client_proto", "ResponseHandler.data_received", _data_received),
        Patch("aiohttp.client_proto", "ResponseHandler.set_response_params", _fed_again),
        Patch("aiohttp.client_proto", "ResponseHandler.eof_received", _eof_received),
        Patch("aiohttp.client_proto", "ResponseHandler.connection_lost", _connection_lost),
        Patch("aiohttp.client_proto", "ResponseHandler._on_read_timeout", _read_timeout),
    ),
    packages={NAME: NAME},
    instrumentors=(Instrumentor("aiohttp-client", NAME),),
    version1=(Library(NAME, errors="aiohttp.client_exceptions"),),
    plumbing=(
        "aiohttp._websocket.",
        "aiohttp.client_proto",
        "aiohttp.client_ws",
        "aiohttp.connector",
        "aiohttp.helpers",
    ),
)
