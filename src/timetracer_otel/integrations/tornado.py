"""The HTTP client of Tornado, simple and curl, by ``fetch_impl``: the lowest place that both have.

They follow redirects and unpack bodies below it, so what is kept is the last response, unpacked, as they give it.
"""

from __future__ import annotations

import asyncio
import copy
import io
import time
from collections.abc import Callable
from typing import Any

from timetracer_otel import seams
from timetracer_otel.errors import TimetracerError
from timetracer_otel.families import http, http_errors, http_exchange, http_recording
from timetracer_otel.families.http_exchange import Reply, Sent
from timetracer_otel.families.http_recording import Recording
from timetracer_otel.seams import Patch, faults

__all__ = ["INTEGRATION"]

NAME = "tornado"
_NO_RESPONSE = 599  # what Tornado calls a request without a response

Callback = Callable[[Any], None]


def _asked(request: Any) -> Sent:
    headers = [(str(name), str(value)) for name, value in request.headers.get_all()]
    return Sent(request.method, request.url, headers, request.body or b"", complete=request.body_producer is None)


def _fetch(wrapped: Any, _instance: Any, args: Any, _kwargs: Any) -> Any:
    request, callback = args
    answering = http.responder(NAME)
    if answering is not None:
        return _Answering(answering, request, callback).start()
    asked = _asked(request)
    recording = http_recording.begin(NAME, asked)
    if recording is None:
        return _live(wrapped, request, callback)
    if asked.body:
        recording.sent(asked.body)
    if asked.complete:
        recording.sent_all()
    return _live(wrapped, _observed(request, recording), _observed_callback(callback, recording))


def _live(wrapped: Any, request: Any, callback: Callback) -> Any:
    token = seams.live_io.set(True)  # a task that copies this context connects later
    try:
        with http_recording.within():
            return wrapped(request, callback)
    finally:
        seams.live_io.reset(token)


def _observed(request: Any, recording: Recording) -> Any:
    """Give the request, its streaming callbacks seen; the app's own object stays as it is."""
    streams, produces = request.streaming_callback, request.body_producer
    if streams is None and produces is None:
        return request
    seen = copy.copy(request)
    if hasattr(seen, "request"):  # Tornado's proxy of a request and the client's defaults
        seen.request = target = copy.copy(seen.request)
    else:
        target = seen
    if streams is not None:
        target.streaming_callback = _observed_stream(streams, recording)
    if produces is not None:
        target.body_producer = _observed_producer(produces, recording)
    return seen


def _observed_stream(streams: Callable[[bytes], Any], recording: Recording) -> Callable[[bytes], Any]:
    pieces: list[bytes] = []
    recording.call.state = pieces  # they come before the head is known

    def observed(piece: bytes) -> Any:
        pieces.append(piece)
        return streams(piece)

    return observed


def _observed_producer(produces: Callable[..., Any], recording: Recording) -> Callable[..., Any]:
    async def observed(write: Callable[[bytes], Any]) -> None:
        def seen(piece: bytes) -> Any:
            recording.sent(bytes(piece))
            return write(piece)

        await produces(seen)
        recording.sent_all()

    return observed


def _observed_callback(callback: Callback, recording: Recording) -> Callback:
    def observed(response: Any) -> None:
        try:
            _record(response, recording)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("tornado.response", error)
        callback(response)

    return observed


def _record(response: Any, recording: Recording) -> None:
    error = response.error
    if response.code == _NO_RESPONSE and error is not None and not getattr(response, "_error_is_response_code", False):
        recording.fail(error, "head")
        return
    headers = [(str(name), str(value)) for name, value in response.headers.get_all()]
    if response.effective_url != recording.request.url:
        recording.call.attributes[http_exchange.EFFECTIVE_URL] = response.effective_url
    recording.head(response.code, response.reason or "", "1.1", headers)
    streamed = recording.call.state if isinstance(recording.call.state, list) else []
    for piece in streamed or [response.buffer.getvalue() if response.buffer is not None else b""]:
        recording.received(piece)
    recording.done()


class _Answering:
    """A request that a recorded response answers."""

    def __init__(self, answering: seams.Responder, request: Any, callback: Callback) -> None:
        self._answering = answering
        self._request = request
        self._callback = callback
        self._started = time.time()

    def start(self) -> None:
        """Begin to answer, on the loop."""
        self._task = asyncio.ensure_future(self._run())  # the future's own reference keeps the task alive

    async def _run(self) -> None:
        try:
            response = await self._response()
        except (TimetracerError, OSError) as error:
            response = self._made(code=_NO_RESPONSE, error=error)
        self._callback(response)

    async def _response(self) -> Any:
        asked = _asked(self._request)
        if self._request.body_producer is not None:
            pieces: list[bytes] = []

            async def write(piece: bytes) -> None:
                pieces.append(bytes(piece))

            await self._request.body_producer(write)
            asked.body, asked.complete = b"".join(pieces), True
        reply, recorded_url = http.ask_with(self._answering, asked, http_exchange.EFFECTIVE_URL)
        if reply.error is not None:
            error = http_errors.rebuilt(reply.error, (self._request,))
            return self._made(code=_NO_RESPONSE, error=error)
        return self._answered(reply, recorded_url or self._request.url)

    def _answered(self, reply: Reply, url: str) -> Any:
        from tornado.httputil import HTTPHeaders  # noqa: PLC0415 - the library is there when a call of it is

        headers = HTTPHeaders()
        for name, value in reply.headers:
            headers.add(name, value)
        if self._request.header_callback is not None:
            fields = [f"{name}: {value}" for name, value in reply.headers]
            for line in (f"HTTP/{reply.version} {reply.status} {reply.reason}", *fields, ""):
                self._request.header_callback(line + "\r\n")
        body = reply.body
        if self._request.streaming_callback is not None:
            body = b""
            for piece in reply.chunks():
                self._request.streaming_callback(piece)
        facts = {"headers": headers, "buffer": io.BytesIO(body), "effective_url": url, "time_info": {}}
        return self._made(code=reply.status, reason=reply.reason, **facts)

    def _made(self, **facts: Any) -> Any:
        from tornado.httpclient import HTTPResponse  # noqa: PLC0415 - the library is there when a call of it is

        taken = time.time() - self._started
        return HTTPResponse(self._request, request_time=taken, start_time=self._started, **facts)


INTEGRATION = http.declared(
    NAME,
    (
        Patch("tornado.simple_httpclient", "SimpleAsyncHTTPClient.fetch_impl", _fetch),
        Patch("tornado.curl_httpclient", "CurlAsyncHTTPClient.fetch_impl", _fetch),
    ),
)
