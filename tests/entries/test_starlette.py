"""Starlette and FastAPI apps behind the seam: by the test client and by uvicorn."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import fastapi
import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.entries.bodies import KINDS, chunked_request, plain_request
from tests.entries.doubles import (
    NotingRuntime,
    exchange,
    here,
    marking_provider,
    scope,
    serve_asgi,
    starlette_client,
    uvicorn_server,
)
from timetracer_otel import seams
from timetracer_otel.integrations.starlette import TimeTracerMiddleware

pytestmark = pytest.mark.usefixtures("patched")

LATE: list[str | None] = []


async def digest(request: Request) -> Response:
    """Give the digest of the body."""
    return PlainTextResponse(hashlib.sha256(await request.body()).hexdigest())


async def ignore(_request: Request) -> Response:
    """Answer without reading the body."""
    return PlainTextResponse("ignored")


async def stream(_request: Request) -> Response:
    """Give the lane of each step, then of two background tasks: one on the loop, one in a thread."""

    async def chunks() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield f"{here()}\n"

    async def late() -> None:
        LATE.append(here())
        LATE.append(await asyncio.to_thread(here))

    return StreamingResponse(chunks(), background=BackgroundTask(late))


def threaded(_request: Request) -> Response:
    """Run in a worker thread, and stream from there."""

    def chunks() -> Iterator[str]:
        for _ in range(3):
            yield f"{here()}\n"

    return StreamingResponse(chunks(), headers={"x-lane": str(here())})


async def file(_request: Request) -> Response:
    """Send this file."""
    return FileResponse(Path(__file__))


async def fail(_request: Request) -> Response:
    """Raise."""
    raise ZeroDivisionError("of the app")


async def status(request: Request) -> Response:
    """Answer with a status."""
    return Response(status_code=request.path_params["code"])


async def lane(_request: Request) -> Response:
    """Give the lane."""
    return PlainTextResponse(str(here()))


async def echo(websocket: WebSocket) -> None:
    """Echo one message, and the lane."""
    await websocket.accept()
    await websocket.send_json([await websocket.receive_text(), here()])
    await websocket.close()


def routes() -> list[Any]:
    """Make the routes that both frameworks serve."""
    return [
        Route("/digest", digest, methods=["POST"]),
        Route("/ignore", ignore, methods=["POST"]),
        Route("/stream", stream),
        Route("/threaded", threaded),
        Route("/file", file),
        Route("/fail", fail),
        Route("/status/{code:int}", status),
        Route("/lane", lane),
        WebSocketRoute("/echo", echo),
        Mount("/mounted", Starlette(routes=[Route("/lane", lane)])),
    ]


def starlette_app() -> Starlette:
    """A Starlette app."""
    return Starlette(routes=routes())


def fastapi_app() -> FastAPI:
    """A FastAPI app."""
    return FastAPI(routes=routes())


def instrumented_starlette_app() -> Starlette:
    """One with OpenTelemetry's instrumentation."""
    app = starlette_app()
    StarletteInstrumentor().instrument_app(app, tracer_provider=marking_provider())
    return app


def instrumented_fastapi_app() -> FastAPI:
    """One with OpenTelemetry's instrumentation."""
    app = fastapi_app()
    FastAPIInstrumentor().instrument_app(app, tracer_provider=marking_provider())
    return app


MAKERS = [starlette_app, fastapi_app, instrumented_starlette_app, instrumented_fastapi_app]


