"""What only the clients of Tornado have: callbacks, body producers, a queue, and how far down each is recorded."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.curl_httpclient import CurlAsyncHTTPClient
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tests.http.conftest import Run
from tests.http.server import BIG, TEXT, ShapeServer
from tests.http.test_behaviour import recorded_calls
from timetracer_otel import spans, testing

SIMPLE = SimpleAsyncHTTPClient
BOTH = [SIMPLE, CurlAsyncHTTPClient]


async def fetched(kind: type[AsyncHTTPClient], request: HTTPRequest | str, **settings: Any) -> Any:
    """Fetch by a client of its own."""
    client = kind(force_instance=True, **settings)
    try:
        return await client.fetch(request)
    finally:
        client.close()


def test_each_hop_of_a_redirect_is_a_call(server: ShapeServer, tmp_path: Path) -> None:
    """The simple client's redirects are recorded hop by hop, with the cookies that each sets."""
    with testing.record(tmp_path):
        assert asyncio.run(fetched(SIMPLE, server.url + "/redirect")).code == 200
    calls = recorded_calls(tmp_path)
    assert [call.text(spans.HTTP_STATUS_LINE) for call in calls] == [
        "302 Found", "307 Temporary Redirect", "200 OK",
    ]  # fmt: skip
    headers = spans.decode_headers(calls[0].attributes, spans.HTTP_RESPONSE_HEADERS)
    (cookie,) = [value for name, value in headers if name == "Set-Cookie"]
    assert re.fullmatch(r"hop=tt1\.[\w.-]+; Path=/", cookie)  # its value is sealed


def test_bodies_are_kept_as_they_came(server: ShapeServer, tmp_path: Path) -> None:
    """What came packed is packed in the cassette; the client unpacks it in a recording as in a replay."""
    request = HTTPRequest(server.url + "/gzip", decompress_response=True)
    with testing.record(tmp_path):
        assert asyncio.run(fetched(SIMPLE, request)).body == TEXT
    (call,) = recorded_calls(tmp_path)
    assert call.payload(spans.HTTP_RESPONSE_BODY) == gzip.compress(TEXT, mtime=0)
    server.stop()
    with testing.replay(tmp_path):
        assert asyncio.run(fetched(SIMPLE, HTTPRequest(server.url + "/gzip", decompress_response=True))).body == TEXT


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("path", ["/events", "/big", "/gzip"])
def test_callbacks_see_the_same(kind: type[AsyncHTTPClient], path: str, server: ShapeServer, both: Run) -> None:
    """Streaming and header callbacks get the body and the head lines, in a recording as in a replay."""

    async def run() -> tuple[bytes, list[list[str]], bytes]:
        pieces: list[bytes] = []
        lines: list[str] = []
        request = HTTPRequest(server.url + path, streaming_callback=pieces.append, header_callback=lines.append)
        response = await fetched(kind, request)
        return b"".join(pieces), [line.split() for line in lines], response.body  # curl leaves spaces at their ends

    recorded, replayed = both(run)
    assert recorded[0]
    assert recorded[2] == b""
    assert replayed == recorded


def test_events_come_one_by_one(server: ShapeServer, both: Run) -> None:
    """Chunks come back as chunks."""

    async def run() -> list[bytes]:
        pieces: list[bytes] = []
        await fetched(SIMPLE, HTTPRequest(server.url + "/events", streaming_callback=pieces.append))
        return pieces

    recorded, replayed = both(run)
    assert recorded == replayed == [b"event: tick\ndata: %d\n\n" % number for number in range(4)]


async def _produce(write: Callable[[bytes], Any]) -> None:
    await write(b"one ")
    await write(b"two")


PRODUCER: Any = _produce  # Tornado's types know futures only


@pytest.mark.parametrize("more", [{}, {"expect_100_continue": True}], ids=["at once", "continue"])
def test_produced_bodies(more: dict[str, Any], server: ShapeServer, both: Run) -> None:
    """A body that is produced piece by piece counts when requests are compared, also after a 100-continue."""

    async def run() -> bytes:
        url = server.url + "/echo"
        response = await fetched(SIMPLE, HTTPRequest(url, method="POST", body_producer=PRODUCER, **more))
        return bytes(response.body)

    recorded, replayed = both(run)
    assert b'"body": "one two"' in recorded
    assert replayed == recorded


def test_a_produced_body_that_cannot_be_sent(server: ShapeServer, both: Run) -> None:
    """A connection that is refused before the body is produced fails the same way."""
    server.stop()

    async def run() -> bytes:
        request = HTTPRequest(server.url + "/echo", method="POST", body_producer=PRODUCER)
        return bytes((await fetched(SIMPLE, request)).body)

    recorded, replayed = both(run)
    assert isinstance(recorded[0], type)
    assert replayed == recorded


def test_calls_that_wait_in_the_queue(server: ShapeServer, both: Run) -> None:
    """More fetches at once than the client allows each get their own answer."""

    async def run() -> list[bytes]:
        client = SimpleAsyncHTTPClient(force_instance=True, max_clients=2)
        replies = await asyncio.gather(*(client.fetch(f"{server.url}/echo?n={n}") for n in range(9)))
        client.close()
        return [reply.body for reply in replies]

    recorded, replayed = both(run)
    assert [b"n=%d" % n in body for n, body in enumerate(recorded)] == [True] * 9
    assert replayed == recorded


def test_a_timeout_in_the_queue(server: ShapeServer, both: Run) -> None:
    """A fetch whose time is up before its turn comes fails the same way."""

    async def run() -> list[str]:
        client = SimpleAsyncHTTPClient(force_instance=True, max_clients=1)
        asked = {"/slow-head": 0.5, "/json": 0.1}
        fetches = [client.fetch(server.url + path, request_timeout=seconds) for path, seconds in asked.items()]
        failed = await asyncio.gather(*fetches, return_exceptions=True)
        client.close()
        return [f"{type(error).__name__}: {error}" for error in failed]

    recorded, replayed = both(run)
    assert recorded[1] == "HTTPTimeoutError: Timeout in request queue"
    assert replayed == recorded


def test_calls_within_a_streaming_callback(server: ShapeServer, both: Run) -> None:
    """What an app asks while a body streams in is a call of its own."""

    async def run() -> list[bytes]:
        inner: list[asyncio.Task[Any]] = []

        def piece(_data: bytes) -> None:
            inner.append(asyncio.ensure_future(fetched(SIMPLE, f"{server.url}/echo?n={len(inner)}")))

        await fetched(SIMPLE, HTTPRequest(server.url + "/events", streaming_callback=piece))
        return [(await task).body for task in inner]

    recorded, replayed = both(run)
    assert len(recorded) == 4
    assert replayed == recorded


def test_a_body_larger_than_allowed(server: ShapeServer, both: Run) -> None:
    """The client's own limit strikes in a replay too."""

    async def run() -> bytes:
        return bytes((await fetched(SIMPLE, server.url + "/big", max_body_size=len(BIG) - 1)).body)

    recorded, replayed = both(run)
    assert isinstance(recorded[0], type)
    assert replayed == recorded
