"""Bodies larger than a span: inside a request that is still open, lost ones, and the memory that they take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import urllib3
from flask import Flask, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.http.server import BIG, ShapeServer
from tests.http.test_behaviour import recorded_calls
from tests.support.commands import OTEL
from timetracer_otel import seams, testing
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.exporters.lanes.recording_lane import RecordingLane
from timetracer_otel.exporters.lanes.session import SessionLane
from timetracer_otel.families.kinds import http

PIECES = [bytes([number]) * 100_000 for number in range(12)]


def _flask(upstream: str) -> Callable[[], tuple[bytes, bytes]]:
    app = Flask(__name__)

    @app.get("/through")
    def through() -> Response:
        sent = requests.post(upstream + "/digest-of-body", data=iter(PIECES), timeout=5).content
        reply = requests.get(upstream + "/big", stream=True, timeout=5)
        return Response(reply.iter_content(65536), headers={"X-Sent": sent.decode()})

    def ask() -> tuple[bytes, bytes]:
        response = app.test_client().get("/through")
        return response.data, response.headers["X-Sent"].encode()

    return ask


def _starlette(upstream: str) -> Callable[[], tuple[bytes, bytes]]:
    async def produced() -> AsyncIterator[bytes]:
        for piece in PIECES:
            yield piece

    async def through(_request: Request) -> StreamingResponse:
        client = httpx.AsyncClient()
        sent = (await client.post(upstream + "/digest-of-body", content=produced())).text
        reply = await client.send(client.build_request("GET", upstream + "/big"), stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for piece in reply.aiter_bytes():
                yield piece
            await client.aclose()

        return StreamingResponse(body(), headers={"X-Sent": sent})

    app = Starlette(routes=[Route("/through", through)])

    def ask() -> tuple[bytes, bytes]:
        response = TestClient(app).get("/through")
        return response.content, response.headers["X-Sent"].encode()

    return ask


@pytest.fixture(params=[_flask, _starlette], ids=["flask", "starlette"])
def app(request: pytest.FixtureRequest) -> Callable[[str], Callable[[], tuple[bytes, bytes]]]:
    """Makes an app that streams a large upload out and a large download through."""
    return request.param  # type: ignore[no-any-return]  # one of the two above


def test_inside_an_open_request(
    app: Callable[[str], Callable[[], tuple[bytes, bytes]]], server: ShapeServer, tmp_path: Path
) -> None:
    """Pieces that leave memory before the lane has a file are in that file, all or none, and replay."""
    with testing.record(tmp_path):
        recorded = app(server.url)()
    server.stop()
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink()]
    assert recorded[0] == BIG
    assert [path.suffix for path in files if "SESSION" not in path.name] == [".jsonl"]
    assert len(recorded_calls(tmp_path)) == 2
    with testing.replay(tmp_path) as replay:
        assert app(server.url)() == recorded
    assert replay.outcome().misses == []


def test_a_lane_that_is_not_kept_leaves_nothing(server: ShapeServer, tmp_path: Path) -> None:
    """What was on disk already of a lane that is then dropped is removed."""
    with testing.record(tmp_path, errors_only=True):
        assert _flask(server.url)()[0] == BIG
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and "SESSION" not in path.name] == []


@pytest.mark.parametrize("lane", [SessionLane, RecordingLane])
def test_what_could_not_be_kept_is_refused(
    lane: type[Any], server: ShapeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that lost a piece of its body answers nothing; the calls beside it do."""

    def ask() -> tuple[bytes, int]:
        small = urllib3.request("GET", server.url + "/json").data
        return small, len(urllib3.request("GET", server.url + "/big").data)

    def run() -> tuple[bytes, int]:
        if lane is SessionLane:
            return ask()
        runtime = seams.active()
        assert runtime is not None
        open_lane = runtime.open_lane(http.Request("GET", "/", []))
        assert open_lane is not None
        with open_lane.entered():
            try:
                return ask()
            finally:
                open_lane.finish(None)

    monkeypatch.setattr(lane, "add_part", lambda _lane, _part: False)  # as when its budget is used up
    with testing.record(tmp_path):
        assert run()[1] == len(BIG)
    server.stop()
    with testing.replay(tmp_path) as replay, pytest.raises(ReplayMiss, match="could not be written whole"):
        run()
    assert sum(replay.outcome().answered.values()) == 2
    assert len(replay.outcome().misses) == 1


BENCH = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def peer() -> Iterator[str]:
    """The URL of a server of the bench, in a process of its own."""
    with subprocess.Popen([sys.executable, str(BENCH / "http_server.py")], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


@pytest.mark.system
@pytest.mark.parametrize("how", ["streamed", "whole"])
@pytest.mark.parametrize("client", ["httpx", "httpx-async", "requests", "urllib3", "urllib", "aiohttp", "tornado"])
def test_memory_of_200_megabytes(client: str, how: str, peer: str, tmp_path: Path) -> None:
    """Recording a large download takes little memory beside what the app takes anyway."""

    def peak(*more: str) -> float:
        program = [sys.executable, str(BENCH / "http_large_app.py"), client, how, peer]
        env = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none"}
        own_clock = {"TIMETRACER_NONDETERMINISM": "none", "TIMETRACER_DIR": str(tmp_path)}
        command = [*OTEL, *more, *program]
        ended = subprocess.run(command, env={**os.environ, **env, **own_clock}, capture_output=True, check=True)
        figures = json.loads(next(line for line in ended.stdout.splitlines() if line.startswith(b"{")))
        assert figures["bytes"] == 200_000_000
        return float(figures["peak"])

    assert peak("--traces_exporter", "timetracer") < 1.25 * peak()
