"""Recording and replay while a body passes: nothing is pulled ahead, nothing piles up, what is not read is not kept."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import tracemalloc
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3

from tests.http.clients import CLIENTS
from tests.http.conftest import Run, observed
from tests.http.server import BIG, ShapeServer
from tests.http.shapes import Shape
from tests.http.test_behaviour import recorded_calls
from tests.support.commands import OTEL, REPLAY
from timetracer_otel import spans, testing
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.families.http.messages import CHUNKS


class Tap:
    """A raw server that sends one byte of body at each :meth:`drop`, so that a test sees who reads ahead."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._connected = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        self._peer, _ = self._listener.accept()
        self._peer.recv(65536)
        self._peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._connected.set()

    def drop(self, data: bytes = b"x") -> None:
        """Send one chunk."""
        assert self._connected.wait(5)
        self._peer.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """Send the last chunk, and close."""
        self._peer.sendall(b"0\r\n\r\n")
        self._peer.close()
        self._listener.close()


def test_each_piece_is_there_before_the_next_is_sent_requests(tmp_path: Path) -> None:
    """A streamed response of requests gives each chunk as soon as the server sent it."""
    tap = Tap()
    with testing.record(tmp_path), requests.get(tap.url, stream=True, timeout=5) as response:
        chunks = response.iter_content(None)
        for number in range(3):
            tap.drop(b"%d" % number)
            assert next(chunks) == b"%d" % number
        tap.end()
        assert list(chunks) == []
    with testing.replay(tmp_path), requests.get(tap.url, stream=True, timeout=5) as response:
        assert list(response.iter_content(None)) == [b"0", b"1", b"2"]


def test_each_piece_is_there_before_the_next_is_sent_httpx(tmp_path: Path) -> None:
    """A streamed response of httpx gives each chunk as soon as the server sent it."""
    tap = Tap()
    with testing.record(tmp_path), httpx.stream("GET", tap.url) as response:
        chunks = response.iter_raw()
        for number in range(3):
            tap.drop(b"%d" % number)
            assert next(chunks) == b"%d" % number
        tap.end()
        assert list(chunks) == []
    with testing.replay(tmp_path), httpx.stream("GET", tap.url) as response:
        assert list(response.iter_raw()) == [b"0", b"1", b"2"]


async def test_each_piece_is_there_before_the_next_is_sent_aiohttp(tmp_path: Path) -> None:
    """A streamed response of aiohttp gives each chunk as soon as the server sent it."""
    tap = Tap()
    with testing.record(tmp_path):
        async with aiohttp.ClientSession() as session, session.get(tap.url) as response:
            for number in range(3):
                await asyncio.to_thread(tap.drop, b"%d" % number)
                assert (await response.content.readchunk())[0] == b"%d" % number
            tap.end()
            assert await response.read() == b""
    with testing.replay(tmp_path):
        async with aiohttp.ClientSession() as session, session.get(tap.url) as response:
            chunks = [chunk async for chunk, _ in response.content.iter_chunks()]
    assert [chunk for chunk in chunks if chunk] == [b"0", b"1", b"2"]


def test_events_keep_their_chunks(server: ShapeServer, both: Run) -> None:
    """Server-Sent Events come back event by event."""

    def chunks() -> list[bytes]:
        response = urllib3.request("GET", server.url + "/events", preload_content=False)
        return list(response.read_chunked())

    recorded, replayed = both(chunks)
    assert recorded == replayed == [b"event: tick\ndata: %d\n\n" % number for number in range(4)]


EVENTS = [b"event: tick\ndata: %d\n\n" % number for number in range(4)]


def _by_httpx(url: str) -> list[bytes]:
    with httpx.stream("GET", url) as response:
        return list(response.iter_raw())


async def _by_httpx_async(url: str) -> list[bytes]:
    async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
        return [piece async for piece in response.aiter_raw()]


def _by_requests(url: str) -> list[bytes]:
    with requests.get(url, stream=True, timeout=5) as response:
        return list(response.iter_content(None))


def _by_urllib(url: str) -> list[bytes]:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - the test's own http: URL
        return list(iter(response.read1, b""))


async def _by_aiohttp(url: str) -> list[bytes]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return [piece async for piece, _ in response.content.iter_chunks() if piece]


