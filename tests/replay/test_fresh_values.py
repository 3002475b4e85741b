"""Values that no Python function drew: what differs by nature passes a verification, what need not is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.http.server import ShapeServer
from tests.pymongo.harness import ELSEWHERE
from tests.support.commands import OTEL, REPLAY
from tests.support.mongo import MongoServer

pytestmark = pytest.mark.system  # half a minute of CPU: each case starts programs

PROGRAM = """
import ctypes, datetime, json, os, urllib.request, uuid
from pymongo import MongoClient


def drawn(size):  # as a library in C draws
    with open("/dev/urandom", "rb") as source:
        return source.read(size)


def seconds():  # as a library in C reads the clock
    return ctypes.CDLL(None).time(None)


MADE = {
    "uuid4": lambda: str(uuid.UUID(bytes=drawn(16), version=4)),
    "constant": lambda: os.environ["CONSTANT"],
    "uuid7": lambda: str(uuid.UUID(bytes=(seconds() * 1000).to_bytes(6, "big") + b"\\x70" + drawn(9))),
    "object id": lambda: seconds().to_bytes(4, "big").hex() + drawn(8).hex(),
    "bcrypt": lambda: "$2b$12$" + drawn(26).hex() + ".",
    "time": lambda: datetime.datetime.fromtimestamp(seconds(), datetime.UTC).isoformat(),
    "epoch": seconds,
}
made = MADE[os.environ["KIND"]]()
items = MongoClient(os.environ["MONGODB_URI"]).shop.items
items.insert_one({"_id": made, "name": "tea", "note": f"made as {made}"})
url = os.environ["PEER"] + f"/echo?id={made}"
asked = urllib.request.Request(url, json.dumps({"id": made}).encode(), method="POST")
asked.add_header("Content-Type", "application/json")
print(urllib.request.urlopen(asked).status)
found = items.find_one({"_id": made})
print(found["name"], found["_id"] == made, found["note"] == f"made as {made}")
"""
A, B = "5e2d6a34-9c1f-4b7e-8a55-0d8f6f6f1c11", "0c6b9a0e-27f3-4d0c-9b11-f3a0a4b5c6d7"


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command."""
    whole = {**os.environ, "TIMETRACER_DIR": str(folder / "cassettes"), **env}
    return subprocess.run(command, env=whole, capture_output=True, text=True, timeout=100, check=False)


def verified(server: MongoServer, folder: Path, kind: str, **recording: str) -> subprocess.CompletedProcess[str]:
    """Record the program with one kind of value, and verify it with database and peer gone."""
    file = folder / "program.py"
    file.write_text(PROGRAM, encoding="utf-8")
    program = [sys.executable, str(file)]
    with ShapeServer() as peer:
        env = {"KIND": kind, "PEER": peer.url, "CONSTANT": A, **recording}
        recorded = run([*OTEL, "--traces_exporter", "timetracer", *program], folder, MONGODB_URI=server.uri, **env)
    assert recorded.stdout == "200\ntea True True\n", recorded.stderr
    server.stop()
    command = [*REPLAY, "--verify", str(folder / "cassettes"), "--", *program]
    return run(command, folder, **{**env, "MONGODB_URI": ELSEWHERE, "CONSTANT": B})


@pytest.mark.parametrize("kind", ["uuid7", "object id", "bcrypt", "time", "epoch"])
def test_what_differs_by_nature_verifies(mongo_server: MongoServer, tmp_path: Path, kind: str) -> None:
    """An unchanged program passes: database, peer and the program agree on the new value."""
    found = verified(mongo_server, tmp_path, kind)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("kind", ["uuid4", "constant"])
def test_what_could_be_a_constant_is_a_change(mongo_server: MongoServer, tmp_path: Path, kind: str) -> None:
    """A random id says nothing of where it comes from: where draws were recorded, another one is told, once."""
    found = verified(mongo_server, tmp_path, kind)
    assert found.returncode == 1
    assert "changed mongodb shop insert items" in found.stdout + found.stderr
    assert (found.stdout + found.stderr).count("changed ") == 1


@pytest.mark.parametrize("kind", ["uuid4", "uuid7", "bcrypt"])
def test_without_recorded_draws_every_fresh_value_may_differ(
    mongo_server: MongoServer, tmp_path: Path, kind: str
) -> None:
    """As in recordings of older versions."""
    found = verified(mongo_server, tmp_path, kind, TIMETRACER_NONDETERMINISM="none")
    assert found.returncode == 0, found.stdout + found.stderr
