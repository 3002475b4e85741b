"""An ASGI entry: what the lane sees, and that the app and the server see no difference."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import wrapt

from tests.entries.asgi_apps import EMPTY, OK, Message, Receive, Scope, Send, body, hello, sending, serve
from tests.entries.doubles import NotingRuntime, here, scope, serve_asgi
from timetracer_otel.families.entry import asgi
from timetracer_otel.seams import faults


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "something.new"])
async def test_other_scopes_are_untouched(runtime: NotingRuntime, kind: str) -> None:
    """Websockets and lifespan get the very scope, receive and send of the server."""
    got: list[Any] = []

    async def app(*args: Any) -> None:
        got.extend(args)

    given = ({"type": kind}, object(), object())
    await asgi.run(app, *given)  # type: ignore[arg-type] # any object is passed on
    assert all(one is other for one, other in zip(got, given, strict=True))
    assert given[0] == {"type": kind}
    assert runtime.lanes == []


async def test_without_a_runtime_the_app_gets_what_the_server_gave() -> None:
    """Mode off: nothing is wrapped, nothing is put into the scope."""
    got: list[Any] = []

    async def app(*args: Any) -> None:
        got.extend(args)

    request = scope()
    before = dict(request)
    await asgi.run(app, request, len, print)  # type: ignore[arg-type] # any object is passed on
    assert got == [before, len, print]
    assert got[0] is request


async def test_request_and_response_are_seen_whole(runtime: NotingRuntime) -> None:
    """Method, target, headers in order with duplicates, body, status and body reach the lane."""
    incoming: list[Message] = [
        {"type": "http.request", "body": b"one", "more_body": True},
        {"type": "http.request", "body": b"two"},
    ]

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        assert await receive() is incoming[0]
        assert await receive() is incoming[1]
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x", b"1"), (b"x", b"\xff")]})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    headers = [(b"X-A", b"1"), (b"x-a", b"\xe9"), (b"content-length", b"6")]
    request = scope("PUT", "/a", raw_path=b"/%61", query_string=b"q=%20&q", headers=headers, scheme="https")
    await serve(app, request, incoming)
    lane = runtime.lane
    assert (lane.asked.method, lane.asked.target, lane.asked.scheme) == ("PUT", "/%61?q=%20&q", "https")
    assert lane.asked.headers == [("X-A", "1"), ("x-a", "é"), ("content-length", "6")]
    assert (lane.asked.body, lane.asked.complete) == ([b"one", b"two"], True)
    assert (lane.response.code, lane.response.headers) == (201, [("x", "1"), ("x", "ÿ")])
    assert (lane.response.body, lane.response.complete, lane.error) == ([b"a", b"b"], True, None)


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({"raw_path": None, "path": "/ü b"}, "/%C3%BC%20b"),
        ({"raw_path": b"/p?left=in"}, "/p"),
        ({"raw_path": b"http://host/p", "query_string": b"q"}, "/p?q"),
    ],
)
async def test_the_target_is_as_received(runtime: NotingRuntime, given: dict[str, Any], target: str) -> None:
    """raw_path where the server gives it, as path and query."""
    await serve(hello, scope(**given))
    assert runtime.lane.asked.target == target


async def test_every_message_is_passed_on_as_it_is(runtime: NotingRuntime) -> None:
    """The server gets the very message objects, also those that we do not know."""
    hint: Message = {"type": "http.response.early_hint", "links": [b"<x>"]}
    messages = [hint, OK, body(b"1", more=True), {"type": "http.response.debug"}, body(b"2")]
    events = await serve(sending(*messages))
    assert all(event[1] is message for event, message in zip(events, messages, strict=False))
    assert runtime.lane.sent == b"12"


async def test_headers_that_can_be_read_once_still_reach_the_server(runtime: NotingRuntime) -> None:
    """ASGI allows any iterable of headers; ours is not the reading that counts."""
    events = await serve(sending({**OK, "headers": iter([(b"a", b"1")])}, body(b"")))
    assert list(events[0][1]["headers"]) == [(b"a", b"1")]
    assert runtime.lane.response.headers == [("a", "1")]


async def test_bytes_that_may_change_are_copied(runtime: NotingRuntime) -> None:
    """A bytearray or memoryview belongs to the app, which may use it again."""
    buffer = bytearray(b"one")

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(OK)
        await send(body(buffer, more=True))  # type: ignore[arg-type] # servers take any buffer
        buffer[:] = b"two"
        await send(body(memoryview(buffer)))  # type: ignore[arg-type] # see above

    await serve(app)
    assert runtime.lane.response.body == [b"one", b"two"]


async def test_a_body_that_is_not_read_to_its_end_is_incomplete(runtime: NotingRuntime) -> None:
    """Never read, partly read, or broken off by the client."""

    def reading(count: int) -> Callable[..., Any]:
        async def app(request: Scope, receive: Receive, send: Send) -> None:
            for _ in range(count):
                await receive()
            await hello(request, receive, send)

        return app

    request = {"headers": [(b"content-length", b"6")]}
    parts: list[Message] = [{"type": "http.request", "body": b"abc", "more_body": True}, {"type": "http.disconnect"}]
    for count in (0, 1, 2):
        await serve(reading(count), scope("POST", **request), parts)
    assert [(lane.received, lane.asked.complete) for lane in runtime.lanes] == [
        (b"", False),
        (b"abc", False),
        (b"abc", False),
    ]


async def test_a_request_without_a_body_is_complete_unread(runtime: NotingRuntime) -> None:
    """Most apps never receive() for a GET; over HTTP/2 a POST needs no length to have a body."""
    await serve(hello)
    await serve(hello, scope("POST", http_version="2"))
    assert [lane.asked.complete for lane in runtime.lanes] == [True, False]


async def test_a_last_message_that_comes_again_is_kept_once(runtime: NotingRuntime) -> None:
    """Simple servers answer every receive() with the same message."""

    async def app(request: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await receive()
        await hello(request, receive, send)

    message = {"type": "http.request", "body": b"abc"}
    await serve(app, scope("POST"), [message, message])
    assert runtime.lane.received == b"abc"


async def test_a_mounted_app_does_not_open_a_second_lane(runtime: NotingRuntime) -> None:
    """A seam inside a seam passes through, also with a scope that was copied; state and extensions stay as they are."""
    state: Message = {"a": 1}
    extensions: Message = {"http.response.push": {}}

    async def outer(request: Scope, receive: Receive, send: Any) -> None:
        assert request["state"] is state
        assert request["extensions"] is extensions
        await asgi.run(hello, {**request, "path": "/inner"}, receive, send)

    request = scope(state=state, extensions=extensions)
    await serve(outer, request)
    await serve(outer, request)
    assert [len(lane.ends) for lane in runtime.lanes] == [1, 1]


async def test_a_request_that_a_send_started_is_an_entry_of_its_own(runtime: NotingRuntime) -> None:
    """A server may start a pipelined request's task from inside the earlier one's send(): in that lane's context."""
    tasks: list[asyncio.Task[Any]] = []

    async def send(_message: Any) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(serve(app, scope(path="/second"))))

    inside: list[str | None] = []

    async def app(request: Scope, receive: Receive, send: Send) -> None:
        inside.append(here())
        await hello(request, receive, send)

    await asgi.run(app, scope(path="/first"), serve_asgi, send)  # type: ignore[arg-type] # never received from
    await tasks[0]
    assert [lane.asked.target for lane in runtime.lanes] == ["/first", "/second"]
    assert inside == [lane.id for lane in runtime.lanes]


