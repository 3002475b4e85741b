"""How an ASGI response ends: last messages, trailers, files, errors, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from tests.entries.asgi_apps import OK, Message, Receive, Scope, Send, body, hello, sending, serve
from tests.entries.doubles import NotingRuntime, here, scope, serve_asgi
from timetracer_otel.families.entry import asgi


async def test_the_lane_ends_with_the_last_message_and_late_work_stays_in_it(runtime: NotingRuntime) -> None:
    """The lane has ended when send() of the last message returns; background work still runs inside it."""
    seen: list[Any] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(OK)
        await send(body(b"x", more=True))
        seen.append(len(runtime.lane.ends))
        await send(body(b""))
        seen.append(len(runtime.lane.ends))
        await asyncio.sleep(0)
        seen.append(here())
        raise ValueError("in the background")

    events = await serve(app)
    assert seen == [0, 1, runtime.lane.id]
    assert type(events[-1][1]) is ValueError
    assert (runtime.lane.error, runtime.lane.response.complete) == (None, True)
    assert here() is None


async def test_nothing_is_sent_ahead(runtime: NotingRuntime) -> None:
    """Each chunk is with the server before the app makes the next one."""
    order: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        for name in ("1", "2"):
            order.append(f"made {name}")
            yield name.encode()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(OK)
        async for chunk in chunks():
            await send(body(chunk, more=True))
        await send(body(b""))

    async def send(message: Message) -> None:
        order.append(f"sent {message.get('body', b'').decode()}")

    await asgi.run(app, scope(), serve_asgi, send)  # type: ignore[arg-type] # never received from
    assert order == ["sent ", "made 1", "sent 1", "made 2", "sent 2", "sent "]
    assert runtime.lane.sent == b"12"


async def test_trailers_end_the_response(runtime: NotingRuntime) -> None:
    """With trailers announced, the last body message is not the end."""
    trailers = {"type": "http.response.trailers", "headers": [(b"etag", b"1")]}
    start = {**OK, "trailers": True}
    await serve(sending(start, body(b"x"), {**trailers, "more_trailers": True}, trailers))
    await serve(sending(start, body(b"x")))
    first, second = (lane.response for lane in runtime.lanes)
    assert (first.trailers, first.complete) == ([("etag", "1"), ("etag", "1")], True)
    assert not second.complete


async def test_a_file_that_the_server_sends_is_the_body(runtime: NotingRuntime, tmp_path: Path) -> None:
    """http.response.pathsend: the file's content; incomplete when the file is gone."""
    file = tmp_path / "f"
    file.write_bytes(b"content")
    message = {"type": "http.response.pathsend", "path": str(file)}
    await serve(sending(OK, message))
    file.unlink()
    await serve(sending(OK, message))
    there, gone = (lane.response for lane in runtime.lanes)
    assert (there.body, there.complete) == ([b"content"], True)
    assert (gone.body, gone.complete) == ([], False)


async def test_a_file_descriptor_is_not_read(runtime: NotingRuntime) -> None:
    """http.response.zerocopysend shows us no bytes: the response is incomplete, and the file's position untouched."""
    await serve(sending(OK, body(b"x", more=True), {"type": "http.response.zerocopysend", "file": 99}))
    assert (runtime.lane.response.body, runtime.lane.response.complete) == ([b"x"], False)


@pytest.mark.parametrize(
    ("method", "status", "complete"), [("HEAD", 200, True), ("GET", 204, True), ("GET", 304, True), ("GET", 200, False)]
)
async def test_responses_without_a_body_are_complete(
    runtime: NotingRuntime, method: str, status: int, *, complete: bool
) -> None:
    """HEAD, 204 and 304 need no body message; any other response does."""
    await serve(sending({**OK, "status": status, "headers": [(b"content-length", b"5")]}), scope(method))
    assert runtime.lane.response.complete is complete


async def test_an_exception_is_the_same_exception(runtime: NotingRuntime) -> None:
    """What the app raises reaches the server as the same object."""
    error = ZeroDivisionError("of the app")

    async def app(*_: Any) -> None:
        raise error

    assert await serve(app) == [("error", error)]
    assert (error.__context__, error.__cause__) == (None, None)
    assert runtime.lane.ends == [(None, error)]


async def test_a_response_that_breaks_off_is_incomplete(runtime: NotingRuntime) -> None:
    """An app that raises, or simply returns, in the middle of its body."""
    error = ValueError("middle")

    async def failing(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(OK)
        await send(body(b"x", more=True))
        raise error

    await serve(failing)
    await serve(sending(OK, body(b"x", more=True)))
    failed, stopped = runtime.lanes
    assert (failed.sent, failed.response.complete, failed.error) == (b"x", False, error)
    assert (stopped.sent, stopped.response.complete, stopped.error) == (b"x", False, None)


async def test_a_send_that_fails_ends_the_lane_incomplete(runtime: NotingRuntime) -> None:
    """Some servers raise OSError when the client has left; the app sees that very error."""
    error = OSError("client left")

    async def send(_message: Message) -> None:
        raise error

    with pytest.raises(OSError, match="client left") as caught:
        await asgi.run(hello, scope(), serve_asgi, send)  # type: ignore[arg-type] # never received from
    assert caught.value is error
    assert (runtime.lane.response.complete, runtime.lane.error) == (False, error)


async def test_a_cancelled_request_ends_its_lane(runtime: NotingRuntime) -> None:
    """Cancellation passes through, and the lane has it as its error: servers cancel for a client that has left."""
    started = asyncio.Event()

    async def app(*_: Any) -> None:
        started.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(serve(app))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(runtime.lane.error, asyncio.CancelledError)
    assert runtime.lane.asked.left is not None


async def test_an_app_that_awaits_what_is_cancelled_has_its_client_still(runtime: NotingRuntime) -> None:
    """The cancellation is an error of the app's then, which breaks the response off."""

    async def app(*_: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with pytest.raises(asyncio.CancelledError):
        await serve(app)
    assert isinstance(runtime.lane.error, asyncio.CancelledError)
    assert runtime.lane.asked.left is None


def test_an_abandoned_request_closes_quietly(runtime: NotingRuntime) -> None:
    """A coroutine that is closed from another context, as at the end of a loop, raises nothing new."""

    async def app(*_: Any) -> None:
        await asyncio.Event().wait()

    async def drive() -> None:
        await asgi.run(app, scope(), serve_asgi, print)  # type: ignore[arg-type] # never used

    coroutine = drive()

    def begin() -> None:
        loop = asyncio.new_event_loop()
        asyncio._set_running_loop(loop)
        coroutine.send(None)
        asyncio._set_running_loop(None)
        loop.close()

    copy_context().run(begin)
    coroutine.close()
    assert isinstance(runtime.lane.error, GeneratorExit)
