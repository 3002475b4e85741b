"""The shapes of the integration suites of vcrpy, as a list, with our test of each; and those that are only here."""

from __future__ import annotations

import asyncio
import http.client
import io
import re
import socket
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.http.conftest import Run, observed
from tests.http.server import ShapeServer
from timetracer_otel import testing

COVERED = {
    # requests
    "status, headers, body, effective URL, redirects hop by hop, gzip": "test_contract.test_exchange",
    "a JSON content type without a body": "test_vcrpy_shapes.test_a_content_type_without_a_body",
    "basic authentication that succeeds and that fails": "test_vcrpy_shapes.test_basic_authentication",
    "a digest challenge": "test_behaviour.test_auth_challenges",
    "a form": "test_contract.test_exchange",
    "a form that is not ASCII": "test_vcrpy_shapes.test_a_form_that_is_not_ascii",
    "an upload from an iterator, chunked": "test_streaming.test_generator_uploads",
    "an upload of a file": "test_streaming.test_file_uploads",
    "the raw stream": "test_vcrpy_shapes.test_the_raw_stream",
    "http and https of one path": "test_tls.test_plain_and_secured_are_two_peers",
    "a session whose server closes each connection": "test_vcrpy_shapes.test_connections_that_are_closed",
    "certificates that are not verified": "test_tls.test_not_verified",
    "a session from before, and used afterwards": "test_vcrpy_shapes.test_clients_from_before_and_afterwards",
    "the same call twice": "test_behaviour.test_the_same_call_again_gets_the_next_answer",
    "a masked form field": "not offered: bodies are kept as they are",
    "one recording within another": "not offered: a process has one",
    # httpx
    "names of headers in any case, elapsed, JSON": "test_vcrpy_shapes.test_what_httpx_responses_offer",
    "one URL with other parameters": "test_behaviour.test_fifty_calls_at_once_each_get_their_own_answer",
    "parameters that were not recorded": "test_behaviour.test_a_miss_shows_the_closest_call",
    "redirects that are not followed": "test_vcrpy_shapes.test_redirects_that_are_not_followed",
    "cookies of a client over redirects": "test_contract.test_exchange",
    "through a proxy": "test_routes.test_through_a_proxy",
    "through a tunnel": "test_tls.test_tunnels",
    "a response that is streamed": "test_streaming.test_each_piece_is_there_before_the_next_is_sent_httpx",
    "the sync client in a running loop": "test_vcrpy_shapes.test_the_sync_client_in_a_running_loop",
    "transports that are no network": "test_behaviour.test_in_process_transports_stay_as_they_are",
    "as many connections as allowed": "test_vcrpy_shapes.test_one_connection_at_most",
    # aiohttp
    "text, JSON, bytes, a stream": "test_vcrpy_shapes.test_what_aiohttp_responses_offer",
    "data and JSON that are posted": "test_vcrpy_shapes.test_what_aiohttp_posts",
    "parameters beside the URL and in it": "test_vcrpy_shapes.test_what_aiohttp_responses_offer",
    "its test client": "test_vcrpy_shapes.test_the_test_client_of_aiohttp",
    "redirects with their request_info": "test_vcrpy_shapes.test_redirects_of_aiohttp",
    "304 is no redirect": "test_contract.test_exchange",
    "cookies of the jar, of the request and of a header": "test_vcrpy_shapes.test_cookies_of_aiohttp",
    # urllib3, urllib, http.client
    "a pool of its own authority": "test_tls.test_verified",
    "a pooled connection that the server closed": "test_vcrpy_shapes.test_a_connection_that_went_stale",
    "urlopen: code, info, URL, query data, posted data": "test_vcrpy_shapes.test_urlopen",
    "files and iterators with a length, as http.client sends them": "test_vcrpy_shapes.test_streamed_with_a_length",
    # tornado
    "status, headers, body, redirects, gzip, errors of both clients": "test_contract.test_exchange",
    "its streaming callback": "test_tornado.test_callbacks_see_the_same",
}
"""Each shape, and the test of this folder that has it."""