async def test_concurrent_requests_have_lanes_of_their_own(runtime: NotingRuntime) -> None:
    """Interleaved requests, their tasks and their threads keep to their own lanes."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await asyncio.sleep(0)
        await send(body((await receive())["body"], more=True))
        await send(body((await asyncio.create_task(_later()) or "").encode(), more=True))
        await send(body((await asyncio.to_thread(here) or "").encode()))

    async def _later() -> str | None:
        await asyncio.sleep(0)
        return here()

    bodies = [str(number).encode() for number in range(50)]
    await asyncio.gather(*(serve(app, scope("POST"), [{"type": "http.request", "body": data}]) for data in bodies))
    assert {lane.received for lane in runtime.lanes} == set(bodies)
    assert all(lane.response.body == [lane.received, lane.id.encode(), lane.id.encode()] for lane in runtime.lanes)


def test_the_wrapper_returns_what_the_app_returns(runtime: NotingRuntime) -> None:
    """Wrong arguments raise the app's own TypeError, and a right call gives something to await."""
    with pytest.raises(TypeError, match="app"):
        asgi.asgi_call(hello, None, (), {})
    coroutine = asgi.asgi_call(hello, None, (scope(), len, print), {})
    assert inspect.iscoroutine(coroutine)
    coroutine.close()
    assert runtime.lanes == []


