"""An ASGI 3 entry: opens a lane for each HTTP request, and sees its messages pass.

Source of the message formats: the ASGI specification, "HTTP & WebSocket ASGI Message Format" 2.5, and its extensions.
"""

from __future__ import annotations

import asyncio
from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, TypeAlias

from timetracer_otel import spans
from timetracer_otel.families.entry.elsewhere import silent_asgi
from timetracer_otel.families.entry.exchange import (
    MARK,
    Exchange,
    expects_body,
    guarded,
    held,
    latin1,
    open_exchange,
    origin_form,
    quoted,
)
from timetracer_otel.families.kinds.http import Request
from timetracer_otel.seams import Runtime, active
from timetracer_otel.seams import runtime as runtime_module
from timetracer_otel.seams.door import install
from timetracer_otel.seams.handover import AnsweredElsewhere, handover
from timetracer_otel.seams.lanes import process

__all__ = ["TimeTracerMiddleware", "asgi_call", "run"]

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[Any]]

_LANE_HEADER = spans.LANE_HEADER.encode("ascii")


def asgi_call(wrapped: App, _instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any]:
    """Go around ``app(scope, receive, send)``, as wrapt calls a wrapper."""
    try:
        scope, receive, send = _connection(*args, **kwargs)
    except TypeError:  # neither is it one of the app's: that says so
        return wrapped(*args, **kwargs)
    return run(wrapped, scope, receive, send)


