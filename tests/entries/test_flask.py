"""Flask apps behind the seam: by the test client and by Werkzeug's server."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
import pytest
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

from tests.entries.bodies import KINDS, chunked_request, plain_request
from tests.entries.doubles import NotingRuntime, exchange, here, marking_provider, starlette_client, werkzeug_server
from timetracer_otel.integrations.flask import TimeTracerMiddleware

pytestmark = pytest.mark.usefixtures("patched")


@pytest.fixture(params=[False, True], ids=["plain", "instrumented"])
def app(request: pytest.FixtureRequest) -> flask.Flask:
    """An app with routes for what these tests do; with OpenTelemetry's instrumentation too."""
    made = flask.Flask("app")
    if request.param:
        FlaskInstrumentor().instrument_app(  # type: ignore[no-untyped-call] # OpenTelemetry's is untyped
            made, tracer_provider=marking_provider()
        )

    @made.post("/digest")
    def digest() -> str:
        return hashlib.sha256(flask.request.get_data()).hexdigest()

    made.add_url_rule("/ignore", methods=["POST"], view_func=lambda: "ignored", endpoint="ignore")

    @made.get("/stream")
    def stream() -> flask.Response:
        def chunks() -> Iterator[str]:
            for _ in range(3):
                yield f"{here()}\n"

        return flask.Response(flask.stream_with_context(chunks()))

    @made.get("/file")
    def file() -> flask.Response:
        return flask.send_file(Path(__file__))

    @made.get("/fail")
    def fail() -> str:
        raise ZeroDivisionError("of the app")

    @made.route("/status/<int:code>", methods=["GET"])
    def status(code: int) -> tuple[str, int]:
        return ("" if code in {204, 304} else "body"), code

    made.add_url_rule("/lane", view_func=lambda: str(here()), endpoint="lane")
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [plain_request, chunked_request])
def test_a_body_reaches_the_handler_unchanged(runtime: NotingRuntime, app: flask.Flask, kind: str, form: Any) -> None:
    """Over a real connection, with a length or in chunks, every kind of body is the handler's and the lane's."""
    with werkzeug_server(app) as port:
        answer = exchange(port, form("/digest", kind))
    body = KINDS[kind][1]
    assert answer.endswith(hashlib.sha256(body).hexdigest().encode())
    assert runtime.lane.received == body
    assert (runtime.lane.asked.complete, runtime.lane.response.complete) == (True, True)


@pytest.mark.parametrize("kind", KINDS)
def test_replay_gives_the_handler_the_same_body(replay: NotingRuntime, app: flask.Flask, kind: str) -> None:
    """In replay the body is read ahead, and then the handler reads it."""
    body = KINDS[kind][1]
    with werkzeug_server(app) as port:
        for form in (plain_request, chunked_request):
            assert exchange(port, form("/digest", kind)).endswith(hashlib.sha256(body).hexdigest().encode())
    assert replay.bodies == [body, body]


def test_an_unread_body_is_incomplete(runtime: NotingRuntime, app: flask.Flask) -> None:
    """A handler that never looks at its request's body."""
    app.test_client().post("/ignore", data=b"x" * 10)
    assert (runtime.lane.received, runtime.lane.asked.complete) == (b"", False)


def test_calls_of_a_stream_belong_to_its_lane(runtime: NotingRuntime, app: flask.Flask) -> None:
    """Each step of a streaming generator runs in the lane; the thread is outside again afterwards."""
    response = app.test_client().get("/stream")
    assert set(response.text.split()) == {runtime.lane.id}
    assert runtime.lane.sent == response.data
    assert here() is None


def test_concurrent_streams_keep_apart(runtime: NotingRuntime, app: flask.Flask) -> None:
    """Fifty at once, each in its own lane."""
    with werkzeug_server(app) as port, ThreadPoolExecutor(10) as pool:
        request = b"GET /stream HTTP/1.0\r\n\r\n"
        answers = list(pool.map(lambda _: exchange(port, request), range(50)))
    ids = [set(re.findall(r"[0-9a-f]{32}", answer.decode())) for answer in answers]
    assert [len(one) for one in ids] == [1] * 50
    assert set().union(*ids) == {lane.id for lane in runtime.lanes}
    assert len(runtime.lanes) == 50


def test_a_sent_file_is_whole(runtime: NotingRuntime, app: flask.Flask) -> None:
    """send_file goes through wsgi.file_wrapper."""
    with werkzeug_server(app) as port:
        answer = exchange(port, b"GET /file HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")[2]
    assert answer == Path(__file__).read_bytes() == runtime.lane.sent


@pytest.mark.parametrize(
    ("method", "path", "code"), [("HEAD", "/lane", 200), ("GET", "/status/204", 204), ("GET", "/status/304", 304)]
)
def test_responses_without_a_body(runtime: NotingRuntime, app: flask.Flask, method: str, path: str, code: int) -> None:
    """HEAD, 204 and 304 are complete."""
    response = app.test_client().open(path, method=method)
    assert (response.status_code, response.data) == (code, b"")
    assert (runtime.lane.response.code, runtime.lane.sent, runtime.lane.response.complete) == (code, b"", True)


