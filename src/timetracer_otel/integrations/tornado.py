"""The HTTP client of Tornado: the simple one by the bytes of its connections, hop by hop; curl by ``fetch_impl``.

libcurl follows redirects and unpacks bodies where Python sees nothing of it: what is kept of it is the last response,
unpacked, as it gives it.
"""

from __future__ import annotations

import asyncio
import copy
import io
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from timetracer_otel import redaction, seams
from timetracer_otel.families.http import family, messages
from timetracer_otel.families.http import recording as http_recording
from timetracer_otel.families.http.connection import Passing
from timetracer_otel.families.http.messages import Reply, Sent
from timetracer_otel.families.http.recording import Recording
from timetracer_otel.families.http.wire import Message
from timetracer_otel.seams import Instrumentor, Patch, faults

__all__ = ["INTEGRATION"]

NAME = "tornado"
_ATTRIBUTE = "_timetracer"
_NO_RESPONSE = 599  # what Tornado calls a request without a response
_REASON = "X-Http-Reason"  # no header that was sent: where the curl client keeps the reason phrase
_FORM = "application/x-www-form-urlencoded"

Callback = Callable[[Any], None]


def _asked(request: Any) -> Sent:
    headers = [(str(name), str(value)) for name, value in request.headers.get_all()]
    if request.method == "POST" and "Content-Type" not in request.headers:
        headers.append(("Content-Type", _FORM))  # as both clients send it
    return Sent(request.method, request.url, headers, request.body or b"", complete=request.body_producer is None)


def _begin(request: Any) -> Recording | None:
    try:
        return http_recording.begin(NAME, _asked(request))
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("tornado.begin", error)
        return None


def _is_failure(response: Any) -> bool:
    """Whether there was no response: 599 may also be what a server says."""
    answered = getattr(response, "_error_is_response_code", False)
    return response.code == _NO_RESPONSE and response.error is not None and not answered


def _live(wrapped: Any, request: Any, callback: Callback) -> Any:
    token = seams.live_io.set(True)  # a task that copies this context connects later
    try:
        return wrapped(request, callback)
    finally:
        seams.live_io.reset(token)


# The simple client.


def _fetch_simple(wrapped: Any, _instance: Any, args: Any, _kwargs: Any) -> Any:
    """Around a fetch, which may wait in a queue: here is the context of who asks."""
    request, callback = args
    answering = family.responder(NAME)
    if answering is not None:
        setattr(request, _ATTRIBUTE, _Nowhere(answering, request))
        return wrapped(request, callback)
    recording = _begin(request)
    if recording is None:
        return _live(wrapped, request, callback)
    hop = _Hop(recording, request)
    setattr(request, _ATTRIBUTE, hop)
    return _live(wrapped, request, hop.watched(callback))


class _Hop:
    """One exchange of the simple client while it is recorded: of a redirect, each has its own."""

    def __init__(self, recording: Recording, request: Any) -> None:
        self._recording = recording
        self._request = request
        self._passing: Passing | None = None

    def connected(self, stream: Any) -> None:
        """Watch what passes on the connection that was made."""
        from timetracer_otel.families.http.tornado_stream import observe  # noqa: PLC0415 - imports the library

        self._passing = Passing(self._recording, self._request.method)
        observe(stream, self._passing)

    def watched(self, callback: Callback) -> Callback:
        """Give what goes in place of the client's callback, which also gets what failed."""

        def observed(response: Any) -> None:
            try:
                self._ended(response)
            except Exception as error:  # noqa: BLE001 - recording never breaks the app
                faults.report("tornado.response", error)
            callback(response)

        return observed

    def _ended(self, response: Any) -> None:
        passing, recording = self._passing, self._recording
        if not _is_failure(response):
            if passing is not None:
                headers = [(str(name), str(value)) for name, value in response.headers.get_all()]
                passing.accepted(response.code, response.reason or "", "1.1", headers, time.monotonic_ns())
                passing.let_go()  # of what has ended by itself, nothing is left to say
            recording.abandoned()
            return
        if passing is None:
            recording.fail_unsent(response.error)
        else:
            recording.fail(response.error, "body" if passing.has_head else "head")


class _Nowhere:
    """Stands for the TCP client of a connection that a recorded exchange answers.

    Args:
        answering: gives the recorded exchanges.
        request: what is asked.
    """

    def __init__(self, answering: seams.Responder, request: Any) -> None:
        self._answering = answering
        self._request = request
        self._context = copy_context()  # a connection may be made in that of another request, which ended
        self.connection: Any = None

    async def connect(self, *_address: object, max_buffer_size: int, **_options: object) -> Any:
        """Give a stream that reaches nowhere, or raise what connecting raised."""
        from timetracer_otel.families.http.tornado_stream import NoStream  # noqa: PLC0415 - imports the library

        asked = _asked(self._request)
        reply = self._context.run(family.ask_early, self._answering, asked)
        if reply is not None and reply.phase == "connect":
            family.raise_error(reply, (self._request,))

        def answer(_message: Message, body: bytes) -> Reply:
            sent = Sent(asked.method, asked.url, asked.headers, body)
            return reply or self._context.run(family.ask, self._answering, sent)

        return NoStream(answer, self._fail, max_buffer_size)

    def _fail(self, error: BaseException) -> None:
        self.connection._handle_exception(type(error), error, None)  # noqa: SLF001 - where the client fails itself


