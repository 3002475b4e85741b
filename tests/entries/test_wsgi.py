"""A WSGI entry: what the lane sees, and that the app and the server see no difference."""

from __future__ import annotations

import gc
import io
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
import wrapt
from opentelemetry import context as otel_context

from tests.entries.doubles import NotingRuntime, environ, here, serve_wsgi
from tests.entries.wsgi_apps import Closing, Environ, Start, hello, seamed, streaming
from timetracer_otel import seams
from timetracer_otel.families.entry import wsgi
from timetracer_otel.families.entry.wsgi_input import ObservedInput
from timetracer_otel.seams import faults, lanes


def test_without_a_runtime_the_app_is_called_as_it_is() -> None:
    """Mode off: the very same environ and start_response, and nothing is put into them."""
    request = environ()
    got: list[Any] = []

    def app(*args: Any) -> list[bytes]:
        got.extend(args)
        return []

    before = dict(request)
    wsgi.run(app, request, serve_wsgi)
    assert got[0] is request
    assert got[1] is serve_wsgi
    assert request == before


def test_a_request_that_is_not_to_be_recorded_passes_straight_through(runtime: NotingRuntime) -> None:
    """When the runtime opens no lane, the input stays the server's."""
    runtime.excluded = "/health"
    request = environ(path="/health")
    stream = request["wsgi.input"]
    serve_wsgi(seamed(hello), request)
    assert request["wsgi.input"] is stream
    assert runtime.lanes == []


def test_request_and_response_are_seen_whole(runtime: NotingRuntime) -> None:
    """Method, target, headers, scheme, version, status, header order and body reach the lane."""
    request = environ(
        "POST",
        "/a b/ü",
        b"in",
        CONTENT_TYPE="text/plain",
        QUERY_STRING="q=1&q=%20",
        HTTP_X_MANY="1,2",
        SCRIPT_NAME="/s",
    )
    request["PATH_INFO"] = "/a b/ü".encode().decode("latin-1")

    def app(request: Environ, start: Start) -> list[bytes]:
        request["wsgi.input"].read()
        start("201 Made It", [("Set-Cookie", "a=1"), ("X", "ÿ"), ("Set-Cookie", "b=2")])
        return [b"out"]

    serve_wsgi(seamed(app), request)
    lane = runtime.lane
    assert (lane.asked.method, lane.asked.target) == ("POST", "/s/a%20b/%C3%BC?q=1&q=%20")
    assert (lane.asked.scheme, lane.asked.http_version) == ("http", "1.1")
    assert lane.asked.headers == [
        ("Host", "test"), ("Content-Length", "2"), ("Content-Type", "text/plain"), ("X-Many", "1,2"),
    ]  # fmt: skip
    assert (lane.received, lane.asked.complete) == (b"in", True)
    assert (lane.response.status, lane.response.code) == ("201 Made It", 201)
    assert lane.response.headers == [("Set-Cookie", "a=1"), ("X", "ÿ"), ("Set-Cookie", "b=2")]
    assert (lane.sent, lane.response.complete, lane.error) == (b"out", True, None)


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ({"RAW_URI": "/x%2Fy?a=%20"}, "/x%2Fy?a=%20"),
        ({"REQUEST_URI": "http://host:1/p?q"}, "/p?q"),
        ({"RAW_URI": "http://host"}, "/"),
        ({"RAW_URI": "http://host?q=1"}, "/?q=1"),
        ({"RAW_URI": "//double/slash"}, "//double/slash"),
        ({"RAW_URI": "*"}, "*"),
        ({"RAW_URI": "/p?next=http://a/b"}, "/p?next=http://a/b"),
        ({"PATH_INFO": ""}, "/"),
        ({"PATH_INFO": "/a%b;c=d", "QUERY_STRING": "?"}, "/a%25b;c=d??"),
    ],
)
def test_the_target_is_as_received(runtime: NotingRuntime, given: dict[str, str], target: str) -> None:
    """The server's own copy of the request line wins; absolute-form is reduced to path and query."""
    serve_wsgi(seamed(hello), environ(**given))
    assert runtime.lane.asked.target == target


def test_empty_content_headers_are_not_headers(runtime: NotingRuntime) -> None:
    """Servers set CONTENT_TYPE to nothing when there was none, and may give it twice."""
    given = {"CONTENT_TYPE": "", "CONTENT_LENGTH": "", "HTTP_CONTENT_TYPE": "x", "HTTP_CONTENT_LENGTH": "1"}
    serve_wsgi(seamed(hello), environ(**given))
    assert runtime.lane.asked.headers == [("Host", "test")]