def test_each_shape_has_its_test() -> None:
    """The list names tests that exist."""
    for place in COVERED.values():
        if not place.startswith("not offered"):
            module, name = place.split(".")
            text = (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE), place


def test_a_content_type_without_a_body(server: ShapeServer, both: Run) -> None:
    """A header that announces JSON where there is none changes nothing."""
    kind = {"Content-Type": "application/json"}
    recorded, replayed = both(lambda: requests.get(server.url + "/json", headers=kind, timeout=5).json())
    assert replayed == recorded


def test_basic_authentication(server: ShapeServer, both: Run) -> None:
    """What a password opens and what it does not."""

    def run() -> list[tuple[int, bytes]]:
        url = server.url + "/basic"
        headers = urllib3.util.make_headers(basic_auth="user:passwd")
        replies = [requests.get(url, timeout=5), requests.get(url, auth=("user", "passwd"), timeout=5)]
        pooled = [urllib3.request("GET", url), urllib3.request("GET", url, headers=headers)]
        return [(one.status_code, one.content) for one in replies] + [(one.status, one.data) for one in pooled]

    recorded, replayed = both(run)
    assert [status for status, _ in recorded] == [401, 200, 401, 200]
    assert replayed == recorded


def test_a_form_that_is_not_ascii(server: ShapeServer, both: Run) -> None:
    """Names and values in any script."""
    data = {"key1": "value1", "●‿●": "٩(●̮̮̃•̃)۶"}
    recorded, replayed = both(lambda: requests.post(server.url + "/echo", data=data, timeout=5).json())
    assert "%E2%97%8F" in recorded["body"]
    assert replayed == recorded


@pytest.mark.parametrize("path", ["/json", "/chunked", "/gzip", "/big"])
def test_the_raw_stream(path: str, server: ShapeServer, both: Run) -> None:
    """The response below that of requests, unpacked or not."""

    def run() -> list[bytes]:
        replies = [requests.get(server.url + path, stream=True, timeout=5) for _ in range(3)]
        whole = b"".join(replies[0].raw.stream())
        packed = b"".join(replies[1].raw.stream(decode_content=False))
        return [whole, packed, replies[2].raw.read(7)]

    recorded, replayed = both(run)
    assert recorded[0]
    assert replayed == recorded


def test_connections_that_are_closed(server: ShapeServer, both: Run) -> None:
    """A session goes on where each connection ends with its response."""

    def run() -> list[str]:
        with requests.Session() as session:
            close = {"Connection": "close"}
            return [session.get(server.url + "/count", headers=close, timeout=5).text for _ in range(3)]

    recorded, replayed = both(run)
    assert recorded == replayed == ["1", "2", "3"]


def test_clients_from_before_and_afterwards(server: ShapeServer, tmp_path: Path) -> None:
    """Clients with open connections from before are recorded and answered; afterwards they ask for themselves."""

    def count(client: Any) -> str:
        return str(client.get(server.url + "/count", timeout=5).text)

    session, client = requests.Session(), httpx.Client()
    assert [count(session), count(client)] == ["1", "2"]
    with testing.record(tmp_path):
        assert [count(session), count(client)] == ["3", "4"]
    assert [count(session), count(client)] == ["5", "6"]
    with testing.replay(tmp_path):
        assert [count(session), count(client)] == ["3", "4"]
    assert [count(session), count(client)] == ["7", "8"]
    session.close()
    client.close()


def test_what_httpx_responses_offer(server: ShapeServer, both: Run) -> None:
    """Headers in any case, the time it took, JSON, the request."""

    def run() -> tuple[Any, ...]:
        response = httpx.get(server.url + "/json", params={"a": 1, "b": False, "c": "c"})
        assert response.elapsed.total_seconds() > 0
        same = response.headers["Content-Type"] == response.headers["content-type"]
        return same, response.json(), str(response.request.url), response.request.headers.multi_items()

    recorded, replayed = both(run)
    assert recorded[0] is True
    assert replayed == recorded


