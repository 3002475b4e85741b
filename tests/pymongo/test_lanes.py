"""Which lane a call belongs to, whatever thread or task it is made in; and what the driver looks like afterwards."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.pymongo.driver import DRIVERS
from tests.pymongo.harness import ELSEWHERE, calls, run, twice
from tests.pymongo.proxy import Proxy
from timetracer_otel import autoload, testing
from timetracer_otel.cassette import loading
from timetracer_otel.families.mongodb.pymongo_server import SERVER
from timetracer_otel.integrations.pymongo import INTEGRATION


def fill(uri: str, count: int = 20) -> None:
    """Put numbered documents into the database."""
    with DRIVERS["sync"].client(uri) as client:
        client.lanes.numbers.drop()
        client.lanes.numbers.insert_many([{"_id": n, "name": f"number {n}"} for n in range(count)])


def flask_app(client: Any) -> flask.Flask:
    """Calls in threads, in an executor, and while the response streams."""
    app = flask.Flask("lanes")

    def name(number: int) -> str:
        return str(client.lanes.numbers.find_one({"_id": number})["name"])

    @app.get("/thread/<int:number>")
    def thread(number: int) -> str:
        found: list[str] = []
        worker = threading.Thread(target=lambda: found.append(name(number)))
        worker.start()
        worker.join()
        return found[0]

    @app.get("/executor/<int:number>")
    def executor(number: int) -> str:
        with ThreadPoolExecutor(4) as pool:
            return ",".join(pool.map(name, range(number, number + 4)))

    @app.get("/stream/<int:number>")
    def stream(number: int) -> flask.Response:
        cursor = client.lanes.numbers.find({"_id": {"$gte": number}}, batch_size=2).sort("_id", 1).limit(7)
        return flask.Response(f"{one['name']}\n" for one in cursor)

    return app


def test_a_lane_says_once_what_its_server_is(mongo_uri: str, tmp_path: Path) -> None:
    """Each lane stands for itself, and its later calls on the same connection need not repeat it."""
    fill(mongo_uri)
    with testing.record(tmp_path), DRIVERS["sync"].client(mongo_uri) as client:
        web = flask_app(client).test_client()
        for number in range(2):
            assert len(web.get(f"/stream/{number}").data.splitlines()) == 7
    lanes = loading.load(sorted(tmp_path.rglob("*.jsonl"))).lanes
    assert [[SERVER in call.attributes for call in lane.calls] for lane in lanes] == [[True, *[False] * 3]] * 2


def test_calls_in_threads_belong_to_their_request(mongo_uri: str, tmp_path: Path) -> None:
    """Calls of threads, executors and streaming bodies are recorded in the request's lane, and replay in it."""
    fill(mongo_uri)
    targets = [f"/{kind}/{number}" for kind in ("thread", "executor", "stream") for number in range(4)]

    def ask(uri: str) -> dict[str, str]:
        with DRIVERS["sync"].client(uri) as client:
            app = flask_app(client)
            with ThreadPoolExecutor(6) as pool:
                answers = pool.map(lambda target: app.test_client().get(target).text, targets)
                return dict(zip(targets, answers, strict=True))

    found = twice(tmp_path, ask, mongo_uri, ELSEWHERE)
    assert found.replayed == found.recorded
    assert (found.outcome.followed, found.outcome.misses, found.outcome.unused) == (len(targets), [], [])
    assert not [file for file in tmp_path.rglob("SESSION*") if "find" in file.read_text(encoding="utf-8")]


def starlette_app(client: Any, done: list[Any]) -> Starlette:
    """Calls in tasks, in the streaming body, and after the response."""

    async def tasks(request: Request) -> Response:
        number = int(request.path_params["number"])
        found = await asyncio.gather(*(client.lanes.numbers.find_one({"_id": n}) for n in range(number, number + 5)))
        return JSONResponse([one["name"] for one in found])

    async def stream(_request: Request) -> Response:
        async def body() -> Any:
            async for one in client.lanes.numbers.find({}, batch_size=3).sort("_id", 1).limit(8):
                yield one["name"]

        return StreamingResponse(body())

    async def later(_request: Request) -> Response:
        async def work() -> None:
            done.append(await client.lanes.numbers.find_one({"_id": 17}))

        return Response("soon", background=BackgroundTask(work))

    routes = [Route("/tasks/{number}", tasks), Route("/stream/{number}", stream), Route("/later/{number}", later)]
    return Starlette(routes=routes)


@pytest.mark.parametrize("driver", ["async", "motor"])
def test_calls_in_tasks_belong_to_their_request(mongo_uri: str, tmp_path: Path, driver: str) -> None:
    """Calls of tasks, streaming bodies and background tasks are recorded in the request's lane, and replay in it."""
    fill(mongo_uri)
    targets = [f"/{kind}/{number}" for kind in ("tasks", "stream", "later") for number in range(4)]

    async def ask(uri: str) -> tuple[dict[str, str], list[Any]]:
        client, done = DRIVERS[driver].client(uri), list[Any]()
        transport = httpx.ASGITransport(app=starlette_app(client, done))
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as browser:
            answers = await asyncio.gather(*(browser.get(target) for target in targets))
        await DRIVERS[driver].get(client.close())
        return {target: answer.text for target, answer in zip(targets, answers, strict=True)}, done

    found = twice(tmp_path, lambda uri: asyncio.run(ask(uri)), mongo_uri, ELSEWHERE)
    assert found.replayed == found.recorded
    assert (found.outcome.followed, found.outcome.misses) == (len(targets), [])