@pytest.fixture(params=MAKERS, ids=lambda maker: str(maker.__name__))
def app(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each framework, with and without OpenTelemetry's instrumentation."""
    LATE.clear()
    made = request.param()
    yield made
    if request.param is instrumented_fastapi_app:
        FastAPIInstrumentor.uninstrument_app(made)  # it patches Starlette's background tasks for everybody


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_reaches_the_handler_unchanged(runtime: NotingRuntime, app: Any, kind: str) -> None:
    """Over a real connection, with a length or in chunks, every kind of body is the handler's and the lane's."""
    body = KINDS[kind][1]
    with uvicorn_server(app) as port:
        for form in (plain_request, chunked_request):
            assert exchange(port, form("/digest", kind)).endswith(hashlib.sha256(body).hexdigest().encode())
    assert [lane.received == body for lane in runtime.lanes] == [True, True]
    assert all(lane.asked.complete and lane.response.complete for lane in runtime.lanes)


@pytest.mark.parametrize("kind", KINDS)
def test_replay_gives_the_handler_the_same_body(replay: NotingRuntime, app: Any, kind: str) -> None:
    """In replay the body is read ahead, and then the handler reads it."""
    body = KINDS[kind][1]
    with uvicorn_server(app) as port:
        answer = exchange(port, chunked_request("/digest", kind))
    assert answer.endswith(hashlib.sha256(body).hexdigest().encode())
    assert replay.bodies == [body]


def test_an_unread_body_is_incomplete(runtime: NotingRuntime, app: Any) -> None:
    """A handler that never looks at its request's body."""
    starlette_client(app).post("/ignore", content=b"x" * 10)
    assert not runtime.lane.asked.complete


@pytest.mark.parametrize("path", ["/stream", "/threaded"])
def test_calls_of_a_stream_belong_to_its_lane(runtime: NotingRuntime, app: Any, path: str) -> None:
    """Each step of a streaming generator, on the loop or in a thread, runs in the lane."""
    response = starlette_client(app).get(path)
    assert set(response.text.split()) == {runtime.lane.id}
    assert response.headers.get("x-lane", runtime.lane.id) == runtime.lane.id
    assert (runtime.lane.sent, runtime.lane.response.complete) == (response.content, True)


def test_background_tasks_belong_to_the_lane(runtime: NotingRuntime, app: Any) -> None:
    """They run when the lane has ended, and inside it."""
    starlette_client(app).get("/stream")
    assert [runtime.lane.id] * 2 == LATE


def test_concurrent_requests_keep_apart(runtime: NotingRuntime, app: Any) -> None:
    """Fifty at once over real connections, each in its own lane."""
    with uvicorn_server(app) as port, ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: exchange(port, b"GET /stream HTTP/1.0\r\nHost: t\r\n\r\n"), range(50)))
    ids = [set(answer.decode().partition("\r\n\r\n")[2].split()) for answer in answers]
    assert all(len(one) == 1 for one in ids)
    assert set().union(*ids) == {lane.id for lane in runtime.lanes}
    assert sorted(filter(None, LATE)) == sorted([lane.id for lane in runtime.lanes] * 2)