def _connection(scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """Read the arguments of a server's call, by position or, as daphne does, by name."""
    return scope, receive, send


def run(app: App, scope: Scope, receive: Receive, send: Send) -> Awaitable[Any]:
    """Answer a request by an app, in a lane of its own; what is no HTTP request goes to the app untouched.

    Args:
        app: any ASGI 3 application.
        scope: of the connection.
        receive: the server's.
        send: the server's.
    """
    runtime = active()
    if runtime is None or scope["type"] != "http" or MARK in scope or process.enclosing is not None:
        stops = runtime_module.stopper is not None and scope["type"] == "lifespan"
        return _live(app, scope, receive, send) if stops else app(scope, receive, send)
    return _serve(runtime, app, scope, receive, send)


class TimeTracerMiddleware:
    """Any ASGI app, recorded or replayed: ``app.add_middleware(TimeTracerMiddleware)``.

    Args:
        app: the ASGI 3 application.
        config: the settings; those of the environment when None.

    Raises:
        ConfigError: a setting is wrong, or another mode is in force already.
    """

    def __init__(self, app: App, config: object = None) -> None:
        self.app = app
        install(config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        await run(self.app, scope, receive, send)


async def _live(app: App, scope: Scope, receive: Receive, send: Send) -> Any:
    """Pass the lifespan on; when the app has shut down, write what waits: some servers then kill themselves."""

    async def passing(message: Message) -> None:
        if message["type"].startswith("lifespan.shutdown"):
            _stop()
        await send(message)

    return await app(scope, receive, passing)


@guarded("asgi.stop")
def _stop() -> None:
    if runtime_module.stopper is not None:
        runtime_module.stopper()


async def _serve(runtime: Runtime, app: App, scope: Scope, receive: Receive, send: Send) -> Any:
    request = _request(scope)
    if request is None:
        return await app(scope, receive, send)
    reads_ahead = runtime.wants_whole(request)
    if reads_ahead:
        receive = await _read_ahead(request, receive)
    try:
        exchange = _open(runtime, scope, request)
    except AnsweredElsewhere as answered:
        return await silent_asgi(send, answered.status)
    if exchange is None:
        return await app(scope, receive, send)
    passing = _Passing(exchange, receive, send, request_seen=reads_ahead)
    try:
        with exchange.lane.entered():
            result = await app(scope, passing.receive, passing.send)
    except BaseException as error:
        if isinstance(error, CancelledError) and _is_given_up():
            exchange.client_left()
        exchange.finish(ended=False, error=error)
        raise
    finally:
        exchange.lane.end_code()
        if handover.leave is not None:
            handover.leave()
    exchange.finish(ended=False)
    return result


def _is_given_up() -> bool:
    """Whether the server cancels the app, as hypercorn does when the client has left; nothing inside asked for it."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # another loop than asyncio's
        return False
    return task is not None and task.cancelling() > 0


@guarded("asgi.request")
def _request(scope: Scope) -> Request:
    path: bytes | None = scope.get("raw_path")
    target = quoted(scope["path"].encode("utf-8")) if path is None else path.partition(b"?")[0].decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    request = Request(
        method=scope["method"],
        target=origin_form(f"{target}?{query}" if query else target),
        headers=latin1(scope["headers"]),
        scheme=scope.get("scheme", "http"),
        http_version=scope.get("http_version", "1.1"),
        peer=tuple(scope["client"]) if scope.get("client") else None,
    )
    request.complete = not expects_body(request)
    return request


@guarded("asgi.open")
def _open(runtime: Runtime, scope: Scope, request: Request) -> Exchange | None:
    if runtime.strips_lane_header:
        scope["headers"] = [pair for pair in scope["headers"] if pair[0].lower() != _LANE_HEADER]
    return open_exchange("asgi", runtime, scope, request)


async def _read_ahead(request: Request, receive: Receive) -> Receive:
    """Receive the whole body now; give what hands the same messages to the app, and then the later ones."""
    messages = [await receive()]
    while messages[-1]["type"] == "http.request" and messages[-1].get("more_body", False):
        messages.append(await receive())
    request.body = [held(message["body"]) for message in messages if message.get("body")]
    request.complete = messages[-1]["type"] == "http.request"
    waiting = iter(messages)

    async def again() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return again


class _Passing:
    """The messages of one request, both ways: looked at, and passed on as they are."""

    __slots__ = ("_ended", "_exchange", "_file", "_receive", "_request_seen", "_send", "_trailers")

    def __init__(self, exchange: Exchange, receive: Receive, send: Send, *, request_seen: bool) -> None:
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._request_seen = request_seen
        self._trailers = False
        self._ended = False
        self._file: str | None = None

    async def receive(self) -> Message:
        """Receive for the app."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._exchange.client_left()
        elif not self._request_seen and message["type"] == "http.request":
            self._take_request(message)
        return message

    async def send(self, message: Message) -> None:
        """Send for the app; the lane's entry ends when the last message is with the server."""
        if not self._exchange.finished:
            message = self._take_response(message) or message
        try:
            await self._send(message)
        except OSError:
            self._exchange.client_left()
            raise
        if self._ended:
            self._take_file()
            self._exchange.finish(ended=True)

    @guarded("asgi.receive")
    def _take_request(self, message: Message) -> None:
        request = self._exchange.request
        if body := message.get("body"):
            request.body.append(held(body))
            self._exchange.lane.grew(request, len(body))
        request.complete = self._request_seen = not message.get("more_body", False)

    @guarded("asgi.send")
    def _take_response(self, message: Message) -> Message | None:
        """Look at a message; give another one to send only when looking would use this one up."""
        kind = message["type"]
        if kind == "http.response.body":
            self._exchange.sent(message.get("body", b""))
            self._ended = not (self._trailers or message.get("more_body", False))
        elif kind == "http.response.start" and self._exchange.request.response is None:
            return self._take_start(message)
        elif kind == "http.response.pathsend":
            self._file = message["path"]
            self._ended = not self._trailers
        elif kind == "http.response.trailers":
            if (response := self._exchange.request.response) is not None:
                response.trailers += latin1(message.get("headers", ()))
            self._ended = not message.get("more_trailers", False)
        elif kind == "http.response.zerocopysend":
            self._exchange.unseen = True
            self._ended = not (self._trailers or message.get("more_body", False))
        return None

    def _take_start(self, message: Message) -> Message | None:
        headers = message.get("headers", ())
        used_up = isinstance(headers, Iterator)
        if used_up:
            headers = list(headers)
        self._exchange.start(str(message["status"]), latin1(headers))
        self._trailers = bool(message.get("trailers", False))
        return {**message, "headers": headers} if used_up else None

    @guarded("asgi.pathsend")
    def _take_file(self) -> None:
        """Read the file that the server sends by itself."""
        if self._file is None:
            return
        try:
            self._exchange.sent(Path(self._file).read_bytes())
        except OSError:
            self._exchange.unseen = True
        self._file = None