async def test_our_own_fault_does_not_reach_the_app(runtime: NotingRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that we cannot read, a lane that fails to open or to end: reported, and the response is what it was."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS")
    monkeypatch.setattr(faults, "counts", Counter())
    plain = await serve_asgi(hello, scope(), EMPTY)

    def fail(*_: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("tests.entries.doubles.NotedLane.finish", fail)
    assert await serve(hello) == plain
    monkeypatch.setattr(runtime, "open_lane", fail)
    assert await serve(hello) == plain
    monkeypatch.setattr(asgi, "latin1", fail)
    assert await serve(hello) == plain
    assert faults.counts == {"asgi.finish": 1, "asgi.open": 1, "asgi.request": 1}


async def test_replay_receives_the_body_before_the_lane_opens(replay: NotingRuntime) -> None:
    """In replay the lane is chosen by the body too; the app then receives the very same messages."""
    got: list[Message] = []

    async def app(request: Scope, receive: Receive, send: Send) -> None:
        got.extend([await receive() for _ in range(3)])
        await hello(request, receive, send)

    parts: list[Message] = [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b"},
    ]
    await serve(app, scope("POST"), parts)
    assert replay.bodies == [b"ab"]
    assert [got[0] is parts[0], got[1] is parts[1], got[2]["type"]] == [True, True, "http.disconnect"]
    assert (replay.lane.received, replay.lane.asked.complete) == (b"ab", True)


async def test_replay_marks_a_body_that_broke_off(replay: NotingRuntime) -> None:
    """A client that leaves in the middle of its upload: the app gets what came, and the disconnect."""
    got: list[Message] = []

    async def app(request: Scope, receive: Receive, send: Send) -> None:
        got.extend([await receive() for _ in range(2)])
        await hello(request, receive, send)

    await serve(app, scope("POST"), [{"type": "http.request", "body": b"a", "more_body": True}])
    assert [message["type"] for message in got] == ["http.request", "http.disconnect"]
    assert (replay.lane.received, replay.lane.asked.complete) == (b"a", False)


@pytest.mark.parametrize(("mode", "kept"), [("runtime", True), ("replay", False)])
async def test_our_header_is_removed_in_replay_only(request: pytest.FixtureRequest, mode: str, *, kept: bool) -> None:
    """The header that names a lane reaches the runtime; the app sees it only while recording."""
    noting: NotingRuntime = request.getfixturevalue(mode)
    seen: list[list[tuple[bytes, bytes]]] = []

    async def app(request: Scope, receive: Receive, send: Send) -> None:
        seen.append(request["headers"])
        await hello(request, receive, send)

    headers = [(b"a", b"1"), (b"X-Timetracer-Lane", b"abc"), (b"b", b"2")]
    await serve(app, scope(headers=headers))
    assert seen == [headers if kept else [headers[0], headers[2]]]
    assert noting.lane.asked.header("x-timetracer-lane") == "abc"


async def test_a_server_may_call_by_keyword(runtime: NotingRuntime) -> None:
    """As daphne does; what no app takes is the app's own error."""

    class App:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await hello(scope, receive, send)

    seamed = wrapt.FunctionWrapper(App(), asgi.asgi_call)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    await seamed(send=send, scope=scope(), receive=receive)
    await seamed(scope(), receive=receive, send=send)
    assert [lane.response.code for lane in runtime.lanes] == [200, 200]
    with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
        await seamed(scope(), receive, wrong=send)