def test_client_made_before_is_recorded_and_replayed(mongo_uri: str, tmp_path: Path) -> None:
    """A client that was connected before the installation is covered, and a replay does not use its sockets."""
    fill(mongo_uri)
    with Proxy(mongo_uri) as proxy, DRIVERS["sync"].client(proxy.uri) as early:
        early.admin.command("ping")
        with testing.record(tmp_path):
            recorded = early.lanes.numbers.find_one({"_id": 3})
        assert [name for name in calls(tmp_path) if "find" in name]
        finds = proxy.seen["find"]
        with testing.replay(tmp_path) as replay:
            assert early.lanes.numbers.find_one({"_id": 3}) == recorded
        assert (proxy.seen["find"], replay.outcome().misses) == (finds, [])
        assert early.lanes.numbers.find_one({"_id": 4}) == {"_id": 4, "name": "number 4"}
        assert proxy.seen["find"] == finds + 1


def in_child(uri: str, reply: Any) -> None:
    """Ask in a forked process."""
    with DRIVERS["sync"].client(uri) as client:
        reply.send(client.lanes.numbers.find_one({"_id": 5}))


def fork_and_ask(uri: str) -> Any:
    """Ask here, then in a forked process, then here again."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    with DRIVERS["sync"].client(uri) as client:
        found = [client.lanes.numbers.find_one({"_id": 4})]
    child = context.Process(target=in_child, args=(uri, theirs))
    child.start()
    found.append(ours.recv())
    child.join()
    with DRIVERS["sync"].client(uri) as client:
        return [*found, client.lanes.numbers.find_one({"_id": 6})]


def test_forked_process_is_recorded_and_replayed(mongo_uri: str, tmp_path: Path) -> None:
    """A forked child has a session of its own, names its parent's, and is answered from it."""
    fill(mongo_uri)
    found = twice(tmp_path, fork_and_ask, mongo_uri, ELSEWHERE)
    assert found.replayed == found.recorded
    assert [one["_id"] for one in found.recorded] == [4, 5, 6]
    assert len(list(tmp_path.rglob("SESSION*"))) == 2


def test_replay_opens_no_connection_to_a_database_that_is_up(mongo_uri: str, tmp_path: Path) -> None:
    """With something listening at the recorded address, nothing connects to it."""
    fill(mongo_uri)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.01)
        uri = f"mongodb://127.0.0.1:{listener.getsockname()[1]}/"

        async def ask(client: Any, driver: str) -> Any:
            return await DRIVERS[driver].get(client.lanes.numbers.find_one({"_id": 1}))

        with testing.record(tmp_path):
            for name in DRIVERS:
                run(DRIVERS[name], partial(ask, driver=name), mongo_uri)
        with testing.replay(tmp_path) as replay:
            for name in DRIVERS:
                assert run(DRIVERS[name], partial(ask, driver=name), uri)["_id"] == 1
        with pytest.raises(TimeoutError):  # nobody is waiting
            listener.accept()
    assert replay.outcome().refused == []


def patched_objects() -> dict[str, Any]:
    """Give every object that the integration replaces, by its name."""
    found: dict[str, Any] = {}
    for patch in INTEGRATION.patches:
        owner: Any = __import__("sys").modules.get(patch.module)
        *path, name = patch.name.split(".")
        for part in path:
            owner = getattr(owner, part, None)
        found[f"{patch.module}.{patch.name}"] = vars(owner).get(name) if owner is not None else None
    return found


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Name the objects that are no longer the very same."""
    return [name for name, one in before.items() if after[name] is not one]


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_uninstalling_leaves_every_object_as_it_was(mongo_uri: str, tmp_path: Path, mode: str) -> None:
    """After a recording or a replay each patched name is the very object that it was."""
    with testing.record(tmp_path):
        fill(mongo_uri)
    before = patched_objects()
    with testing.record(tmp_path) if mode == "record" else testing.replay(tmp_path):
        during = differing(before, patched_objects())
        assert "pymongo.synchronous.pool.sendall" in during
        assert "pymongo.synchronous.topology.Topology.select_server" in during
    assert differing(before, patched_objects()) == []


def test_mode_off_patches_nothing(mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TIMETRACER_MODE=off neither installation nor the start-up hook touches an object."""
    before = patched_objects()
    monkeypatch.setenv("TIMETRACER_MODE", "off")
    autoload.pre_instrument()
    assert autoload.install().mode == "off"
    assert differing(before, patched_objects()) == []
    fill(mongo_uri)
    assert os.environ["TIMETRACER_MODE"] == "off"
