"""What a whole program meets: concurrency, threads, misses, generated ids, spans of instrumentors, lanes."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
from flask import Flask, Response
from opentelemetry import trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib import URLLibInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.http.clients import CLIENTS
from tests.http.conftest import Run, observed
from tests.http.server import ShapeServer
from tests.http.shapes import SHAPES
from timetracer_otel import spans, testing
from timetracer_otel.cassette import loading, storage
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.exporters import CassetteSpanExporter

BY_NAME = {shape.name: shape for shape in SHAPES}
INSTRUMENTORS: dict[str, Callable[[], Any]] = {
    "httpx": HTTPXClientInstrumentor,
    "httpx-async": HTTPXClientInstrumentor,
    "requests": RequestsInstrumentor,
    "urllib3": URLLib3Instrumentor,
    "urllib": URLLibInstrumentor,
    "aiohttp": AioHttpClientInstrumentor,
}


def recorded_calls(directory: Path) -> list[Span]:
    """The HTTP calls of all cassettes in a directory."""
    cassette = loading.load(storage.find([str(directory)], directory))
    lanes = [*cassette.lanes, *cassette.sessions.values()]
    return [call for lane in lanes for call in lane.calls if call.text(spans.PLUGIN)]


def instrumented(name: str, shape: str, url: str) -> Any:
    """What a client with its standard instrumentor observes of a shape."""
    instrumentor = INSTRUMENTORS[name]()
    instrumentor.instrument(skip_dep_check=True)
    try:
        return observed(lambda: CLIENTS[name](url, BY_NAME[shape]))
    finally:
        instrumentor.uninstrument()


@pytest.mark.parametrize("shape", ["json", "redirects", "gzip", "events", "larger than a span", "post json", "cut"])
@pytest.mark.parametrize("name", INSTRUMENTORS)
def test_with_the_standard_instrumentor(name: str, shape: str, server: ShapeServer, tmp_path: Path) -> None:
    """The instrumentor's span carries the exchange, body and all; the next hops have spans of ours; it replays."""
    with testing.record(tmp_path):
        recorded = instrumented(name, shape, server.url)
    server.stop()
    calls = recorded_calls(tmp_path)
    assert calls[0].scope.name.startswith("opentelemetry.instrumentation.")
    assert len(calls) == (3 if shape == "redirects" else 1)
    with testing.replay(tmp_path) as replay:
        assert instrumented(name, shape, server.url) == recorded
    assert replay.outcome().misses == []


def test_fifty_calls_at_once_each_get_their_own_answer(server: ShapeServer, both: Run) -> None:
    """Concurrent calls that differ in query or body alone are not mixed up."""

    async def fifty() -> list[Any]:
        async with httpx.AsyncClient(timeout=30) as client:
            gets = [client.get(server.url + "/echo", params={"n": number}) for number in range(25)]
            posts = [client.post(server.url + "/echo", json={"n": number}) for number in range(25)]
            return [response.json() for response in await asyncio.gather(*gets, *posts)]

    recorded, replayed = both(fifty)
    assert [one["path"] for one in recorded[:25]] == [f"/echo?n={number}" for number in range(25)]
    assert [json.loads(one["body"])["n"] for one in recorded[25:]] == list(range(25))
    assert replayed == recorded


@pytest.mark.parametrize("header", ["Authorization", "Cookie", "X-Api-Key"])
def test_the_same_call_for_two_users_at_once(header: str, server: ShapeServer, tmp_path: Path) -> None:
    """Calls that differ only in who asks get their own answers in any order; with another key they come in order."""

    def ask(who: str) -> str:
        value = {"Authorization": f"Bearer token-of-{who}", "Cookie": f"user={who}"}.get(header, who)
        reply = requests.get(server.url + "/who", headers={header: value}, timeout=5)
        return reply.text.removeprefix("Bearer token-of-").removeprefix("user=")

    people = ["ann", "bob", "ann", "eve"]
    with testing.record(tmp_path):
        assert [ask(who) for who in people] == people
    server.stop()
    with testing.replay(tmp_path):
        assert [ask(who) for who in reversed(people)] == people[::-1]
    with testing.replay(tmp_path) as replay:
        assert [ask("somebody-else") for _ in people] == people
    assert replay.outcome().misses == []


