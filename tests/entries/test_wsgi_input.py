"""The observed ``wsgi.input``: what the app reads is what the lane keeps."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.formparser import parse_form_data

from tests.entries.doubles import NotingRuntime, environ, serve_wsgi
from timetracer_otel.families.entry import wsgi
from timetracer_otel.families.entry.wsgi_input import ObservedInput
from timetracer_otel.families.kinds.http import Request

BODY = b"first\nsecond\nthird"


class Pipe(io.RawIOBase):
    """A stream that cannot seek, and gives at most ``step`` bytes at once."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__()
        self.data = io.BytesIO(data)
        self.step = step

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Give a step at most."""
        return self.data.readinto(memoryview(buffer)[: self.step])


def observed(stream: Any, *headers: tuple[str, str]) -> tuple[Any, Request]:
    """A stream behind our proxy, and the request that it fills."""
    request = Request("POST", "/", list(headers))
    return ObservedInput(stream, request), request


CHUNKED = ("Transfer-Encoding", "chunked")

READERS: list[Callable[[Any], bytes]] = [
    lambda stream: stream.read(),
    lambda stream: stream.read(-1),
    lambda stream: b"".join(iter(lambda: stream.read(4), b"")),
    lambda stream: b"".join(iter(lambda: stream.read1(4), b"")),
    lambda stream: b"".join(iter(stream.read1, b"")),
    lambda stream: b"".join(iter(stream.readline, b"")),
    lambda stream: b"".join(iter(lambda: stream.readline(3), b"")),
    lambda stream: b"".join(stream.readlines()),
    lambda stream: b"".join(line for _ in range(4) for line in stream.readlines(1)),
    b"".join,
    lambda stream: b"".join(iter(lambda: next(stream, b""), b"")),
    lambda stream: b"".join(iter(lambda: _into(stream), b"")),
]


def _into(stream: Any) -> bytes:
    buffer = bytearray(5)
    return bytes(buffer[: stream.readinto(buffer)])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("header", [CHUNKED, ("Content-Length", str(len(BODY)))])
def test_every_way_to_read_is_seen(reader: Callable[[Any], bytes], header: tuple[str, str]) -> None:
    """Each reading method gives the same bytes as without us, and the body is complete at its end."""
    stream, request = observed(io.BytesIO(BODY), header)
    assert reader(stream) == BODY
    assert b"".join(request.body) == BODY
    assert request.complete


@pytest.mark.parametrize("reader", READERS)
def test_a_body_without_end_seen_is_incomplete(reader: Callable[[Any], bytes]) -> None:
    """Before the first read nothing is complete; a reader that got less than was announced never is."""
    stream, request = observed(io.BytesIO(BODY), ("Content-Length", "1000"))
    assert not request.complete
    stream.read(3)
    assert not request.complete
    reader(stream)
    assert b"".join(request.body) == BODY


def test_the_announced_length_ends_the_body_without_another_read() -> None:
    """An app that reads exactly Content-Length bytes has read the whole body."""
    stream, request = observed(Pipe(BODY, 100), ("Content-Length", str(len(BODY))))
    stream.read(len(BODY) - 1)
    assert not request.complete
    stream.read(1)
    assert request.complete


@pytest.mark.parametrize("headers", [[], [("Content-Length", "0")], [("Content-Length", "")]])
def test_a_request_without_a_body_is_complete_unread(headers: list[tuple[str, str]]) -> None:
    """Nothing announced, nothing missed."""
    assert observed(io.BytesIO(), *headers)[1].complete


def test_a_body_that_nobody_announced_counts_when_it_is_read() -> None:
    """A server may pass on more than the headers say; it is complete at its end."""
    stream, request = observed(io.BytesIO(BODY))
    stream.read(5)
    assert not request.complete
    stream.read()
    assert (b"".join(request.body), request.complete) == (BODY, True)


def test_reading_nothing_is_not_the_end() -> None:
    """read(0) returns no bytes at any place."""
    stream, request = observed(io.BytesIO(BODY), CHUNKED)
    assert stream.read(0) == stream.readline(0) == b""
    assert not request.complete


def test_what_is_read_twice_is_kept_once() -> None:
    """Apps go back on a seekable stream, and measure it by seeking to its end."""
    stream, request = observed(io.BytesIO(BODY), CHUNKED)
    assert stream.seek(0, 2) == stream.tell() == len(BODY)
    stream.seek(0)
    assert stream.read(7) == BODY[:7]
    stream.seek(2)
    assert stream.read(3) == BODY[2:5]
    assert stream.read() == BODY[5:]
    assert (b"".join(request.body), request.complete) == (BODY, True)


def test_a_skipped_part_makes_the_body_incomplete() -> None:
    """Bytes that the app jumped over were never seen."""
    stream, request = observed(io.BytesIO(BODY), ("Content-Length", str(len(BODY))))
    stream.seek(6)
    stream.read()
    assert not request.complete


def test_the_stream_keeps_its_class_and_its_attributes() -> None:
    """What the stream is and has is unchanged, down to what it lacks."""
    raw = Pipe(BODY, 4)
    stream, _ = observed(raw)
    assert isinstance(stream, Pipe)
    assert stream.step == 4
    assert not stream.seekable()
    assert not hasattr(stream, "read1")
    with pytest.raises(io.UnsupportedOperation):
        stream.seek(0)
    stream.close()
    assert raw.closed


def test_an_error_of_the_stream_is_the_apps() -> None:
    """A connection that breaks raises the server's own exception."""
    error = ConnectionResetError("gone")

    class Broken(io.RawIOBase):
        def read(self, _size: int = -1) -> bytes:
            raise error

    stream, request = observed(Broken(), CHUNKED)
    with pytest.raises(ConnectionResetError) as caught:
        stream.read()
    assert caught.value is error
    assert not request.complete
    assert request.left is not None
    assert request.left.during == "request"


