"""Django's two handlers behind the seam, and OpenTelemetry's instrumentor in front of the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from opentelemetry.instrumentation.django import DjangoInstrumentor

from tests.entries.bodies import KINDS, chunked_request, plain_request
from tests.entries.doubles import NotingRuntime, exchange, here, uvicorn_server, werkzeug_server
from timetracer_otel.integrations.django import TimeTracerMiddleware

pytestmark = pytest.mark.usefixtures("patched")


def digest_of(body: bytes) -> bytes:
    """Give what the first view answers."""
    return hashlib.sha256(body).hexdigest().encode()


def digest(request: HttpRequest) -> HttpResponse:
    """Give the digest of the body."""
    return HttpResponse(digest_of(request.body))


def stream(_request: HttpRequest) -> StreamingHttpResponse:
    """Give the lane of each step."""

    def chunks() -> Iterator[str]:
        for _ in range(3):
            yield f"{here()}\n"

    return StreamingHttpResponse(chunks())


urlpatterns = [path("digest", digest), path("stream", stream)]
_MIDDLEWARE = ["timetracer_otel.integrations.django.TimeTracerMiddleware"]


@pytest.fixture(autouse=True, scope="module")
def _settings() -> None:
    """Settings of this process; Django has them once."""
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
        MIDDLEWARE=[*_MIDDLEWARE],
        ROOT_URLCONF=__name__,
        SECRET_KEY="of the tests",
    )


Serve = Callable[[], AbstractContextManager[int]]


@pytest.fixture(params=["wsgi", "asgi"])
def serve(request: pytest.FixtureRequest) -> Serve:
    """Each kind of handler, behind a server."""
    if request.param == "wsgi":
        return lambda: werkzeug_server(get_wsgi_application())
    return lambda: uvicorn_server(get_asgi_application(), lifespan="off")


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_reaches_the_view_unchanged(runtime: NotingRuntime, serve: Serve, kind: str) -> None:
    """Over a real connection, with a length, every kind of body is the view's and the lane's."""
    body = KINDS[kind][1]
    with serve() as port:
        assert digest_of(body) in exchange(port, plain_request("/digest", kind))
    assert (runtime.lane.received, runtime.lane.asked.complete, runtime.lane.response.complete) == (body, True, True)


def test_replay_gives_the_view_the_same_body(replay: NotingRuntime, serve: Serve) -> None:
    """In replay the body is read ahead, and then the view reads it."""
    bodies = [body for _, body in KINDS.values()]
    with serve() as port:
        answers = [exchange(port, plain_request("/digest", kind)) for kind in KINDS]
    assert all(digest_of(body) in answer for body, answer in zip(bodies, answers, strict=True))
    assert replay.bodies == bodies


def test_chunks_arrive_by_asgi(runtime: NotingRuntime) -> None:
    """Django reads a body without a length by ASGI only."""
    body = KINDS["json"][1]
    with uvicorn_server(get_asgi_application(), lifespan="off") as port:
        assert digest_of(body) in exchange(port, chunked_request("/digest", "json"))
    assert runtime.lane.received == body


def test_calls_of_a_stream_belong_to_its_lane(runtime: NotingRuntime, serve: Serve) -> None:
    """Each step of a streaming response runs in the lane; the process is outside again afterwards."""
    with serve() as port:
        answer = exchange(port, b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.count(runtime.lane.id.encode()) == 3
    assert runtime.lane.sent.count(runtime.lane.id.encode()) == 3
    assert here() is None


def test_the_middleware_is_no_step_of_its_own() -> None:
    """It sets up, and gives back what comes next, plain or async."""

    def view(_request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    assert TimeTracerMiddleware(view) is view


def test_the_instrumentor_waits_for_a_handler(runtime: NotingRuntime) -> None:
    """It adds its middleware when the first handler loads them: the project's settings are known by then."""
    assert runtime.lanes == []
    instrumentor: Any = DjangoInstrumentor()
    instrumentor.uninstrument()  # whatever other tests of this process left
    try:
        instrumentor.instrument(skip_dep_check=True)
        assert settings.MIDDLEWARE == _MIDDLEWARE
        get_wsgi_application()
        assert settings.MIDDLEWARE[1:] == _MIDDLEWARE
    finally:
        instrumentor.uninstrument()
    assert settings.MIDDLEWARE == _MIDDLEWARE


def test_an_instrumentor_that_waits_is_taken_back(runtime: NotingRuntime) -> None:
    """Then no handler turns it on."""
    assert runtime.lanes == []
    instrumentor: Any = DjangoInstrumentor()
    instrumentor.instrument(skip_dep_check=True)
    instrumentor.uninstrument()
    get_wsgi_application()
    assert settings.MIDDLEWARE == _MIDDLEWARE