def test_redirects_that_are_not_followed(server: ShapeServer, both: Run) -> None:
    """The first hop is all there is."""

    def run() -> list[tuple[int, str]]:
        replies = [httpx.get(server.url + "/redirect"), httpx.get(server.url + "/redirect-2")]
        return [(reply.status_code, str(reply.next_request and reply.next_request.url)) for reply in replies]

    recorded, replayed = both(run)
    assert [status for status, _ in recorded] == [302, 307]
    assert replayed == recorded


def test_the_sync_client_in_a_running_loop(server: ShapeServer, both: Run) -> None:
    """Blocking calls on a loop's thread."""

    def blocking() -> list[Any]:
        return [httpx.get(server.url + "/json").json(), requests.get(server.url + "/json", timeout=5).json()]

    async def run() -> list[Any]:
        return blocking()

    recorded, replayed = both(run)
    assert replayed == recorded


def test_one_connection_at_most(server: ShapeServer, both: Run) -> None:
    """A limit of connections neither blocks nor is exceeded, one after the other and at once."""
    limits = httpx.Limits(max_connections=1)

    def blocking() -> list[str]:
        with httpx.Client(limits=limits) as client:
            return [client.get(server.url + "/count").text for _ in range(2)]

    async def run() -> list[str]:
        seen = blocking()
        async with httpx.AsyncClient(limits=limits) as client:
            replies = await asyncio.gather(*(client.get(f"{server.url}/echo?n={n}") for n in range(4)))
        return seen + [reply.json()["path"] for reply in replies]

    recorded, replayed = both(run)
    assert recorded[2:] == [f"/echo?n={n}" for n in range(4)]
    assert replayed == recorded


def test_what_aiohttp_responses_offer(server: ShapeServer, both: Run) -> None:
    """Text, JSON, bytes, lines and pieces; parameters beside the URL and in it."""

    async def run() -> list[Any]:
        seen: list[Any] = []
        auth = urllib3.util.make_headers(basic_auth="vcrpy:test")
        async with aiohttp.ClientSession() as session:
            async with session.get(server.url + "/json?a=1", params={"b": "foo"}, headers=auth) as response:
                seen += [await response.json(), response.headers["CONTENT-type"], str(response.url)]
            async with session.get(server.url + "/latin1") as response:
                seen += [await response.text(), await response.text(errors="replace")]
            async with session.get(server.url + "/binary") as response:
                seen += [await response.content.read(10), await response.content.read()]
            async with session.get(server.url + "/events") as response:
                seen += [line async for line in response.content]
        return seen

    recorded, replayed = both(run)
    assert recorded[3] == "café"
    assert replayed == recorded


def test_what_aiohttp_posts(server: ShapeServer, both: Run) -> None:
    """Forms, JSON, multipart."""

    async def run() -> list[Any]:
        data = {"key1": "value1", "key2": "value2"}
        parts = aiohttp.FormData()
        parts.add_field("file", b"\x00\x01", filename="f.bin", content_type="application/octet-stream")
        async with aiohttp.ClientSession() as session:
            asked: list[dict[str, Any]] = [{"data": data}, {"json": data}, {"data": parts}]
            replies = [await session.post(server.url + "/echo", **one) for one in asked]
            return [(await reply.json())["type"] for reply in replies]

    recorded, replayed = both(run)
    assert recorded == ["application/x-www-form-urlencoded", "application/json", "multipart/form-data"]
    assert replayed == recorded


