"""Processes that requests start, verified: what they ask is compared, and belongs to the request that started them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.replay.test_children import counting, environment, run
from tests.support.commands import OTEL, REPLAY

pytestmark = pytest.mark.system  # each starts a server whose requests start programs

WORK = """
import json, os, sys, urllib.request

def ask(path):
    with urllib.request.urlopen(os.environ["PEER"] + path) as answer:
        return answer.read().decode()

def asks(name):
    more = json.loads(os.environ.get("ASKED", "{}")).get(name, [f"/{name}"])
    return [ask(path) for path in more]

def put(queue, name):
    queue.put(asks(name))

if __name__ == "__main__":
    print(*[len(one) > 0 for one in asks(sys.argv[1])])
"""
HANDLERS = """
import multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
import work

def command(name):
    done = subprocess.run([sys.executable, "work.py", name], stdout=subprocess.PIPE, text=True)
    return f"{done.returncode}"

def left(name):
    subprocess.Popen([sys.executable, "-c", f"import time, work; time.sleep(1); work.asks({name!r})"])
    return "left"

def nested(name):
    code = f"import subprocess, sys; subprocess.run([sys.executable, 'work.py', {name!r}])"
    subprocess.run([sys.executable, "-c", code])
    return "nested"

def process(method, name):
    context = multiprocessing.get_context(method)
    child = context.Process(target=work.asks, args=(name,))
    child.start()
    child.join()
    return f"{child.exitcode}"

def fork(name):
    return process("fork", name)

def spawn(name):
    return process("spawn", name)

pools = []

def pool(name):
    if not pools:
        pools.append(ProcessPoolExecutor(2, multiprocessing.get_context("fork")))
    return str(len(pools[0].submit(work.asks, "pool").result()))

def answer(how, name):
    return globals()[how](name)
"""
FLASK = """
from flask import Flask
import handlers
app = Flask(__name__)

@app.get("/<how>/<name>")
def handle(how, name):
    return handlers.answer(how, name)
"""
FASTAPI = """
import asyncio
from fastapi import FastAPI
import handlers
app = FastAPI()

@app.get("/{how}/{name}")
async def handle(how: str, name: str) -> str:
    return await asyncio.to_thread(handlers.answer, how, name)
"""
SERVERS: Mapping[str, Callable[[int], list[str]]] = {
    "flask": lambda port: ["flask", "run", "--port", str(port)],
    "fastapi": lambda port: ["uvicorn", "app:app", "--port", str(port)],
}


class Service:
    """A recorded web app whose requests start processes.

    Args:
        folder: an empty one.
        framework: ``flask`` or ``fastapi``.
        peer: what its processes ask.
    """

    def __init__(self, folder: Path, framework: str, peer: str) -> None:
        self.folder = folder
        self.peer = peer
        self.serve = SERVERS[framework]
        for name, text in (("work", WORK), ("handlers", HANDLERS), ("app", FLASK if framework == "flask" else FASTAPI)):
            (folder / f"{name}.py").write_text(text)

    def record(self, *paths: str) -> None:
        """Record a request to each path, two at a time: each interpreter that starts is a second's work."""
        port = free_port()
        env = environment(PEER=self.peer, OTEL_TRACES_EXPORTER="timetracer")
        command = [*OTEL, *self.serve(port)]
        with Program(command, log=self.folder / "record.log", env=env, cwd=self.folder) as program:
            program.wait_for_port(port)
            with ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(lambda path: Ask("GET", path).send(port), paths))
            self._wait_for(*(path for path in paths if path.startswith("/left/")))
        assert [one.status for one in answers] == [200] * len(paths), (self.folder / "record.log").read_text()

    def _wait_for(self, *paths: str) -> None:
        """Wait until the processes that nobody waits for are recorded."""
        until = time.monotonic() + 60
        for path in paths:
            asked = f"{self.peer}/{path.rpartition('/')[2]}".encode()
            while not any(asked in file.read_bytes() for file in self.folder.glob("cassettes/*/*/SESSION__*")):
                assert time.monotonic() < until, "it never asked"
                time.sleep(0.1)

    def verify(
        self, *options: str, env: Mapping[str, str] | None = None, cassettes: str = "cassettes"
    ) -> subprocess.CompletedProcess[str]:
        """Verify it, all that was recorded or some of it."""
        words = [*REPLAY, "--verify", cassettes, *options, "--", *self.serve(free_port())]
        return run(self.folder, words, environment(PEER=self.peer, **(env or {})))


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("framework", SERVERS)
def test_the_unchanged_app_passes(framework: str, concurrency: int, tmp_path: Path) -> None:
    """However its requests start their processes, and whichever of them starts a pool that all use."""
    paths = [f"/{how}/{name}" for how in ("command", "nested", "fork", "spawn", "pool") for name in ("one", "two")]
    with counting() as peer:
        service = Service(tmp_path, framework, peer)
        service.record(*paths)
    told = service.verify("--concurrency", str(concurrency))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "10 checked, 10 passed" in told.stdout
    assert "note:" not in told.stdout


