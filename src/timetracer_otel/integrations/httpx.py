"""httpx, by httpcore's connection pools: every transport of httpx that does I/O ends there, also HTTP/2 and proxies.

``MockTransport``, ``ASGITransport`` and other in-process transports never get there, and stay as they are.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any, Self

from timetracer_otel import seams
from timetracer_otel.cassette.version1 import Library
from timetracer_otel.families.http import family
from timetracer_otel.families.http import recording as http_recording
from timetracer_otel.families.http.messages import Reply, Sent
from timetracer_otel.families.http.recording import Recording
from timetracer_otel.families.http.rendering import has_no_body
from timetracer_otel.seams import Instrumentor, Patch, exceptions, faults

__all__ = ["INTEGRATION"]

NAME = "httpx"
_LIBRARIES = ("httpcore", "httpcore2")  # the second is what httpx2 stands on, with the same interface


def _asked(request: Any) -> Sent:
    url = request.url
    authority = url.host.decode("ascii", "replace")
    authority = f"[{authority}]" if ":" in authority else authority
    default = {b"http": 80, b"https": 443}.get(url.scheme)
    if url.port is not None and url.port != default:
        authority += f":{url.port}"
    target = url.target.decode("ascii", "replace")
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers]
    whole = f"{url.scheme.decode('ascii')}://{authority}{target if target.startswith('/') else '/' + target}"
    return Sent(request.method.decode("ascii"), whole, headers)


class _RequestStream:
    """A request's body, seen as the transport reads it."""

    def __init__(self, stream: Any, recording: Recording) -> None:
        self._stream = stream
        self._recording = recording

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            self._recording.sent(piece)
            yield piece
        self._recording.sent_all()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._recording.sent(piece)
            yield piece
        self._recording.sent_all()


class _Reading:
    """The step of reading a response's body: its end, or what breaks it off, is the recording's too."""

    __slots__ = ("_recording",)

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def __enter__(self) -> None:
        """The body is read."""

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is None:
            self._recording.done()
        elif isinstance(error, GeneratorExit):
            self._recording.abandoned()
        else:
            self._recording.fail(error, "body")


class _ResponseStream:
    """A response's body, seen as the app reads it: no piece is pulled ahead."""

    def __init__(self, stream: Any, recording: Recording) -> None:
        self._stream = stream
        self._recording = recording

    def __iter__(self) -> Iterator[bytes]:
        with _Reading(self._recording):
            for piece in self._stream:
                self._passed(piece)
                yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _Reading(self._recording):
            async for piece in self._stream:
                self._passed(piece)
                yield piece

    def _passed(self, piece: bytes) -> None:
        recording = self._recording
        recording.later(partial(recording.received, piece, at=time.monotonic_ns()))

    def close(self) -> None:
        self._recording.abandoned()
        self._stream.close()

    async def aclose(self) -> None:
        self._recording.abandoned()
        await self._stream.aclose()

    def __del__(self) -> None:
        self._recording.abandoned()


def _begin(request: Any) -> Recording | None:
    try:
        recording = http_recording.begin(NAME, _asked(request))
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("httpx.begin", error)
        return None
    if recording is not None:
        request.stream = _RequestStream(request.stream, recording)
    return recording


def _head(recording: Recording, line: tuple[bytes, int, bytes], headers: list[tuple[bytes, bytes]], since: int) -> None:
    version, status, reason = line
    decoded = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    recording.head(status, reason.decode("latin-1"), version.decode("ascii").rpartition("/")[2], decoded, since)