def test_a_list_is_returned_as_it_is_and_its_lane_has_ended(runtime: NotingRuntime) -> None:
    """With the whole body known the lane ends at once, and the server gets the very same list."""
    body = [b"a", b"", b"b"]

    def app(_request: Environ, start: Start) -> list[bytes]:
        start("200 OK", [])
        return body

    assert wsgi.run(app, environ(), lambda *_: None) is body
    assert runtime.lane.sent == b"ab"


def test_no_chunk_is_pulled_ahead(runtime: NotingRuntime) -> None:
    """Chunk n+1 is made when the server asks for it, and the app starts when it always did."""
    made: list[str] = []

    def step(name: str) -> Callable[[], bytes]:
        def make() -> bytes:
            made.append(name)
            return name.encode()

        return make

    result = wsgi.run(streaming(step("1"), step("2")), environ(), lambda *_: None)
    body = iter(result)
    assert made == []
    assert next(body) == b"1"
    assert made == ["1"]
    assert runtime.lane.ends == []
    assert next(body) == b"2"
    assert next(body, None) is None
    assert runtime.lane.sent == b"12"
    assert runtime.lane.response.complete
    result.close()
    assert len(runtime.lane.ends) == 1


def test_the_lane_is_current_in_every_step_and_in_close(runtime: NotingRuntime) -> None:
    """Calls of the app, of each step of the body and of close() belong to the lane; code between them does not."""
    inside: list[str | None] = []

    def app(_request: Environ, start: Start) -> Closing:
        inside.append(here())
        start("200 OK", [])
        return Closing([b"x"], lambda: inside.append(here()))

    def lazy(_request: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        try:
            inside.append(here())
            yield b"x"
            inside.append(here())
        finally:
            inside.append(here())

    for served in (app, lazy):
        inside.clear()
        result = wsgi.run(served, environ(), lambda *_: None)
        for _ in result:
            assert here() is None
        result.close()
        assert here() is None
        assert inside
        assert set(inside) == {runtime.lanes[-1].id}


def test_a_mounted_app_does_not_open_a_second_lane(runtime: NotingRuntime) -> None:
    """A seam inside a seam passes through; the next request is an entry again, even with the same environ."""
    request = environ()
    for _ in range(2):
        serve_wsgi(seamed(seamed(hello)), request)
    assert [len(lane.ends) for lane in runtime.lanes] == [1, 1]


def test_a_middleware_that_never_closes_still_ends_the_lane(runtime: NotingRuntime) -> None:
    """At the end of the body, or when it is forgotten in its middle."""

    def careless(request: Environ, start: Start) -> list[bytes]:
        body = wsgi.run(streaming(lambda: b"x", lambda: b"y"), request, start)
        return [next(iter(body))] if request["PATH_INFO"] == "/first" else list(body)

    serve_wsgi(careless, environ())
    serve_wsgi(careless, environ(path="/first"))
    gc.collect()
    whole, first = runtime.lanes
    assert (whole.sent, whole.response.complete) == (b"xy", True)
    assert (first.sent, first.response.complete) == (b"x", False)


def test_a_lane_that_a_context_kept_does_not_swallow_the_next_request(runtime: NotingRuntime) -> None:
    """An instrumentor that leaves its context attached must not make the next request look nested."""
    leaked: list[Any] = []

    def leaking(request: Environ, start: Start) -> list[bytes]:
        leaked.append(otel_context.get_current())
        return hello(request, start)

    def serve_twice() -> None:
        serve_wsgi(seamed(leaking), environ())
        otel_context.attach(leaked[0])
        assert lanes.lane_of() is runtime.lane
        serve_wsgi(seamed(hello), environ())

    copy_context().run(serve_twice)
    assert len(runtime.lanes) == 2


def test_a_call_to_the_app_from_inside_a_lane_stays_in_it(runtime: NotingRuntime) -> None:
    """An app served from inside another entry (Flask mounted in an ASGI app, in a thread) opens no lane of its own."""

    def outer(request: Environ, start: Start) -> list[bytes]:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, serve_wsgi, seamed(hello), environ(path="/inner")).result(10)
        return hello(request, start)

    serve_wsgi(seamed(outer), environ(path="/outer"))
    assert [lane.asked.target for lane in runtime.lanes] == ["/outer"]