@pytest.mark.parametrize("client", [_by_httpx, _by_httpx_async, _by_requests, _by_urllib, _by_aiohttp])
def test_events_come_one_by_one(client: Callable[[str], Any], server: ShapeServer, both: Run) -> None:
    """Of every client: an event is a piece, when recorded as in a replay."""
    recorded, replayed = both(lambda: client(server.url + "/events"))
    assert recorded == replayed == EVENTS


@pytest.mark.parametrize("name", ["requests", "urllib3", "urllib", "aiohttp"])
def test_trailers_and_times_of_chunks_are_kept(name: str, server: ShapeServer, tmp_path: Path) -> None:
    """Trailers, and when each chunk came, are in the cassette of every client that reads trailers at all."""
    with testing.record(tmp_path):
        observed(lambda: CLIENTS[name](server.url, Shape("chunked", "/chunked")))
    (call,) = recorded_calls(tmp_path)
    chunks = json.loads(call.text(CHUNKS) or "[]")
    assert spans.decode_headers(call.attributes, spans.HTTP_RESPONSE_TRAILERS) == [("X-Sum", "13")]
    assert [length for _, length in chunks] == [5, 7, 1]
    assert [moment for moment, _ in chunks] == sorted(moment for moment, _ in chunks)


def test_partly_read(server: ShapeServer, both: Run) -> None:
    """An app that reads the beginning of a body gets the same beginning."""

    def beginning() -> bytes:
        response = urllib3.request("GET", server.url + "/big", preload_content=False)
        try:
            return response.read(1000)
        finally:
            response.close()

    recorded, replayed = both(beginning)
    assert recorded == replayed == BIG[:1000]


def test_reading_further_than_recorded(server: ShapeServer, tmp_path: Path) -> None:
    """A replay that reads on where the recording stopped says so; it makes nothing up."""

    def beginning(count: int) -> bytes:
        with urllib3.request("GET", server.url + "/big", preload_content=False) as response:
            data = response.read(count)
            response.close()
            return data

    with testing.record(tmp_path):
        beginning(100)
    with testing.replay(tmp_path) as replay, pytest.raises(ReplayMiss, match="stopped reading"):
        beginning(2_000_000)
    assert len(replay.outcome().misses) == 1


def _some_by_urllib3(url: str, count: int) -> int:
    with urllib3.request("GET", url, preload_content=False) as response:
        read = sum(len(response.read(1000)) for _ in range(count))
        response.close()
        return read


def _some_by_httpx(url: str, count: int) -> int:
    with httpx.stream("GET", url) as response:
        return sum(len(piece) for piece, _ in zip(response.iter_raw(1000), range(count), strict=False))


def _some_by_httpx_async(url: str, count: int) -> int:
    async def ask() -> int:
        read = 0
        async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
            pieces = response.aiter_raw(1000)
            for _ in range(count):
                read += len(await anext(pieces))
                await asyncio.sleep(0.01)
        return read

    return asyncio.run(ask())


def _some_by_aiohttp(url: str, count: int) -> int:
    async def ask() -> int:
        read = 0
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            for _ in range(count):
                read += len(await response.content.read(1000))
                await asyncio.sleep(0.01)
            response.close()
        return read

    return asyncio.run(ask())


@pytest.mark.system
@pytest.mark.parametrize("client", [_some_by_urllib3, _some_by_httpx, _some_by_httpx_async, _some_by_aiohttp])
def test_reading_as_far_as_recorded(client: Callable[[str, int], int], server: ShapeServer, tmp_path: Path) -> None:
    """Of every client: who stops where the recording stopped misses nothing; who reads on is counted as one miss."""
    with testing.record(tmp_path):
        recorded = client(server.url + "/big", 3)
    with testing.replay(tmp_path) as replay:
        assert client(server.url + "/big", 3) == recorded
    assert replay.outcome().misses == []
    with testing.replay(tmp_path) as replay, pytest.raises(ReplayMiss, match="stopped reading"):
        client(server.url + "/big", len(BIG))
    assert len(replay.outcome().misses) == 1


_OPEN = {
    "urllib": "r = urllib.request.urlopen(url); print(r.read(10))",
    "urllib3": "r = urllib3.request('GET', url, preload_content=False); print(r.read(10))",
    "requests": "r = requests.get(url, stream=True); print(next(r.iter_content(10)))",
    "httpx": "c = httpx.Client(); r = c.send(c.build_request('GET', url), stream=True); print(next(r.iter_raw(10)))",
    "aiohttp": (
        "async def main():\n"
        "    global s, r\n"
        "    s = aiohttp.ClientSession()\n"
        "    r = await s.get(url)\n"
        "    print(await r.content.readexactly(10))\n"
        "asyncio.run(main())"
    ),
}