def test_a_read_that_gets_less_than_it_asks_for_has_met_the_end() -> None:
    """The client has left, unless more comes: then it is a server that gives what it has."""
    announced = ("Content-Length", str(len(BODY)))
    stream, request = observed(io.BytesIO(BODY[:4]), announced)
    assert stream.read(len(BODY)) == BODY[:4]
    assert request.left is not None
    assert (request.complete, request.left.during) == (False, "request")
    stream, request = observed(Pipe(BODY, 4), announced)
    while stream.read(len(BODY)):
        pass
    assert (request.complete, request.left) == (True, None)


def test_what_a_stream_cannot_do_is_no_broken_connection() -> None:
    """It says so, and the app reads another way."""
    stream, request = observed(io.BufferedReader(Pipe(BODY, 4)), CHUNKED)
    with pytest.raises(io.UnsupportedOperation):
        stream.seek(0)
    assert stream.read() == BODY
    assert (request.complete, request.left) == (True, None)


@given(
    data=st.binary(max_size=60),
    reads=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["read", "readline", "readlines"]), st.integers(-1, 9)),
            st.tuples(st.just("seek"), st.integers(0, 70)),
        ),
        max_size=12,
    ),
)
def test_any_order_of_reads_returns_what_it_always_did(data: bytes, reads: list[tuple[str, int]]) -> None:
    """Every call returns the plain stream's result; what is kept is a prefix of the body, whole when complete."""
    plain = io.BytesIO(data)
    stream, request = observed(io.BytesIO(data), CHUNKED)
    for name, size in reads:
        assert getattr(stream, name)(size) == getattr(plain, name)(size)
    kept = b"".join(request.body)
    assert data.startswith(kept)
    assert not request.complete or kept == data


@pytest.mark.parametrize("seamed", [False, True])
def test_a_multipart_upload_is_parsed_alike(runtime: NotingRuntime, *, seamed: bool) -> None:
    """Werkzeug's form parser, which reads in its own way, gets every field and file."""
    body = (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n'
        + bytes(range(256))
        + b"\r\n--B--\r\n"
    )

    def app(request: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        _, form, files = parse_form_data(request)
        start("200 OK", [])
        with files["f"].stream as file:
            return [form["a"].encode(), file.read()]

    request = environ("POST", body=body, CONTENT_TYPE="multipart/form-data; boundary=B")
    events = serve_wsgi((lambda *args: wsgi.run(app, *args)) if seamed else app, request)
    assert [event[1] for event in events if event[0] == "chunk"] == [b"1", bytes(range(256))]
    assert [(lane.received, lane.asked.complete) for lane in runtime.lanes] == [(body, True)] * seamed