def _run(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    nowhere = vars(instance.request).get(_ATTRIBUTE)
    if isinstance(nowhere, _Nowhere):
        nowhere.connection, instance.tcp_client = instance, nowhere
    return wrapped(*args, **kwargs)


def _create_connection(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    hop = vars(instance.request).get(_ATTRIBUTE)
    if isinstance(hop, _Hop):
        try:
            hop.connected(args[0] if args else kwargs["stream"])
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("tornado.connect", error)
    return wrapped(*args, **kwargs)


# The curl client.


def _fetch_curl(wrapped: Any, _instance: Any, args: Any, _kwargs: Any) -> Any:
    request, callback = args
    answering = family.responder(NAME)
    if answering is not None:
        return _CurlAnswer(answering, request, callback).start()
    recording = _begin(request)
    if recording is None:
        return _live(wrapped, request, callback)
    if recording.request.body:
        recording.sent(recording.request.body)
    recording.sent_all()  # a body producer is nothing that this client takes
    with http_recording.within():
        return _live(wrapped, _observed(request, recording), _observed_callback(callback, recording))


def _observed(request: Any, recording: Recording) -> Any:
    """Give the request, its streaming callback seen; the app's own object stays as it is."""
    streams = request.streaming_callback
    if streams is None:
        return request

    def observed(piece: bytes) -> Any:
        recording.streamed.append(piece)
        return streams(piece)

    inner = copy.copy(request.request)
    inner.streaming_callback = observed
    return type(request)(inner, request.defaults)


def _observed_callback(callback: Callback, recording: Recording) -> Callback:
    def observed(response: Any) -> None:
        try:
            _record(response, recording)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("tornado.response", error)
        callback(response)

    return observed


def _record(response: Any, recording: Recording) -> None:
    if _is_failure(response):
        recording.fail(response.error, "head")
        return
    headers = [(str(name), str(value)) for name, value in response.headers.get_all()]
    if response.effective_url != recording.request.url:
        recording.call.attributes[messages.EFFECTIVE_URL] = redaction.url(response.effective_url)
    recording.head(response.code, response.reason or "", "1.1", headers, time.monotonic_ns())
    for piece in recording.streamed or [response.buffer.getvalue() if response.buffer is not None else b""]:
        recording.received(piece)
    recording.done()


class _CurlAnswer:
    """A request of the curl client that a recorded response answers."""

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
        except Exception as error:  # noqa: BLE001 - whatever it is, the fetch must end with it
            response = self._made(code=_NO_RESPONSE, error=error)
        self._callback(response)

    async def _response(self) -> Any:
        asked = _asked(self._request)
        reply, recorded_url = family.ask_with(self._answering, asked, messages.EFFECTIVE_URL)
        if reply.wait:
            await asyncio.sleep(reply.wait)
        if reply.error is not None:
            error = family.error_of(reply, (self._request,))
            return self._made(code=_NO_RESPONSE, error=error)
        return self._answered(reply, recorded_url or self._request.url)

    def _answered(self, reply: Reply, url: str) -> Any:
        from tornado.httputil import HTTPHeaders  # noqa: PLC0415 - the library is there when a call of it is

        headers = HTTPHeaders()
        for name, value in reply.headers:
            headers.add(name, value)
        if self._request.header_callback is not None:
            fields = [f"{name}: {value}" for name, value in reply.headers if name != _REASON]
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


INTEGRATION = family.declared(
    NAME,
    (
        Patch("tornado.simple_httpclient", "SimpleAsyncHTTPClient.fetch_impl", _fetch_simple),
        Patch("tornado.simple_httpclient", "_HTTPConnection.run", _run),
        Patch("tornado.simple_httpclient", "_HTTPConnection._create_connection", _create_connection),
        Patch("tornado.curl_httpclient", "CurlAsyncHTTPClient.fetch_impl", _fetch_curl, required=False),  # needs pycurl
    ),
    packages={NAME: NAME},
    instrumentors=(Instrumentor(NAME, NAME),),
    plumbing=(
        "tornado.curl_httpclient",
        "tornado.httpclient",
        "tornado.httputil",
        "tornado.ioloop",
        "tornado.iostream",
        "tornado.log",
        "tornado.platform.",
        "tornado.process",
        "tornado.simple_httpclient",
        "tornado.websocket",
    ),
)