@pytest.mark.system
@pytest.mark.parametrize(
    "without",
    [
        pytest.param("", id="theirs"),
        pytest.param(
            ",urllib,urllib3,requests,httpx,aiohttp-client", id="ours", marks=pytest.mark.system
        ),  # half a minute
    ],
)
@pytest.mark.parametrize("name", _OPEN)
def test_program_that_ends_with_an_open_response(name: str, without: str, server: ShapeServer, tmp_path: Path) -> None:
    """What a program read of a response that it never closed is recorded when it ends, and nothing is said of it."""
    imports = f"import asyncio, sys, {'urllib.request' if name == 'urllib' else name}\nurl = sys.argv[1]\n"
    program = [sys.executable, "-c", imports + _OPEN[name], server.url + "/big"]
    disabled = os.environ["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] + without
    env = {**os.environ, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": disabled, "TIMETRACER_DIR": str(tmp_path)}

    def run(*command: str) -> str:
        ran = subprocess.run([*command, *program], env=env, capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "timetracer could not" not in ran.stderr
        return ran.stdout

    recorded = run(*OTEL, "--traces_exporter", "timetracer")
    assert str(BIG[:10]) in recorded
    server.stop()
    assert run(*REPLAY, str(tmp_path), "--") == recorded


def test_generator_uploads(server: ShapeServer, both: Run) -> None:
    """Bodies from generators, sync and async, are sent as they are made and count when compared."""

    def pieces() -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    async def apieces() -> AsyncIterator[bytes]:
        yield b"three "
        yield b"four"

    url = server.url + "/echo"

    def blocking() -> list[Any]:
        return [requests.post(url, data=pieces(), timeout=5).json(), httpx.post(url, content=pieces()).json()]

    async def uploads() -> list[Any]:
        seen = await asyncio.to_thread(blocking)
        async with httpx.AsyncClient() as client, aiohttp.ClientSession() as session:
            seen.append((await client.post(url, content=apieces())).json())
            async with session.post(url, data=apieces()) as response:
                seen.append(await response.json())
        return seen

    recorded, replayed = both(uploads)
    assert [one["body"] for one in recorded] == ["one two", "one two", "three four", "three four"]
    assert replayed == recorded


def test_file_uploads(server: ShapeServer, both: Run, tmp_path: Path) -> None:
    """Multipart bodies match although their boundary is random, and files although they are read in blocks."""
    file = tmp_path / "file.bin"
    file.write_bytes(bytes(range(256)) * 100)

    def uploads() -> list[int]:
        url, fields = server.url + "/echo", {"a": "1"}
        with file.open("rb") as one, file.open("rb") as two, file.open("rb") as three:
            return [
                requests.post(url, files={"f": one}, data=fields, timeout=5).status_code,
                httpx.post(url, files={"f": two}, data=fields).status_code,
                urllib3.request("PUT", url, body=three).status,
            ]

    recorded, replayed = both(uploads)
    assert recorded == replayed == [200, 200, 200]


class _Flood(Tap):
    """Sends a body of many megabytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        super().__init__()

    def _accept(self) -> None:
        self._peer, _ = self._listener.accept()
        self._peer.recv(65536)
        self._peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self._size)
        block = os.urandom(1 << 20)
        for _ in range(self._size >> 20):
            self._peer.sendall(block)
        self._peer.close()
        self._listener.close()


def _downloaded(url: str, after_each: Callable[[], object] = lambda: None) -> int:
    response = urllib3.request("GET", url, preload_content=False)
    total = 0
    for block in response.stream(65536):
        total += len(block)
        after_each()
    return total


def test_memory_of_a_large_download_stays_bounded(tmp_path: Path) -> None:
    """Of 64 MB that pass, a recording never holds more than a few; all of them replay."""
    size = 64 << 20
    flood = _Flood(size)
    held: list[int] = []
    with testing.record(tmp_path):
        tracemalloc.start()
        total = _downloaded(flood.url, lambda: held.append(tracemalloc.get_traced_memory()[0]))
        tracemalloc.stop()
    assert total == size
    assert max(held) < 12 << 20
    with testing.replay(tmp_path):
        assert _downloaded(flood.url) == size