def test_users_of_basic_authentication(server: ShapeServer, tmp_path: Path) -> None:
    """Calls by Basic are told apart, in any order; of other passwords they come in order."""

    def ask(who: str, password: str = "") -> str:
        headers = urllib3.util.make_headers(basic_auth=f"{who}:{password or who}")
        reply = urllib3.request("GET", server.url + "/who", headers=headers).data.decode()
        return base64.b64decode(reply.removeprefix("Basic ")).decode().partition(":")[0]

    people = ["ann", "bob", "ann", "eve"]
    with testing.record(tmp_path):
        assert [ask(who) for who in people] == people
    server.stop()
    with testing.replay(tmp_path):
        assert [ask(who) for who in reversed(people)] == people[::-1]
    with testing.replay(tmp_path) as replay:
        assert [ask(who, "another") for who in reversed(people)] == people
    assert replay.outcome().misses == []


def test_calls_in_threads_and_pools(server: ShapeServer, both: Run) -> None:
    """Calls from the threads of an executor replay, each with its own answer."""

    def many() -> list[str]:
        def path(n: int) -> str:
            return str(requests.get(f"{server.url}/echo?n={n}", timeout=5).json()["path"])

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(path, range(40)))

    recorded, replayed = both(many)
    assert recorded == replayed == [f"/echo?n={n}" for n in range(40)]


def test_the_same_call_again_gets_the_next_answer(server: ShapeServer, both: Run) -> None:
    """Identical calls are answered in the order in which they were recorded."""
    recorded, replayed = both(lambda: [requests.get(server.url + "/count", timeout=5).text for _ in range(3)])
    assert recorded == replayed == ["1", "2", "3"]


def test_a_miss_shows_the_closest_call(server: ShapeServer, tmp_path: Path) -> None:
    """A call that was not recorded raises, and says where it differs from the closest one."""
    with testing.record(tmp_path):
        requests.post(server.url + "/echo", json={"amount": 5, "currency": "EUR"}, timeout=5)
    server.stop()
    with testing.replay(tmp_path) as replay:
        with pytest.raises(ReplayMiss, match=r"closest recorded call .* body\.amount: 5 recorded, 6 asked"):
            requests.post(server.url + "/echo", json={"amount": 6, "currency": "EUR"}, timeout=5)
        with pytest.raises(ReplayMiss, match="recorded: http POST"):
            requests.get(server.url + "/nowhere", timeout=5)
    assert len(replay.outcome().misses) == 2


@pytest.mark.parametrize("name", CLIENTS)
def test_a_miss_reaches_the_app_as_itself(name: str, server: ShapeServer, tmp_path: Path) -> None:
    """Whatever the client wraps, a miss comes out of it as a miss."""
    with testing.record(tmp_path):
        observed(lambda: CLIENTS[name](server.url, BY_NAME["json"]))
    with testing.replay(tmp_path) as replay:
        outcome = observed(lambda: CLIENTS[name](server.url, BY_NAME["post json"]))
    assert outcome[0] is ReplayMiss or outcome["error"][0] is ReplayMiss
    assert len(replay.outcome().misses) == 1


def test_generated_ids_match_and_come_back(server: ShapeServer, both: Run) -> None:
    """An id that the app makes up anew matches, and stands in the reply as the app's own."""
    # Fixed here: what uuid4() draws is itself given back in replay.
    ids = iter(["0b6f3c5e-3f0c-4f0e-9a58-6f3f2a1b7c01", "0b6f3c5e-3f0c-4f0e-9a58-6f3f2a1b7c02"])

    def create() -> bool:
        made = next(ids)
        headers = {"Idempotency-Key": made}
        reply = requests.post(server.url + "/echo", json={"id": made}, headers=headers, timeout=5).json()
        return bool(json.loads(reply["body"])["id"] == made)

    recorded, replayed = both(create)
    assert recorded is True
    assert replayed is True


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_generated_ids_come_back_in_packed_replies(coding: str, server: ShapeServer, both: Run) -> None:
    """An id of the app's own also stands in a reply that comes packed, in each coding that a client unpacks."""
    ids = iter(["0b6f3c5e-3f0c-4f0e-9a58-6f3f2a1b7c01", "0b6f3c5e-3f0c-4f0e-9a58-6f3f2a1b7c02"])

    def create() -> bool:
        made = next(ids)
        reply = httpx.post(server.url + "/echo-packed", json={"id": made}, headers={"X-Pack": coding})
        return bool(reply.headers["content-encoding"] == coding and reply.json() == {"id": made})

    recorded, replayed = both(create)
    assert recorded is True
    assert replayed is True


