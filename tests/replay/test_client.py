"""A recorded request goes out as it came in, and its response is read."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from timetracer_otel import spans
from timetracer_otel.cassette.model import Kind, Span
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.verifying.client import Target, parse_url, recorded_request
from timetracer_otel.replay.verifying.process import App
from timetracer_otel.replay.verifying.sending import send


def entry(method: str, target: str, headers: list[tuple[str, str]], body: bytes = b"") -> Span:
    """A recorded request."""
    attributes: dict[str, object] = {
        spans.HTTP_METHOD: method,
        spans.HTTP_TARGET: target,
        **spans.encode_headers(spans.HTTP_REQUEST_HEADERS, headers),
        **spans.encode_payload(spans.HTTP_REQUEST_BODY, body),
    }
    return Span("1", "2", None, "n", Kind.SERVER, 0, 1, attributes, {})


@contextmanager
def server(answer: bytes) -> Iterator[tuple[Target, list[bytes]]]:
    """Answer one connection, and keep what it said."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.settimeout(5)
                data = connection.recv(65536)
                heard.append(data)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Target("127.0.0.1", listening.getsockname()[1]), heard
        thread.join()


def test_headers_go_out_in_order_with_duplicates() -> None:
    """Method, target and headers are the recorded ones, byte for byte: an app may give its headers back."""
    headers = [
        ("Host", "shop.example"),
        ("X-One", "1"),
        ("x-two", "é"),
        ("X-One", "again"),
        ("Connection", "keep-alive"),
        ("TE", "trailers"),
    ]
    request = recorded_request(entry("PATCH", "/a%2Fb?q=\xe9&q=", headers), "lane", [])
    assert request.head == (
        "PATCH /a%2Fb?q=\xe9&q= HTTP/1.1\r\nHost: shop.example\r\nX-One: 1\r\nx-two: é\r\nX-One: again\r\n"
        "Connection: keep-alive\r\nTE: trailers\r\nx-timetracer-lane: lane\r\n\r\n"
    ).encode("latin-1")


def test_no_other_protocol_is_asked_for() -> None:
    """What would begin one is left out, and so is what names it."""
    headers = [("Host", "a"), ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AA")]
    head = recorded_request(entry("GET", "/", [*headers, ("Expect", "100-continue")]), "lane", []).head
    assert head == b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-timetracer-lane: lane\r\n\r\n"


@pytest.mark.parametrize(
    ("recorded", "sent", "body"),
    [
        ([("Content-Length", "5")], "Content-Length: 5", b"hello"),
        ([("Transfer-Encoding", "chunked")], "Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
        ([], "Content-Length: 5", b"hello"),
    ],
)
def test_body_goes_out_as_it_came(recorded: list[tuple[str, str]], sent: str, body: bytes) -> None:
    """With its length or in chunks."""
    request = recorded_request(entry("POST", "/", recorded, b"hello"), "lane", [])
    assert f"\r\n{sent}\r\n" in request.head.decode("latin-1")
    assert request.body == body


def test_given_header_takes_the_place_of_the_recorded_one() -> None:
    """A masked Authorization is replaced, whatever its spelling."""
    request = recorded_request(
        entry("GET", "/", [("authorization", "Bearer [redacted]")]), "lane", [("Authorization", "Bearer x")]
    )
    assert b"redacted" not in request.head
    assert b"Authorization: Bearer x\r\n" in request.head


def test_response_is_read_without_its_transfer_coding() -> None:
    """Duplicates and order of headers stay, chunks are joined."""
    answer = (
        b"HTTP/1.1 200 OK\r\nB: 1\r\nA: 2\r\nB: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    with server(answer) as (target, heard):
        reply = send(target, recorded_request(entry("GET", "/", []), "lane", []), 5, lambda _stay, _until: None)
    assert (reply.status, reply.headers[:3], reply.body) == (200, [("B", "1"), ("A", "2"), ("B", "3")], b"abcde")
    assert heard[0].startswith(b"GET / HTTP/1.1\r\nHost: localhost\r\n")


@pytest.mark.parametrize("url", ["https://a:1", "http://:1", "http://a:99999999", "http://a:x"])
def test_url_that_cannot_be_asked_is_refused(url: str) -> None:
    """Only http with a host and a port."""
    with pytest.raises(ConfigError, match="--url"):
        parse_url(url)


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler], ids=["background job", "terminal"])
def test_listening_child_is_found_and_ended(tmp_path: Path, handler: Any) -> None:
    """The port is found although a child of the command listens, and nothing listens when it has ended."""
    child = "import socket,time; s=socket.create_server(('127.0.0.1',0)); time.sleep(60)"
    parent = f"import subprocess,sys; subprocess.run([sys.executable, '-c', {child!r}])"
    script = tmp_path / "parent.py"
    script.write_text(parent)
    before = signal.signal(signal.SIGINT, handler)
    try:
        with App([sys.executable, str(script)], dict(os.environ), tmp_path / "log") as app:
            target = app.wait_listening(30)
            assert target is not None, app.said()
            socket.create_connection((target.host, target.port), timeout=5).close()
    finally:
        signal.signal(signal.SIGINT, before)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((target.host, target.port), timeout=5).close()