def test_pipelined_requests_are_entries_of_their_own(runtime: NotingRuntime, app: Any) -> None:
    """Requests sent at once on one connection, which uvicorn starts from inside one another."""
    request = b"GET /lane HTTP/1.1\r\nHost: t\r\n\r\n"
    with uvicorn_server(app) as port:
        answer = exchange(port, request * 3 + request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert len(runtime.lanes) == 4
    assert [lane.id.encode() in answer for lane in runtime.lanes] == [True] * 4


@pytest.mark.parametrize(
    ("method", "path", "code"), [("HEAD", "/lane", 200), ("GET", "/status/204", 204), ("GET", "/status/304", 304)]
)
def test_responses_without_a_body(runtime: NotingRuntime, app: Any, method: str, path: str, code: int) -> None:
    """HEAD, 204 and 304 are complete."""
    with uvicorn_server(app) as port:
        answer = exchange(port, f"{method} {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".encode())
    assert answer.endswith(b"\r\n\r\n")
    assert (runtime.lane.response.code, runtime.lane.response.complete) == (code, True)


def test_an_unhandled_exception_is_the_same_object(runtime: NotingRuntime, app: Any) -> None:
    """The server gets the 500 and then the exception itself."""
    with pytest.raises(ZeroDivisionError, match="of the app"):
        starlette_client(app).get("/fail")
    assert (runtime.lane.response.code, runtime.lane.response.complete) == (500, True)


def test_responses_are_the_same_with_and_without_us(app: Any, request: pytest.FixtureRequest) -> None:
    """Status, headers and body of each route."""
    calls = [("/digest", "POST"), ("/file", "GET"), ("/status/404", "GET"), ("/nothing", "GET"), ("/ignore", "GET")]

    def answers() -> list[Any]:
        got = [starlette_client(app).request(method, path) for path, method in calls]
        return [(one.status_code, one.headers.multi_items(), one.content) for one in got]

    without = answers()
    noting: NotingRuntime = request.getfixturevalue("runtime")
    assert answers() == without
    seen = [(lane.response.code, lane.response.headers, lane.sent) for lane in noting.lanes]
    assert seen == without


def test_websockets_and_lifespan_are_no_entries(runtime: NotingRuntime, app: Any) -> None:
    """They work, and no lane is opened for them."""
    with starlette_client(app) as client, client.websocket_connect("/echo") as websocket:
        websocket.send_text("hello")
        assert websocket.receive_json() == ["hello", None]
    assert runtime.lanes == []


def test_a_mounted_app_stays_in_its_lane(runtime: NotingRuntime, app: Any) -> None:
    """Both apps' classes are patched; one request is one lane, with the target of the client."""
    assert starlette_client(app).get("/mounted/lane?q").text == runtime.lane.id
    assert runtime.lane.asked.target == "/mounted/lane?q"


def test_base_http_middleware_works_inside(runtime: NotingRuntime, app: Any) -> None:
    """A middleware that runs the app in a task group of its own keeps the lane, and the body."""

    async def dispatch(request: Request, call_next: Callable[..., Any]) -> Any:
        await request.body()
        return await call_next(request)

    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    body = b"x" * 1000
    assert starlette_client(app).post("/digest", content=body).text == hashlib.sha256(body).hexdigest()
    assert runtime.lane.received == body


def test_a_client_that_leaves_makes_the_response_incomplete(runtime: NotingRuntime) -> None:
    """A connection that is cut while the body streams."""
    ended = threading.Event()

    async def endless(_request: Request) -> Response:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 1000
                    await asyncio.sleep(0.01)
            finally:
                ended.set()

        return StreamingResponse(chunks())

    with uvicorn_server(Starlette(routes=[Route("/", endless)])) as port:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            while b"xxx" not in connection.recv(2000):
                pass
        assert ended.wait(10)
        assert runtime.lane.sent.startswith(b"xxx")
    assert not runtime.lane.response.complete


def test_the_middleware_of_1x_does_not_double(runtime: NotingRuntime, app: Any) -> None:
    """With the class patched as well, a request has one lane."""
    app.add_middleware(TimeTracerMiddleware, config=None)
    assert starlette_client(app).get("/lane").text == runtime.lane.id


@pytest.mark.usefixtures("runtime")
def test_the_root_path_of_fastapi_is_not_in_the_target() -> None:
    """FastAPI writes root_path into the scope; the request is seen before that."""
    seen: list[str] = []

    class Noting(NotingRuntime):
        def open_lane(self, entry: seams.Entry, bequest: object = None) -> seams.Lane | None:
            """Note the root path of that moment."""
            seen.append(given["root_path"])
            return super().open_lane(entry)

    runtime = Noting()
    seams.set_active(runtime)
    given = scope(path="/lane")
    app = fastapi_app()
    app.root_path = "/api"
    asyncio.run(serve_asgi(app, given, []))
    assert (seen, given["root_path"]) == ([""], "/api")
    assert runtime.lane.asked.target == "/lane"


def test_the_patched_classes_still_look_like_asgi_3() -> None:
    """Servers look whether ``__call__`` is a coroutine function."""
    for made in (Starlette(), FastAPI()):
        assert inspect.iscoroutinefunction(made.__call__)
        assert list(inspect.signature(made.__call__).parameters) == ["scope", "receive", "send"]


def test_a_pydantic_body_is_parsed_alike(runtime: NotingRuntime) -> None:
    """FastAPI's own body parsing sees what was sent."""
    app = FastAPI()

    @app.post("/sum")
    def total(numbers: Annotated[list[int], fastapi.Body(embed=True)]) -> int:
        return sum(numbers)

    assert starlette_client(app).post("/sum", json={"numbers": [1, 2, 3]}).json() == 6
    assert runtime.lane.received == b'{"numbers":[1,2,3]}'
