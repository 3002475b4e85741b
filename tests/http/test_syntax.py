"""Peers that break the rules: every client sees in a replay what it saw, the same result or the same exception."""

from __future__ import annotations

import contextlib
import http.client
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
from opentelemetry.instrumentation.urllib import URLLibInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from tests.http.conftest import Run
from tests.http.server import ShapeServer
from tests.http.syntax import SYNTAX
from timetracer_otel import testing

TIMEOUT = 5


def _urllib(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310 - a test's own http: URL
        headers = response.headers
        defects = list(map(type, headers.defects))
        return response.status, response.reason, headers.items(), defects, response.read1(4), response.read()


def _http_client(url: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", int(url.split(":")[2].partition("/")[0]), timeout=TIMEOUT)
    with contextlib.closing(connection):
        connection.request("GET", url)
        response = connection.getresponse()
        return response.status, response.chunked, response.length, response.read1(6), response.read()


def _urllib3(url: str) -> Any:
    response = urllib3.request("GET", url, retries=False, timeout=TIMEOUT)
    return response.status, response.reason, list(response.headers.items()), response.data


def _requests(url: str) -> Any:
    response = requests.get(url, timeout=TIMEOUT, stream=True)
    return response.status_code, response.reason, dict(response.headers), list(response.iter_content(3))


def _httpx(url: str) -> Any:
    with httpx.Client(trust_env=False, timeout=TIMEOUT) as client:
        response = client.get(url)
        return response.status_code, response.reason_phrase, response.headers.raw, response.content


async def _httpx_async(url: str) -> Any:
    async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT) as client:
        response = await client.get(url)
        return response.status_code, response.reason_phrase, response.headers.raw, response.content


async def _aiohttp(url: str) -> Any:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
        if url.endswith(("size-is-a-word-later", "switching")):  # iter_chunks never ends there, live neither
            chunks: list[Any] = [await response.read()]
        else:
            chunks = [pair async for pair in response.content.iter_chunks()]
        return response.status, response.reason, response.raw_headers, chunks


async def _tornado(url: str) -> Any:
    client = SimpleAsyncHTTPClient(force_instance=True)
    response = await client.fetch(HTTPRequest(url, request_timeout=TIMEOUT), raise_error=False)
    headers = list(response.headers.get_all())
    return response.code, response.reason, headers, _of(response.error), response.error is None and response.body


CLIENTS: list[Callable[[str], Any]] = [
    _urllib, _http_client, _urllib3, _requests, _httpx, _httpx_async, _aiohttp, _tornado
]  # fmt: skip


def _of(error: BaseException | None) -> Any:
    """What an app can see of an exception; where objects show their address, only their class."""
    if error is None:
        return None
    args = [
        value if isinstance(value, str | int | bytes) and "0x" not in str(value) else type(value)
        for value in error.args
    ]
    text = "" if "0x" in str(error) else str(error)
    return type(error), text, args, _of(error.__cause__)


@pytest.mark.system
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__.strip("_"))
def test_a_peer_that_breaks_the_rules(client: Callable[[str], Any], server: ShapeServer, both: Run) -> None:
    """Status, headers, body in its pieces, or class, text and arguments of the exception are as they were live."""

    async def run() -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name in SYNTAX:
            try:
                result = client(f"{server.url}/syntax?{name}")
                seen[name] = await result if hasattr(result, "__await__") else result
            except Exception as error:  # noqa: BLE001 - what is raised is what is compared
                seen[name] = _of(error)
        return seen

    recorded, replayed = both(run)
    assert len(recorded) == len(SYNTAX)
    assert {name: replayed[name] for name in SYNTAX} == recorded
    assert recorded["usual"][0] == 200


def _urllib3_anew(url: str) -> Any:
    with urllib3.PoolManager(retries=False, timeout=TIMEOUT) as pool:
        response = pool.request("GET", url)
        return response.status, list(response.headers.items()), response.data


LENGTHS = ("usual", "length-is-a-word", "length-is-nothing", "length-twice-in-one", "two-equal-lengths")


@pytest.mark.parametrize(
    ("client", "instrumentor"), [(_urllib, URLLibInstrumentor), (_urllib3_anew, URLLib3Instrumentor)]
)
def test_a_length_that_is_no_number_is_the_clients_to_judge(
    client: Callable[[str], Any], instrumentor: Any, server: ShapeServer, tmp_path: Path
) -> None:
    """OpenTelemetry's instrumentors measure responses by it, and raised a ValueError of theirs."""

    def seen() -> list[Any]:
        return [client(f"{server.url}/syntax?{name}") for name in LENGTHS]

    plain = seen()
    instrumentor().instrument()
    try:
        with testing.record(tmp_path):
            assert seen() == plain
    finally:
        instrumentor().uninstrument()
