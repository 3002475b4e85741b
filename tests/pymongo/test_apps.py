"""Apps with an endpoint for each operation replay every request with the database gone."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.pymongo.apps import flask_app, starlette_app
from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import Both, spans_of, twice
from tests.pymongo.operations import OPERATIONS
from tests.pymongo.shown import renamed
from timetracer_otel import spans

NAMES = {
    "flask": list(OPERATIONS),
    "async": list(OPERATIONS),
    "motor": [name for name in OPERATIONS if name != "client_bulk_write"],  # Motor has none
}


@dataclass(frozen=True)
class Said:
    """A response."""

    status: int
    headers: list[tuple[str, str]]
    body: str


def ask_flask(uri: str) -> dict[str, Said]:
    """Ask the Flask app for every operation."""
    with DRIVERS["sync"].client(uri) as client:
        browser = flask_app(client).test_client()
        answers = {name: browser.post(f"/{name}") for name in NAMES["flask"]}
        return {name: Said(got.status_code, list(got.headers), renamed(got.text)) for name, got in answers.items()}


def ask_starlette(driver: str, uri: str) -> dict[str, Said]:
    """Ask a Starlette app for every operation, some at once."""

    async def ask() -> dict[str, Said]:
        app = starlette_app(driver, lambda: DRIVERS[driver].client(uri))
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as browser,
        ):
            answers = await asyncio.gather(*(browser.post(f"/{name}") for name in NAMES[driver]))
        return {
            name: Said(got.status_code, got.headers.multi_items(), renamed(got.text))
            for name, got in zip(NAMES[driver], answers, strict=True)
        }

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where each app's cassettes are."""
    return {app: tmp_path_factory.mktemp(app) for app in NAMES}


@pytest.fixture(scope="module")
def answered(mongo_uri: str, folders: dict[str, Path]) -> dict[str, Both]:
    """What each app answered while recorded, and replayed."""
    return {
        "flask": twice(folders["flask"], ask_flask, mongo_uri),
        "async": twice(folders["async"], lambda uri: ask_starlette("async", uri), mongo_uri),
        "motor": twice(folders["motor"], lambda uri: ask_starlette("motor", uri), mongo_uri),
    }


def test_there_are_enough_endpoints() -> None:
    """The apps use at least 37 operations with PyMongo, and 20 with each asynchronous driver."""
    assert len(NAMES["flask"]) >= 37
    assert min(len(NAMES["async"]), len(NAMES["motor"])) >= 20


@pytest.mark.parametrize(("app", "name"), [(app, name) for app, names in NAMES.items() for name in names])
def test_request_replays(answered: dict[str, Both], app: str, name: str) -> None:
    """Status, headers and body are the recorded ones, but for ids that the app makes anew."""
    recorded, replayed = answered[app].recorded[name], answered[app].replayed[name]
    assert recorded.status == 200, recorded.body
    assert replayed == recorded


@pytest.mark.parametrize("app", NAMES)
def test_each_request_follows_its_lane(answered: dict[str, Both], app: str) -> None:
    """Every request is recognised, every recorded call asked for again, and no connection tried."""
    outcome = answered[app].outcome
    assert [miss["message"] for miss in outcome.misses] == []
    assert (outcome.lanes, outcome.followed, outcome.refused, outcome.unused) == (
        len(NAMES[app]),
        len(NAMES[app]),
        [],
        [],
    )


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("app", NAMES)
def test_cassettes_hold_one_lane_a_request(folders: dict[str, Path], app: str) -> None:
    """Each request is one file with its entry and its calls, each call with request and response or error."""
    lanes = [file for file in folders[app].rglob("POST__*.jsonl") if not file.is_symlink()]
    assert len(lanes) == len(NAMES[app])
    for span in spans_of(folders[app]):
        names = {one["key"] for one in span["attributes"]}
        if spans.PLUGIN in names:
            assert {spans.REQUEST, spans.RESPONSE} & names, span
            assert spans.LANE_ID in names
