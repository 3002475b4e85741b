"""A suite as people have them: two hundred tests of four kinds, recorded once, then in any order without a database."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.plugin.suites import PLUGIN
from tests.support.mongo import MongoServer

APP = """
    import os, time, uuid
    from fastapi import FastAPI
    from flask import Flask
    from pymongo import AsyncMongoClient, MongoClient

    URI = os.environ["MONGODB_URI"]
    ORDERS = MongoClient(URI, serverSelectionTimeoutMS=30000).shop.orders
    flask_app, fastapi_app = Flask("orders"), FastAPI()

    def add(kind, number):
        ORDERS.insert_one({"_id": str(uuid.uuid4()), "kind": kind, "number": number, "at": time.time()})
        return {"count": ORDERS.count_documents({"kind": kind, "number": number}), "id": str(uuid.uuid4())}

    @flask_app.post("/<int:number>")
    def flask_view(number):
        return add("flask", number)

    @fastapi_app.post("/{number}")
    def fastapi_view(number: int):
        return add("fastapi", number)

    @fastapi_app.post("/async/{number}")
    async def async_view(number: int):
        async with AsyncMongoClient(URI, serverSelectionTimeoutMS=30000) as client:
            orders = client.shop.orders
            await orders.insert_one({"kind": "async", "number": number})
            return {"count": await orders.count_documents({"kind": "async", "number": number})}
    """

KINDS = {
    "flask": """
        assert flask_app.test_client().post("/{n}").json["count"] == 1
        assert len(timetracer.calls(system="mongodb", collection="orders")) == 2
        """,
    "fastapi": """
        assert TestClient(fastapi_app).post("/{n}").json()["count"] == 1
        """,
    "pymongo": """
        ORDERS.insert_many([{{"kind": "plain", "number": {n}, "part": part}} for part in range(3)])
        parts = [one["part"] for one in ORDERS.find({{"kind": "plain", "number": {n}}}).batch_size(2)]
        assert sorted(parts) == [0, 1, 2]
        """,
    "asgi": """
        async def ask():
            transport = httpx.ASGITransport(app=fastapi_app)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
                return (await client.post("/async/{n}")).json()
        assert asyncio.run(ask())["count"] == 1
        """,
}
HEAD = """import asyncio, httpx
from fastapi.testclient import TestClient
from shop import ORDERS, fastapi_app, flask_app
"""
EACH = 50

ORDER = """
    import os, random

    def pytest_collection_modifyitems(items):
        if seed := os.environ.get("SUITE_SEED"):
            random.Random(int(seed)).shuffle(items)
    """


class _Suite:
    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder
        self._environ = {**os.environ, "MONGODB_URI": uri, "PYTHONPATH": str(folder)}
        (folder / "shop.py").write_text(dedent(APP))
        (folder / "conftest.py").write_text(dedent(ORDER))
        for kind, body in KINDS.items():
            tests = (
                f"\ndef test_{kind}_{n}(timetracer):\n"
                + "".join(f"    {line}\n" for line in dedent(body).format(n=n).splitlines())
                for n in range(EACH)
            )
            (folder / f"test_{kind}.py").write_text(HEAD + "".join(tests))

    def run(self, *arguments: str, seed: str = "") -> str:
        """Run it; give the last line of what it says."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PLUGIN, *arguments]
        environ = {**self._environ, "SUITE_SEED": seed}
        ended = subprocess.run(
            command, cwd=self._folder, env=environ, capture_output=True, text=True, timeout=600, check=False
        )
        assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
        return ended.stdout.splitlines()[-1]


@pytest.mark.system
def test_two_hundred_tests_run_in_any_order_without_a_database(tmp_path: Path, mongo_server: MongoServer) -> None:
    """Recorded by two workers; then whole, shuffled, shuffled under xdist, in subsets, and one alone."""
    suite = _Suite(tmp_path, mongo_server.uri)
    assert "200 passed" in suite.run("-n", "2")
    mongo_server.stop()
    strict = ("--timetracer-mode=none", "--timetracer-strict", "--block-network")
    assert "200 passed" in suite.run(*strict)
    for seed in ("1", "2"):
        assert "200 passed" in suite.run(*strict, seed=seed)
    assert "200 passed" in suite.run(*strict, "-n", "3", "--dist", "worksteal", seed="3")
    chosen = random.Random(4).sample([f"test_{kind}.py::test_{kind}_{n}" for kind in KINDS for n in range(EACH)], 20)
    assert "20 passed" in suite.run(*strict, *chosen)
    for alone in chosen[:4]:
        assert "1 passed" in suite.run(*strict, alone)