class _GoingOut:
    """The step of a request that goes out, around the library's own, which may be awaited.

    Args:
        request: the library's.
    """

    __slots__ = ("_method", "_recording", "_tokens")

    def __init__(self, request: Any) -> None:
        self._method = request.method
        self._recording = _begin(request)

    def __enter__(self) -> Self:
        self._tokens = seams.live_io.set(True), http_recording.in_exchange.set(True)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if error is not None and self._recording is not None:
            self._recording.fail(error, "head")
        live_io, in_exchange = self._tokens
        http_recording.in_exchange.reset(in_exchange)
        seams.live_io.reset(live_io)

    def answered(self, response: Any) -> Any:
        """Hand on the response, whose body is seen as the app reads it."""
        if self._recording is not None:
            try:
                self._observe(self._recording, response)
            except Exception as error:  # noqa: BLE001 - recording never breaks the app
                faults.report("httpx.response", error)
        return response

    def _observe(self, recording: Recording, response: Any) -> None:
        extensions, since = response.extensions, time.monotonic_ns()
        line = (extensions.get("http_version", b"HTTP/1.1"), response.status, extensions.get("reason_phrase", b""))
        recording.later(partial(_head, recording, line, list(response.headers), since))
        if has_no_body(self._method.decode(), response.status):
            recording.done()
        response.stream = _ResponseStream(response.stream, recording)


def _handle(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs["request"]
    answering = family.responder(NAME)
    if answering is not None:
        asked = _asked(request)
        asked.body = b"".join(request.stream)
        reply = family.ask(answering, asked)
        if reply.wait:
            time.sleep(reply.wait)
        return _response(instance, reply, asked)
    with _GoingOut(request) as going:
        response = wrapped(*args, **kwargs)
    return going.answered(response)


async def _handle_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    request = args[0] if args else kwargs["request"]
    answering = family.responder(NAME)
    if answering is not None:
        asked = _asked(request)
        asked.body = b"".join([piece async for piece in request.stream])
        reply = family.ask(answering, asked)
        if reply.error is not None and exceptions.is_cancelled(reply.error) and not reply.status:
            await asyncio.Event().wait()  # the app itself gave up waiting, and will again
        if reply.wait:
            await asyncio.sleep(reply.wait)
        return _response(instance, reply, asked)
    with _GoingOut(request) as going:
        response = await wrapped(*args, **kwargs)
    return going.answered(response)


class _Recorded:
    """A recorded body, in its pieces, then what ended it."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __iter__(self) -> Iterator[bytes]:
        yield from self._reply.chunks()
        family.wait_for_leaving(self._reply)
        self._end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._reply.chunks():
            yield piece
        if self._reply.error is not None and exceptions.is_cancelled(self._reply.error):
            await asyncio.Event().wait()
        await family.wait_to_be_cancelled(self._reply)
        self._end()

    def _end(self) -> None:
        family.raise_error(self._reply)
        if not self._reply.complete:
            raise family.too_far(self._reply)

    def close(self) -> None:
        """Do nothing: no connection waits."""

    async def aclose(self) -> None:
        """Do nothing: no connection waits."""


class _NoStream:
    """Stands for the network stream that ``response.extensions`` has; nothing of it was recorded."""

    def get_extra_info(self, info: str) -> None:
        """Give what the network knows: nothing."""


def _response(pool: Any, reply: Reply, asked: Sent) -> Any:
    if not reply.status:
        family.raise_error(reply)
    extensions: dict[str, Any] = {"http_version": f"HTTP/{reply.version}".encode(), "network_stream": _NoStream()}
    if reply.version != "2":
        extensions["reason_phrase"] = reply.reason.encode("latin-1", "replace")
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    if has_no_body(asked.method, reply.status):
        reply.body, reply.pieces = b"", []
    return _library(pool).Response(reply.status, headers=headers, content=_Recorded(reply), extensions=extensions)


def _library(pool: Any) -> Any:
    """The module, httpcore or its successor, whose pool this is; a user's subclass has it among its bases."""
    names = (base.__module__.partition(".")[0] for base in type(pool).__mro__)
    return sys.modules[next(name for name in names if name in _LIBRARIES)]


INTEGRATION = family.declared(
    NAME,
    [
        patch
        for library in _LIBRARIES
        for patch in (
            Patch(library, "ConnectionPool.handle_request", _handle),
            Patch(library, "AsyncConnectionPool.handle_async_request", _handle_async),
        )
    ],
    packages={name: name for name in ("httpx", "httpx2", *_LIBRARIES)},
    instrumentors=(Instrumentor("httpx", "httpx"), Instrumentor("httpx2", "httpx2")),
    version1=(Library("httpx", errors="httpx"),),
    plumbing=("httpcore.",),
)