def test_secrets_are_not_written(server: ShapeServer, tmp_path: Path) -> None:
    """Credentials in headers and URLs are masked in the file, and do not have to be the same in replay."""
    with testing.record(tmp_path):
        requests.get(server.url + "/basic", auth=("user", "hunter2"), timeout=5)
        requests.get(server.url + "/json", headers={"Authorization": "Bearer s3cr3t-token"}, timeout=5)
        urllib3.request("GET", server.url.replace("//", "//me:pa55word@") + "/json")
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*.jsonl") if not file.is_symlink())
    secrets = (b"hunter2", b"aHVudGVy", b"dXNlcjpodW50ZXIy", b"s3cr3t", b"pa55word")
    assert all(secret not in written for secret in secrets)
    with testing.replay(tmp_path):
        assert requests.get(server.url + "/basic", auth=("user", "other"), timeout=5).text == "welcome"


def test_auth_challenges(server: ShapeServer, both: Run) -> None:
    """A challenge and the answer to it are two exchanges; the random nonce of the answer does not count."""

    def challenged() -> list[Any]:
        first = requests.get(server.url + "/digest", auth=requests.auth.HTTPDigestAuth("u", "p"), timeout=5)
        second = httpx.get(server.url + "/digest", auth=httpx.DigestAuth("u", "p"))
        return [(first.text, [hop.status_code for hop in first.history]), (second.text, len(second.history))]

    recorded, replayed = both(challenged)
    assert recorded == replayed == [("welcome", [401]), ("welcome", 1)]


def test_in_process_transports_stay_as_they_are(tmp_path: Path) -> None:
    """Custom transports that do no I/O are neither recorded nor answered."""
    answers: Iterator[int] = iter(range(200, 210))
    transport = httpx.MockTransport(lambda _request: httpx.Response(next(answers)))
    with testing.record(tmp_path), httpx.Client(transport=transport) as client:
        assert client.get("http://mock/").status_code == 200
    assert not list(tmp_path.rglob("SESSION*")) or recorded_calls(tmp_path) == []


def test_mounted_and_wrapping_transports(server: ShapeServer, both: Run) -> None:
    """Mounts, and transports of the user's that wrap httpx's own, record and replay."""

    class Wrapping(httpx.BaseTransport):
        def __init__(self) -> None:
            self._inner = httpx.HTTPTransport(retries=1)

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = self._inner.handle_request(request)
            response.headers["x-wrapped"] = "yes"
            return response

    def run() -> tuple[str, Any]:
        with httpx.Client(mounts={"http://": Wrapping()}) as client:
            response = client.get(server.url + "/json")
            return response.headers["x-wrapped"], response.json()

    recorded, replayed = both(run)
    assert recorded == replayed
    assert recorded[0] == "yes"


def test_plain_http_client(server: ShapeServer, both: Run) -> None:
    """http.client itself: several requests on one connection, headers as it gives them."""

    def run() -> list[Any]:
        conn = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=5)
        seen = []
        for path in ("/headers", "/chunked", "/json"):
            conn.request("GET", path)
            response = conn.getresponse()
            seen.append((response.status, response.getheaders(), response.read(), response.version))
        conn.close()
        return seen

    recorded, replayed = both(run)
    assert replayed == recorded


def test_continue_is_waited_for(server: ShapeServer, both: Run) -> None:
    """An upload that waits for 100-continue goes through in replay without waiting."""

    async def upload() -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.put(server.url + "/echo", data=b"body", expect100=True) as response,
        ):
            return await response.json()

    recorded, replayed = both(upload)
    assert recorded["body"] == "body"
    assert replayed == recorded


def test_a_cancelled_call_is_cancelled_again(server: ShapeServer, both: Run) -> None:
    """An app that stops waiting finds the same timeout in replay."""

    async def impatient() -> str:
        async with httpx.AsyncClient() as client:
            try:
                await asyncio.wait_for(client.get(server.url + "/slow-head"), 0.2)
            except TimeoutError:
                return "gave up"
        return "got it"

    recorded, replayed = both(impatient)
    assert recorded == replayed == "gave up"


def test_total_timeout_of_aiohttp(server: ShapeServer, both: Run) -> None:
    """The total timeout of aiohttp strikes again, before and within the body."""

    async def impatient() -> list[Any]:
        seen: list[Any] = []
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as session:
            for path in ("/slow-head", "/slow-body"):
                try:
                    async with session.get(server.url + path) as response:
                        seen.append(await response.read())
                except TimeoutError as error:
                    seen.append(type(error))
        return seen

    recorded, replayed = both(impatient)
    assert recorded == replayed == [TimeoutError, TimeoutError]


