"""Unchanged apps answer every recorded request byte for byte, many at once, with the database gone."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import flask
import httpx
import pytest
from werkzeug.test import Client

from tests.nondeterminism.apps import flask_app, starlette_app
from tests.pymongo.driver import DRIVERS
from timetracer_otel import testing

ELSEWHERE = "mongodb://127.0.0.1:1/"
NAMES = [f"n{number}" for number in range(50)]


@dataclass(frozen=True)
class Said:
    """A response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Ask = Callable[[str, int], dict[str, Said]]


def ask_flask(uri: str, at_once: int) -> dict[str, Said]:
    """Ask the Flask app for all orders, and for a stream each."""
    with DRIVERS["sync"].client(uri) as client, ThreadPoolExecutor(at_once) as pool:
        app = flask_app(client)

        def ask(name: str) -> tuple[str, Said]:
            got = Client(app).post(f"/orders/{name}")
            return name, Said(got.status_code, list(got.headers), got.get_data())

        return dict(pool.map(ask, NAMES))


def ask_starlette(driver: str) -> Ask:
    """Ask a Starlette app for all orders."""

    async def ask_all(uri: str, at_once: int) -> dict[str, Said]:
        client = DRIVERS[driver].client(uri)
        transport = httpx.ASGITransport(app=starlette_app(client), raise_app_exceptions=False)
        turns = asyncio.Semaphore(at_once)

        async def ask(browser: httpx.AsyncClient, name: str) -> tuple[str, Said]:
            async with turns:
                got = await browser.post(f"/orders/{name}")
            return name, Said(got.status_code, got.headers.multi_items(), got.content)

        async with httpx.AsyncClient(transport=transport, base_url="http://app", timeout=60) as browser:
            answers = await asyncio.gather(*(ask(browser, name) for name in NAMES))
        await DRIVERS[driver].get(client.close())
        return dict(answers)

    return lambda uri, at_once: asyncio.run(ask_all(uri, at_once))


APPS: dict[str, Ask] = {"flask": ask_flask, "async": ask_starlette("async"), "motor": ask_starlette("motor")}


@dataclass(frozen=True)
class Recording:
    """What an app said, and where it was recorded."""

    folder: Path
    said: dict[str, Said]


@pytest.fixture(scope="module", params=APPS)
def recorded(
    request: pytest.FixtureRequest, mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Recording]:
    """Each app, recorded with 50 requests at once."""
    folder = tmp_path_factory.mktemp(request.param)
    with testing.record(folder):
        said = APPS[request.param](mongo_uri, 50)
    return request.param, Recording(folder, said)


@pytest.mark.parametrize("at_once", [1, 50])
def test_responses_are_identical(recorded: tuple[str, Recording], at_once: int) -> None:
    """Status, headers with their cookies, and bodies: each lane has its own ids, values and times."""
    name, recording = recorded
    with testing.replay(recording.folder) as replay:
        said = APPS[name](ELSEWHERE, at_once)
    assert {one.status for one in recording.said.values()} == {200}
    assert said == recording.said
    outcome = replay.outcome()
    assert [miss["message"] for miss in outcome.misses] == []
    assert set(outcome.answered) == {"exact"}
    assert outcome.unused == []


def test_without_draws_the_shape_still_matches(tmp_path: Path, mongo_uri: str) -> None:
    """A recording without nondeterminism is replayed as before: ids and times bind to the recorded ones."""

    def ask(uri: str) -> bytes:
        with DRIVERS["sync"].client(uri) as client:
            return Client(flask_app(client)).post("/visits").get_data()

    with testing.record(tmp_path, nondeterminism="none"):
        recorded = ask(mongo_uri)
    with testing.replay(tmp_path) as replay:
        replayed = ask(ELSEWHERE)
    outcome = replay.outcome()
    assert [miss["message"] for miss in outcome.misses] == []
    assert outcome.answered["shape"] == 1
    assert replayed != recorded


def test_a_stream_draws_in_its_lane(tmp_path: Path, mongo_uri: str) -> None:
    """What a streaming body draws after the response has begun is the lane's too."""

    def ask() -> bytes:
        with DRIVERS["sync"].client(mongo_uri) as client:
            return Client(flask_app(client)).get("/stream").get_data()

    with testing.record(tmp_path):
        recorded = ask()
    with testing.replay(tmp_path):
        assert ask() == recorded


def test_a_process_draws_what_the_serving_one_drew(tmp_path: Path) -> None:
    """Of several recorded processes, the one that answered the requests says what is drawn outside them."""

    def start() -> bytes:
        return secrets.token_bytes(8)

    def serve() -> bytes:
        app = flask.Flask("ids")
        app.add_url_rule("/", view_func=lambda: str(uuid.uuid4()))
        return Client(app).get("/").get_data()

    with testing.record(tmp_path):
        start()
    with testing.record(tmp_path):
        recorded = start(), serve()
    with testing.replay(tmp_path):
        assert (start(), serve()) == recorded