CHANGES = {
    "changed": (["/changed?now"], "changed http GET"),
    "other": (["/elsewhere"], "extra http GET"),
    "fewer": ([], "missing http GET"),
    "more": (["/more", "/new"], "extra http GET"),
    "twice": (["/twice", "/twice"], "extra http GET"),
    "theirs": (["/theirs", "/same"], "extra http GET"),
}
"""What the process of a request asks now, and what is said of it."""


@pytest.mark.parametrize(("how", "names"), [("fork", [*CHANGES]), ("command", ["fewer", "theirs"])])
def test_a_process_that_asks_otherwise_differs(how: str, names: list[str], tmp_path: Path) -> None:
    """Also when nobody looks at how it ends; it is told of the request that started it, and of no other."""
    with counting() as peer:
        service = Service(tmp_path, "flask", peer)
        service.record(*(f"/{how}/{name}" for name in (*names, "same")))
    asked = {name: CHANGES[name][0] for name in names}
    told = service.verify(env={"ASKED": json.dumps(asked)})
    assert told.returncode == 1, told.stdout + told.stderr
    assert f"{len(names) + 1} checked, 1 passed" in told.stdout
    for name in names:
        said = told.stdout.partition(f"DIFFERS GET /{how}/{name} ")[2].partition("DIFFERS")[0]
        assert f"  {CHANGES[name][1]}" in said
        assert "by a process that it started" in said


@pytest.mark.parametrize("how", ["nested", "spawn", "left"])
def test_any_process_that_asks_otherwise_differs(how: str, tmp_path: Path) -> None:
    """One that another process started, one of multiprocessing, and one that nobody waits for."""
    with counting() as peer:
        service = Service(tmp_path, "flask", peer)
        service.record(f"/{how}/changed", f"/{how}/same")
    told = service.verify(env={"ASKED": '{"changed": ["/changed?now"]}'})
    assert told.returncode == 1, told.stdout + told.stderr
    assert "2 checked, 1 passed" in told.stdout
    assert f"DIFFERS GET /{how}/changed" in told.stdout
    assert "changed http GET" in told.stdout


def test_a_process_that_is_left_to_itself_is_waited_for(tmp_path: Path) -> None:
    """What it asks long after the response is no missing call."""
    with counting() as peer:
        service = Service(tmp_path, "flask", peer)
        service.record("/left/one")
    told = service.verify()
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("how", ["fork", "nested"])
def test_one_lane_finds_the_processes_that_it_started(how: str, tmp_path: Path) -> None:
    """Their files stand beside its own, and are no argument."""
    with counting() as peer:
        service = Service(tmp_path, "flask", peer)
        service.record(f"/{how}/one", f"/{how}/two")
    lane = min(tmp_path.glob("cassettes/*/*/GET__*"))
    told = service.verify(cassettes=str(lane))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "1 checked, 1 passed" in told.stdout
    changed = service.verify(cassettes=str(lane), env={"ASKED": '{"one": ["/other"], "two": ["/other"]}'})
    assert changed.returncode == 1, changed.stdout + changed.stderr


def test_a_process_that_is_not_started_any_more_is_missed(tmp_path: Path) -> None:
    """Its request no longer does what it did."""
    with counting() as peer:
        service = Service(tmp_path, "flask", peer)
        service.record("/command/one")
    (tmp_path / "handlers.py").write_text("def answer(how, name):\n    return '0'\n")
    told = service.verify()
    assert told.returncode == 1, told.stdout + told.stderr
    assert "missing http GET" in told.stdout


def test_a_python_that_cannot_be_answered_fails_its_request(tmp_path: Path) -> None:
    """What it asked went out."""
    other = tmp_path / "python3"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    with counting() as peer:
        service = Service(tmp_path, "flask", peer)
        (tmp_path / "handlers.py").write_text(
            "import subprocess\ndef answer(*_):\n    subprocess.run(['./python3', '-I', '-c', ''])\n    return ''\n"
        )
        service.record("/any/one")
    told = service.verify()
    assert told.returncode == 1, told.stdout + told.stderr
    assert "DIFFERS GET /any/one" in told.stdout
    assert "not replayed" in told.stdout