def test_exporters_own_requests_are_left_alone(server: ShapeServer, tmp_path: Path) -> None:
    """What OpenTelemetry's exporters send is not recorded."""
    from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: PLC0415 - used here alone

    with testing.record(tmp_path):
        with suppress_instrumentation():
            requests.get(server.url + "/json", timeout=5)
        requests.get(server.url + "/count", timeout=5)
    assert [call.text("url.full") for call in recorded_calls(tmp_path)] == [server.url + "/count"]


def _app(upstream: str) -> Flask:
    app = Flask(__name__)

    @app.get("/proxy")
    def proxy() -> Response:
        reply = requests.get(upstream + "/events", stream=True, timeout=5)
        return Response(reply.iter_content(None), mimetype="text/event-stream")

    return app


def test_a_body_that_ends_after_its_lane_began_to_answer(server: ShapeServer, tmp_path: Path) -> None:
    """An upstream body that streams through a Flask response is whole in the cassette, and streams again."""
    with testing.record(tmp_path):
        recorded = _app(server.url).test_client().get("/proxy").data
    server.stop()
    with testing.replay(tmp_path) as replay:
        assert _app(server.url).test_client().get("/proxy").data == recorded
    assert recorded.count(b"event: tick") == 4
    assert replay.outcome().misses == []


@pytest.mark.parametrize("shape", ["json", "larger than a span"])
@pytest.mark.parametrize("name", INSTRUMENTORS)
def test_payloads_that_leave_on_spans(name: str, shape: str, server: ShapeServer, tmp_path: Path) -> None:
    """The instrumentor's span has both heads; late bodies and chunks are child spans, which the reader folds back."""
    seen = InMemorySpanExporter()
    processors = [SimpleSpanProcessor(seen), SimpleSpanProcessor(CassetteSpanExporter(tmp_path / "spans"))]

    with testing.record(tmp_path / "unused", span_payloads=True, files=False):
        provider = trace.get_tracer_provider()
        assert isinstance(provider, TracerProvider)
        for processor in processors:
            provider.add_span_processor(processor)
        recorded = instrumented(name, shape, server.url)
        assert provider.force_flush()
        # The provider is everybody's, and the SDK can only add to it.
        kept = [one for one in provider._active_span_processor._span_processors if one not in processors]
        provider._active_span_processor._span_processors = tuple(kept)
    processors[1].shutdown()
    server.stop()
    (theirs,) = [span for span in seen.get_finished_spans() if not span.name.startswith("timetracer.")]
    assert {spans.HTTP_REQUEST_HEADERS, spans.HTTP_RESPONSE_HEADERS} <= set(theirs.attributes or ())
    with testing.replay(tmp_path / "spans"):
        assert instrumented(name, shape, server.url) == recorded


def test_no_warning_about_unknown_versions(server: ShapeServer, both: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Every name that we patch is there in the installed versions."""
    with caplog.at_level(logging.WARNING, logger="timetracer_otel"):
        both(lambda: requests.get(server.url + "/json", timeout=5).json())
    assert [record for record in caplog.records if record.name.startswith("timetracer")] == []


@pytest.fixture
def hasty() -> Iterator[tuple[str, threading.Event]]:
    """A server that answers 413 to the first piece of an upload and closes; says when it has."""
    closed = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                peer, _ = listening.accept()
                with peer:
                    while b"first" not in peer.recv(65536):
                        pass
                    peer.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch")
                closed.set()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/upload", closed
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("client", ["requests", "urllib3", "urllib"])
def test_an_upload_that_is_refused_half_way(client: str, hasty: tuple[str, threading.Event], both: Run) -> None:
    """Where a client reads the answer after sending failed, it reads it again; where it raises, it raises again."""
    url, closed = hasty

    def pieces() -> Iterator[bytes]:
        yield b"first"
        closed.wait(30)
        for _ in range(20):
            time.sleep(0.005)  # the peer's reset is on its way
            yield bytes(1000)

    def ask() -> Any:
        if client == "requests":
            with requests.post(url, data=pieces(), timeout=30) as reply:
                return reply.status_code, reply.reason, reply.text
        if client == "urllib3":
            with urllib3.PoolManager() as pool:
                answer = pool.request("POST", url, body=pieces(), retries=False)
                return answer.status, answer.reason, answer.data
        try:
            request = urllib.request.Request(url, data=pieces(), method="POST")  # noqa: S310 - a test's own http: URL
            urllib.request.urlopen(request, timeout=30)  # noqa: S310 - as above
        except urllib.error.URLError as error:
            return type(error.reason), str(error.reason)

    recorded, replayed = both(ask)
    assert recorded[0] == (413 if client != "urllib" else BrokenPipeError)
    assert replayed == recorded
