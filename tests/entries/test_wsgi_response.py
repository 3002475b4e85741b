"""How a WSGI response ends: errors, clients that leave, lengths, write(), files."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import pytest

from tests.entries.doubles import NotingRuntime, environ, serve_wsgi
from tests.entries.wsgi_apps import Closing, Environ, Start, hello, seamed, streaming
from timetracer_otel.families.entry import wsgi
from timetracer_otel.seams.handover import handover


def test_an_exception_is_the_same_exception(runtime: NotingRuntime) -> None:
    """What the app raises reaches the server as the same object, with at most our frames added."""
    error = ZeroDivisionError("of the app")

    def app(_request: Environ, _start: Start) -> list[bytes]:
        raise error

    assert serve_wsgi(seamed(app), environ()) == [("error", error)]
    assert error.__context__ is None
    assert error.__cause__ is None
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names == ["serve_wsgi", "<lambda>", "run", "app"]
    assert runtime.lane.ends == [(None, error)]


def test_an_exception_in_a_step_ends_the_lane(runtime: NotingRuntime) -> None:
    """A body that fails in its middle is an incomplete response with that error."""
    error = ValueError("second chunk")

    def fail() -> bytes:
        raise error

    events = serve_wsgi(seamed(streaming(lambda: b"one", fail)), environ())
    assert events[-1] == ("error", error)
    assert (runtime.lane.sent, runtime.lane.response.complete, runtime.lane.error) == (b"one", False, error)


def test_an_exception_in_close_reaches_the_server(runtime: NotingRuntime) -> None:
    """close() of the app may raise; the server gets that, and the lane too."""
    error = ValueError("closing")

    def fail() -> None:
        raise error

    def app(_request: Environ, start: Start) -> Closing:
        start("200 OK", [])
        return Closing([b"x"], fail)

    assert serve_wsgi(seamed(app), environ())[-1] == ("close error", error)
    assert serve_wsgi(seamed(app), environ(), at_most=1)[-1] == ("close error", error)
    whole, broken = runtime.lanes
    assert (whole.error, whole.response.complete) == (None, True)
    assert (broken.error, broken.response.complete) == (error, False)


def test_an_exception_when_iteration_begins_reaches_the_server(runtime: NotingRuntime) -> None:
    """An app that returns what cannot be iterated fails where it always did."""
    events = serve_wsgi(seamed(lambda *_: None), environ())
    kind, error = events[-1]
    assert (kind, type(error)) == ("error", TypeError)
    assert runtime.lane.error is error


def test_a_client_that_leaves_makes_the_response_incomplete(runtime: NotingRuntime) -> None:
    """The server closes before the end: the generator sees GeneratorExit, the lane what was sent."""
    left: list[type[BaseException]] = []

    def app(_request: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        try:
            yield b"one"
            yield b"two"
        except GeneratorExit:
            left.append(GeneratorExit)
            raise

    serve_wsgi(seamed(app), environ(), at_most=1)
    assert left == [GeneratorExit]
    assert (runtime.lane.sent, runtime.lane.response.complete, runtime.lane.error) == (b"one", False, None)


def test_a_body_of_the_announced_length_is_complete(runtime: NotingRuntime) -> None:
    """Servers need not ask for more than Content-Length: the lane has ended when the last of it leaves."""

    def app(_request: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [("Content-Length", "6")])
        yield b"one"
        yield b"two"

    body = iter(wsgi.run(app, environ(), lambda *_: None))
    assert (next(body), runtime.lane.ends) == (b"one", [])
    assert next(body) == b"two"
    assert (runtime.lane.sent, runtime.lane.response.complete) == (b"onetwo", True)


@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified")]
)
def test_responses_without_a_body_are_complete(runtime: NotingRuntime, method: str, status: str) -> None:
    """HEAD, 204 and 304 need no body, even when the server never asks for one."""

    def app(_request: Environ, start: Start) -> Iterator[bytes]:
        start(status, [("Content-Length", "5")])
        return iter([b""])

    wsgi.run(app, environ(method), lambda *_: None).close()
    assert runtime.lane.response.complete


def test_write_is_seen_and_comes_before_the_body(runtime: NotingRuntime) -> None:
    """The write() callable of PEP 3333 works, and its bytes are part of the body."""

    def app(_request: Environ, start: Start) -> list[bytes]:
        write = start("200 OK", [])
        write(b"w1")
        write(b"w2")
        return [b"body"]

    events = serve_wsgi(seamed(app), environ())
    assert [event[1] for event in events if event[0] in {"write", "chunk"}] == [b"w1", b"w2", b"body"]
    assert runtime.lane.sent == b"w1w2body"


def test_a_second_start_with_exc_info_replaces_the_head(runtime: NotingRuntime) -> None:
    """exc_info reaches the server unchanged, positional or by name, and the lane keeps the later head."""
    error = ValueError("late")

    def app(_request: Environ, start: Start) -> list[bytes]:
        start("200 OK", [("A", "1")])
        try:
            raise error
        except ValueError:
            start("500 Oops", [("B", "2")], sys.exc_info())
            start("500 Oops", [("B", "2")], exc_info=sys.exc_info())
        return [b"sorry"]

    events = serve_wsgi(seamed(app), environ())
    assert [event[3] for event in events if event[0] == "start"] == [None, error, error]
    assert (runtime.lane.response.code, runtime.lane.response.headers) == (500, [("B", "2")])


def test_a_refused_start_is_not_the_response(runtime: NotingRuntime) -> None:
    """A server raises exc_info when the head is out already: then the first head was sent."""

    def strict(_status: str, _headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        if exc_info:
            raise exc_info[1]

    def app(_request: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"out"
        start("500 Oops", [], (ValueError, ValueError("late"), None))

    body = iter(wsgi.run(app, environ(), strict))
    next(body)
    with pytest.raises(ValueError, match="late"):
        next(body)
    assert (runtime.lane.response.status, runtime.lane.response.complete) == ("200 OK", False)


def test_headers_changed_later_are_seen_as_they_were(runtime: NotingRuntime) -> None:
    """A server that rewrites the app's header list does not rewrite ours."""

    def rewrite(_status: str, headers: list[tuple[str, str]]) -> None:
        headers.append(("Server", "x"))

    wsgi.run(hello, environ(), rewrite)
    assert runtime.lane.response.headers == [("Content-Type", "text/plain")]