def test_the_test_client_of_aiohttp(tmp_path: Path) -> None:
    """A client whose server is in the same process is recorded and answered as any other."""
    served: list[str] = []

    async def hello(request: web.Request) -> web.Response:
        served.append(request.path)
        return web.json_response(None)

    async def ask(port: int) -> Any:
        app = web.Application()
        app.router.add_get("/json/empty", hello)
        async with TestClient(TestServer(app, port=port)) as client:
            return await (await client.get("/json/empty")).json()

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with testing.record(tmp_path):
        assert observed(lambda: ask(port)) is None
    with testing.replay(tmp_path) as replay:
        assert observed(lambda: ask(port)) is None
    assert served == ["/json/empty"]
    assert replay.outcome().misses == []


def test_redirects_of_aiohttp(server: ShapeServer, both: Run) -> None:
    """The last response knows its request and all before it."""

    async def run() -> tuple[Any, ...]:
        async with aiohttp.ClientSession() as session, session.get(server.url + "/redirect") as response:
            info = response.request_info
            history = [(hop.status, str(hop.url)) for hop in response.history]
            return str(info.url), info.method, dict(info.headers), str(info.real_url), history

    recorded, replayed = both(run)
    assert [status for status, _ in recorded[4]] == [302, 307]
    assert replayed == recorded


def test_cookies_of_aiohttp(server: ShapeServer, both: Run) -> None:
    """Cookies of the jar, of the call and of a header go out together; those that a reply sets are there."""

    async def run() -> tuple[Any, ...]:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            set_by = await session.get(server.url + "/headers")
            asked = {"cookies": {"third": "3"}, "headers": {"Cookie": "fourth=4"}}
            reply = await session.get(server.url + "/cookies", **asked)  # type: ignore[arg-type]  # each its own type
            sent = sorted((await reply.text()).split("; "))
            return {name: morsel.value for name, morsel in set_by.cookies.items()}, sent

    recorded, replayed = both(run)
    assert recorded == replayed == ({"a": "1", "b": "2"}, ["a=1", "b=2", "fourth=4", "third=3"])


def test_a_connection_that_went_stale(both: Run) -> None:
    """A pool does not use a connection again that its server has closed meanwhile."""
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()

    def serve() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")

    threading.Thread(target=serve, daemon=True).start()

    def run() -> list[int]:
        pool, seen = urllib3.HTTPConnectionPool(host, port, maxsize=1), []
        for _ in range(2):
            seen.append(pool.urlopen("GET", "/", retries=False).status)
            time.sleep(0.05)
        return seen

    recorded, replayed = both(run)
    listener.close()
    assert recorded == replayed == [200, 200]


def test_urlopen(server: ShapeServer, both: Run) -> None:
    """Code, headers, URL and body; a query, and data that is posted."""

    def run() -> list[Any]:
        data = urllib.parse.urlencode({"some": 1, "snowman": "☃"})
        seen: list[Any] = []
        for url, body in ((f"/json?{data}", None), ("/redirect", None), ("/echo", data.encode()), ("/json", None)):
            with urllib.request.urlopen(server.url + url, body, timeout=5) as response:  # noqa: S310 - an http: URL
                seen.append((response.getcode(), response.info().items(), response.geturl(), response.read()))
        return seen

    recorded, replayed = both(run)
    assert recorded[1][2] == server.url + "/cookies?from=2"
    assert replayed == recorded


def test_streamed_with_a_length(server: ShapeServer, both: Run) -> None:
    """A file or an iterator goes out as the app says: with its length, or in chunks where it gives none."""

    def run() -> list[bytes]:
        def pieces() -> Iterator[bytes]:
            yield from (b"12345", b"67890")

        seen = []
        length = {"Content-Length": "10"}
        for body, headers in ((io.BytesIO(b"1234567890"), {}), (pieces(), length), (pieces(), {})):
            conn = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
            conn.request("POST", "/echo", body, headers)
            seen.append(conn.getresponse().read())
            conn.close()
        return seen

    recorded, replayed = both(run)
    assert [b'"body": "1234567890"' in one for one in recorded] == [True] * 3
    assert replayed == recorded
    sent = [headers for _, _, headers, _ in server.seen]
    assert ["Content-Length" in headers for headers in sent] == [False, True, False]