def test_an_unhandled_exception_is_the_same_object(runtime: NotingRuntime, app: flask.Flask) -> None:
    """Flask turns it into a 500; under TESTING it leaves the app, and is the lane's error."""
    assert app.test_client().get("/fail").status_code == 500
    app.testing = True
    with pytest.raises(ZeroDivisionError) as caught:
        app.test_client().get("/fail")
    answered, raised = runtime.lanes
    assert (answered.response.code, answered.error) == (500, None)
    assert raised.ends == [(None, caught.value)]


def test_responses_are_the_same_with_and_without_us(app: flask.Flask, request: pytest.FixtureRequest) -> None:
    """Status, headers and body of each route."""
    calls = [
        ("/digest", "POST"),
        ("/file", "GET"),
        ("/fail", "GET"),
        ("/status/404", "GET"),
        ("/nothing", "GET"),
        ("/ignore", "GET"),
    ]

    def answers() -> list[Any]:
        got = []
        for path, method in calls:
            with app.test_client().open(path, method=method) as one:
                got.append((one.status, [pair for pair in one.headers if pair[0] != "Date"], one.data))
        return got

    without = answers()
    noting: NotingRuntime = request.getfixturevalue("runtime")
    assert answers() == without
    assert [(lane.response.status, lane.sent) for lane in noting.lanes] == [
        (status, data) for status, _, data in without
    ]


def test_a_client_that_keeps_its_context_records_every_request(runtime: NotingRuntime, app: flask.Flask) -> None:
    """`with app.test_client()` tears a request down when the next one begins; each is an entry nevertheless."""
    with app.test_client() as client:
        ids = [client.get("/lane").text for _ in range(3)]
    assert ids == [lane.id for lane in runtime.lanes]


def test_a_client_that_leaves_makes_the_response_incomplete(runtime: NotingRuntime) -> None:
    """A connection that is cut while the body streams."""
    app = flask.Flask("app")
    gone = threading.Event()

    @app.get("/")
    def endless() -> flask.Response:
        def chunks() -> Iterator[bytes]:
            yield b"first"
            gone.wait(10)
            while True:
                yield b"x" * 100_000

        return flask.Response(chunks())

    with werkzeug_server(app) as port:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            while b"first" not in connection.recv(1000):
                pass
        gone.set()
        assert runtime.lane.sent.startswith(b"first")
    assert not runtime.lane.response.complete


def test_threads_of_a_request_belong_to_its_lane(runtime: NotingRuntime, app: flask.Flask) -> None:
    """With OpenTelemetry's threading instrumentation: threads, pools and timers."""
    instrumentor = ThreadingInstrumentor()
    instrumentor.instrument()
    seen: list[str | None] = []

    @app.get("/threads")
    def threads() -> str:
        thread = threading.Thread(target=lambda: seen.append(here()))
        timer = threading.Timer(0, lambda: seen.append(here()))
        for one in (thread, timer):
            one.start()
            one.join(10)
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(here).result(10))
        return "done"

    try:
        app.test_client().get("/threads")
    finally:
        instrumentor.uninstrument()
    assert seen == [runtime.lane.id] * 3


def test_mounted_apps_open_one_lane(runtime: NotingRuntime, app: flask.Flask) -> None:
    """An app behind a dispatcher has its own lane; the target is what the client asked for."""
    outer = flask.Flask("outer")
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/inner": app})  # type: ignore[method-assign] # Flask's documented way
    assert Client(outer).get("/inner/lane?q").text == runtime.lane.id
    assert runtime.lane.asked.target == "/inner/lane?q"


def test_a_flask_app_inside_an_asgi_app_stays_in_its_lane(runtime: NotingRuntime, app: flask.Flask) -> None:
    """Mounted through a WSGI adapter, which runs it in a thread: one request, one lane."""

    async def adapter(_request: Request) -> PlainTextResponse:
        return PlainTextResponse(await asyncio.to_thread(lambda: Client(app).get("/lane").text))

    outer = Starlette(routes=[Route("/flask/lane", adapter)])
    assert starlette_client(outer).get("/flask/lane").text == runtime.lane.id
    assert runtime.lane.asked.target == "/flask/lane"


def test_the_middleware_of_1x_does_not_double(runtime: NotingRuntime, app: flask.Flask) -> None:
    """With the class patched as well, a request has one lane."""
    app.wsgi_app = TimeTracerMiddleware(app.wsgi_app)  # type: ignore[method-assign] # Flask's documented way
    assert app.test_client().get("/lane").text == runtime.lane.id


def test_uploads_of_files_are_saved_alike(runtime: NotingRuntime, app: flask.Flask) -> None:
    """request.files and request.form of a multipart upload."""

    @app.post("/upload")
    def upload() -> dict[str, str]:
        return {"name": flask.request.form["name"], "content": flask.request.files["file"].read().decode()}

    data = {"name": "n", "file": (io.BytesIO(b"content"), "f.txt")}
    assert app.test_client().post("/upload", data=data).json == {"name": "n", "content": "content"}
    assert b"content" in runtime.lane.received
    assert runtime.lane.asked.complete