def test_the_wrapped_body_has_a_length_only_when_the_apps_has(runtime: NotingRuntime) -> None:
    """Servers make a Content-Length of a body of one chunk, so len() must be what it was."""

    class Sized(Closing):
        def __len__(self) -> int:
            return len(self.chunks)

    def app(kind: type[Closing]) -> Callable[..., Closing]:
        return lambda _request, _start: kind([b"x"], lambda: None)

    assert len(wsgi.run(app(Sized), environ(), lambda *_: None)) == 1
    with pytest.raises(TypeError):
        len(wsgi.run(app(Closing), environ(), lambda *_: None))
    assert len(runtime.lanes) == 2


def test_a_file_wrapper_is_sent_and_closed(runtime: NotingRuntime) -> None:
    """wsgi.file_wrapper gives the same chunks, and its file is closed."""
    file = io.BytesIO(b"x" * 10)

    def app(request: Environ, start: Start) -> Any:
        start("200 OK", [])
        return request["wsgi.file_wrapper"](file, 4)

    events = serve_wsgi(seamed(app), environ(**{"wsgi.file_wrapper": FileWrapper}))
    assert [event[1] for event in events if event[0] == "chunk"] == [b"xxxx", b"xxxx", b"xx"]
    assert file.closed
    assert (runtime.lane.sent, runtime.lane.response.complete) == (b"x" * 10, True)


@pytest.mark.parametrize("chunks", [(b"", b"one", b"two"), ()])
def test_a_response_leaves_with_its_first_bytes(
    runtime: NotingRuntime, monkeypatch: pytest.MonkeyPatch, chunks: tuple[bytes, ...]
) -> None:
    """A debugger may go back until then: the server holds the head back. Told once, at the end when all is empty."""
    told: list[str] = []
    monkeypatch.setattr(handover, "began", told.append)

    def app(_request: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        return iter(chunks)

    body = iter(seamed(app)(environ(), lambda *_: lambda _: None))
    assert told == []
    for chunk in body:
        assert told == (["200 OK"] if chunk else [])
    assert told == ["200 OK"]
    assert runtime.lane.response.complete


@pytest.mark.parametrize("begins", ["is called", "is asked for the first piece"])
def test_a_response_that_was_begun_and_failed_before_its_first_piece_is_none(
    runtime: NotingRuntime, begins: str
) -> None:
    """A server has held its head back (PEP 3333), and answers by itself."""

    def fail() -> bytes:
        raise ValueError("nothing comes")

    def app(request: Environ, start: Start) -> Iterator[bytes]:
        body = streaming(fail)(request, start)
        return iter([next(body)]) if begins == "is called" else body

    serve_wsgi(seamed(app), environ())
    assert runtime.lane.asked.response is None
    assert isinstance(runtime.lane.error, ValueError)