def test_concurrent_requests_have_lanes_of_their_own(runtime: NotingRuntime) -> None:
    """Each request's body and calls go to its own lane."""

    def app(request: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        yield request["wsgi.input"].read()
        yield (here() or "").encode()

    with ThreadPoolExecutor(8) as pool:
        bodies = [str(number).encode() for number in range(40)]
        list(pool.map(lambda body: serve_wsgi(seamed(app), environ("POST", body=body)), bodies))
    assert {lane.received for lane in runtime.lanes} == set(bodies)
    assert all(lane.response.body == [lane.received, lane.id.encode()] for lane in runtime.lanes)


def test_a_call_that_pep_3333_does_not_know_is_the_apps_affair(runtime: NotingRuntime) -> None:
    """Wrong arguments raise the app's own TypeError."""
    with pytest.raises(TypeError, match="hello"):
        wsgi.wsgi_call(hello, None, (), {})
    assert runtime.lanes == []


def test_our_own_fault_does_not_reach_the_app(runtime: NotingRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that fails to open or to end is reported and counted; the response is what it was."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS")
    monkeypatch.setattr(faults, "counts", Counter())
    plain = serve_wsgi(hello, environ())

    def fail(*_: Any) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr("tests.entries.doubles.NotedLane.finish", fail)
    assert serve_wsgi(seamed(hello), environ()) == plain
    monkeypatch.setattr(runtime, "open_lane", fail)
    assert serve_wsgi(seamed(hello), environ()) == plain
    assert faults.counts == {"wsgi.finish": 1, "wsgi.open": 1}


def test_replay_reads_the_body_before_the_lane_opens(replay: NotingRuntime) -> None:
    """In replay the lane is chosen by the body too, and the app reads the same bytes afterwards."""
    body = bytes(range(256)) * 1000

    def app(request: Environ, start: Start) -> list[bytes]:
        start("200 OK", [])
        assert not isinstance(request["wsgi.input"], ObservedInput)
        return [request["wsgi.input"].read()]

    [_, _, (_, answered), _] = serve_wsgi(seamed(app), environ("POST", body=body))
    assert replay.bodies == [body]
    assert answered == body
    assert replay.lane.asked.complete


def test_replay_marks_a_body_that_broke_off(replay: NotingRuntime) -> None:
    """A client that leaves in the middle of its upload gives the app what came, and an incomplete request."""
    serve_wsgi(seamed(hello), environ("POST", body=b"abc", CONTENT_LENGTH="10"))
    assert (replay.bodies, replay.lane.asked.complete) == ([b"abc"], False)


def test_replay_reads_a_chunked_body_to_its_end(replay: NotingRuntime) -> None:
    """Without a length, the body is read when the server says that its stream ends."""
    given = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(b"abc"), "wsgi.input_terminated": True}
    serve_wsgi(seamed(hello), environ("POST", **given))
    assert (replay.bodies, replay.lane.asked.complete) == ([b"abc"], True)


@pytest.mark.parametrize(("mode", "kept"), [("runtime", True), ("replay", False)])
def test_our_header_is_removed_in_replay_only(request: pytest.FixtureRequest, mode: str, *, kept: bool) -> None:
    """The header that names a lane reaches the runtime; the app sees it only while recording."""
    noting: NotingRuntime = request.getfixturevalue(mode)
    seen: list[bool] = []

    def app(request: Environ, start: Start) -> list[bytes]:
        seen.append("HTTP_X_TIMETRACER_LANE" in request)
        return hello(request, start)

    serve_wsgi(seamed(app), environ(HTTP_X_TIMETRACER_LANE="abc"))
    assert seen == [kept]
    assert noting.lane.asked.header("x-timetracer-lane") == "abc"


def test_the_runtime_is_asked_for_each_request(runtime: NotingRuntime) -> None:
    """A runtime that was removed opens no more lanes."""
    serve_wsgi(seamed(hello), environ())
    seams.set_active(None)
    serve_wsgi(seamed(hello), environ())
    assert len(runtime.lanes) == 1


def test_everything_may_be_called_by_keyword(runtime: NotingRuntime) -> None:
    """The app by a server or a test, ``start_response`` by the app, whatever the server calls its second argument."""
    given: list[Any] = []

    def start(status: str, response_headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
        given.append((status, response_headers, exc_info))
        return given.append

    def app(environ: Environ, start_response: Start) -> list[bytes]:
        write: Any = start_response(response_headers=[("x", environ["PATH_INFO"])], exc_info=None, status="201 Made")
        write(b"a")
        return [b"b"]

    called = wrapt.FunctionWrapper(app, wsgi.wsgi_call)
    assert called(start_response=start, environ=environ(path="/p")) == [b"b"]
    assert given == [("201 Made", [("x", "/p")], None), b"a"]
    (lane,) = runtime.lanes
    assert (lane.response.status, lane.response.headers, lane.sent) == ("201 Made", [("x", "/p")], b"ab")
