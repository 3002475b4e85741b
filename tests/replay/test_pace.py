"""A replay answers at once; at the recorded pace a call takes as long as it did."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import aiohttp
import httpx
import pytest

from timetracer_otel import config, testing
from timetracer_otel.errors import ConfigError

SECONDS = 0.4
CLIENTS = ("urllib", "httpx", "httpx-async", "aiohttp")


class LongPoll(BaseHTTPRequestHandler):
    """Answers when something happens."""

    def do_GET(self) -> None:
        """Answer late."""
        time.sleep(SECONDS)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"news")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """Of a server that answers late."""
    with ThreadingHTTPServer(("127.0.0.1", 0), LongPoll) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/poll"
        server.shutdown()


async def ask_async(client: str, url: str) -> bytes:
    """Ask by a client of asyncio."""
    if client == "aiohttp":
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return await response.read()
    async with httpx.AsyncClient() as asking:
        return (await asking.get(url)).content


def ask(client: str, url: str) -> bytes:
    """What the server says."""
    if client == "urllib":
        with urllib.request.urlopen(url) as response:  # noqa: S310 - the test's own server
            told: bytes = response.read()
        return told
    return httpx.get(url).content if client == "httpx" else asyncio.run(ask_async(client, url))


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_takes_as_long_as_recorded_where_that_is_wanted(client: str, url: str, tmp_path: Path) -> None:
    """And is the same."""
    with testing.record(tmp_path):
        assert ask(client, url) == b"news"
    begun = time.perf_counter_ns()
    with testing.replay(tmp_path, pace="recorded", nondeterminism="none"):
        assert ask(client, url) == b"news"
    assert time.perf_counter_ns() - begun >= SECONDS * 0.9e9


def test_it_is_a_setting() -> None:
    """By the environment too; anything else is refused."""
    assert config.load({}).pace == "none"
    assert config.load({"TIMETRACER_PACE": "recorded"}).pace == "recorded"
    with pytest.raises(ConfigError, match="none, recorded"):
        config.load({"TIMETRACER_PACE": "fast"})
