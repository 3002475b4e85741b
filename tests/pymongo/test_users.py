"""No request is ever given what another one's query found."""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
from bson import ObjectId
from pymongo.errors import PyMongoError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import ELSEWHERE
from timetracer_otel import ReplayMiss, testing

IDS = [ObjectId(f"65e0c5f0{n:016x}") for n in range(50)]


def flask_app(client: Any) -> flask.Flask:
    """Users by id, in the path or only in a cookie; and their orders, by what the first query found."""
    app = flask.Flask("users")

    @app.get("/users/<user>")
    def show(user: str) -> dict[str, Any]:
        found = client.shop.users.find_one({"_id": ObjectId(user)})
        orders = [one["n"] for one in client.shop.orders.find({"account": found["account"]}, batch_size=2)]
        return {"name": found["name"], "orders": orders}

    @app.get("/me")
    def me() -> dict[str, Any]:
        return show(flask.request.cookies["user"])

    @app.get("/other/<user>")
    def other(user: str) -> dict[str, Any]:
        wanted = flask.current_app.config.get("INSTEAD", user)
        return {"name": client.shop.users.find_one({"_id": ObjectId(wanted)})["name"]}

    return app


def starlette_app(client: Any) -> Starlette:
    """Users by id."""

    async def show(request: Request) -> JSONResponse:
        found = await client.shop.users.find_one({"_id": ObjectId(request.path_params["user"])})
        await asyncio.sleep(0)
        orders = [one["n"] async for one in client.shop.orders.find({"account": found["account"]}, batch_size=2)]
        return JSONResponse({"name": found["name"], "orders": orders})

    return Starlette(routes=[Route("/users/{user}", show)])


@pytest.fixture(scope="module")
def filled(mongo_uri: str) -> str:
    """A server with 50 users who differ in everything, and have three orders each."""
    with DRIVERS["sync"].client(mongo_uri) as client:
        client.drop_database("shop")
        accounts = [ObjectId() for _ in IDS]
        client.shop.users.insert_many(
            [{"_id": user, "name": f"user {n}", "account": accounts[n]} for n, user in enumerate(IDS)]
        )
        client.shop.orders.insert_many(
            [{"account": account, "n": 10 * n + k} for n, account in enumerate(accounts) for k in range(3)]
        )
    return mongo_uri


def expected(number: int) -> dict[str, Any]:
    """What the app says of a user."""
    return {"name": f"user {number}", "orders": [10 * number + k for k in range(3)]}


def in_any_order() -> list[int]:
    """Numbers of users, shuffled."""
    return random.Random(7).sample(range(len(IDS)), len(IDS))


@pytest.fixture(scope="module")
def cassettes(filled: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every user's requests to the Flask app, one after the other."""
    folder = tmp_path_factory.mktemp("users")
    with testing.record(folder), DRIVERS["sync"].client(filled) as client:
        app = flask_app(client)
        for user in IDS:
            browser = app.test_client()
            browser.set_cookie("user", str(user))
            assert browser.get(f"/users/{user}").status_code == browser.get("/me").status_code == 200
            assert browser.get(f"/other/{user}").status_code == 200
    return folder


def test_concurrent_requests_get_their_own_documents_from_flask(cassettes: Path) -> None:
    """Fifty requests at once, in another order than recorded, each find what their own recording found."""
    with testing.replay(cassettes) as replay, DRIVERS["sync"].client(ELSEWHERE) as client:
        app = flask_app(client)
        with ThreadPoolExecutor(50) as pool:
            answers = dict(pool.map(lambda n: (n, app.test_client().get(f"/users/{IDS[n]}").json), in_any_order()))
    assert answers == {n: expected(n) for n in range(len(IDS))}
    assert replay.outcome().misses == []


def test_requests_that_differ_in_a_cookie_get_their_own_documents(cassettes: Path) -> None:
    """Where only the cookie tells users apart, it does."""
    with testing.replay(cassettes), DRIVERS["sync"].client(ELSEWHERE) as client:
        app = flask_app(client)

        def ask(number: int) -> Any:
            browser = app.test_client()
            browser.set_cookie("user", str(IDS[number]))
            return browser.get("/me").json

        with ThreadPoolExecutor(50) as pool:
            answers = dict(zip(in_any_order(), pool.map(ask, in_any_order()), strict=True))
    assert answers == {n: expected(n) for n in range(len(IDS))}


def test_query_for_another_id_is_a_miss(cassettes: Path) -> None:
    """An app that changed so that it asks for another user is not given the recorded one."""
    with testing.replay(cassettes) as replay, DRIVERS["sync"].client(ELSEWHERE) as client:
        app = flask_app(client)
        app.config.update(INSTEAD="65e0c5f0ffffffffffffffff", PROPAGATE_EXCEPTIONS=True)
        with pytest.raises(ReplayMiss, match=r"find users .*_id") as missed:
            app.test_client().get(f"/other/{IDS[3]}")
    assert not isinstance(missed.value, PyMongoError)
    assert [miss["key"] for miss in replay.outcome().misses] == [["mongodb", "shop", "find", "users"]]


def test_query_of_another_request_finds_only_what_it_asks_for(cassettes: Path) -> None:
    """An app that now asks for what another request asked for is given just that, and the report calls it borrowed."""
    with testing.replay(cassettes) as replay, DRIVERS["sync"].client(ELSEWHERE) as client:
        app = flask_app(client)
        app.config.update(INSTEAD=str(IDS[9]))
        assert app.test_client().get(f"/other/{IDS[3]}").json == {"name": "user 9"}
    assert replay.outcome().answered == {"borrowed": 1}


@pytest.mark.parametrize("driver", ["async", "motor"])
def test_concurrent_requests_get_their_own_documents_from_starlette(filled: str, tmp_path: Path, driver: str) -> None:
    """Fifty requests at once, replayed at once in another order, each find what their own recording found."""

    async def ask(uri: str, numbers: list[int]) -> dict[int, Any]:
        client = DRIVERS[driver].client(uri)
        transport = httpx.ASGITransport(app=starlette_app(client))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
            got = await asyncio.gather(*(browser.get(f"/users/{IDS[n]}") for n in numbers))
        await DRIVERS[driver].get(client.close())
        return {n: answer.json() for n, answer in zip(numbers, got, strict=True)}

    with testing.record(tmp_path):
        recorded = asyncio.run(ask(filled, list(range(50))))
    with testing.replay(tmp_path) as replay:
        replayed = asyncio.run(ask(ELSEWHERE, in_any_order()))
    assert recorded == replayed == {n: expected(n) for n in range(50)}
    assert replay.outcome().misses == []
