"""Processes of the same code, started by one program: each follows what the same child drew and asked, no other one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.support.commands import OTEL, REPLAY
from tests.support.serving import serving

pytestmark = pytest.mark.system  # minutes: each case starts programs that start programs


@contextmanager
def counting() -> Iterator[str]:
    """A server on loopback that answers each request with another number."""
    numbers = count()

    class Counts(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = str(next(numbers)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Counts) as url:
        yield url


def environment(**settings: str) -> dict[str, str]:
    """Our environment, our programs first; the examples' are found from anywhere."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "TIMETRACER_RAISE_FAULTS": "1", **settings}


def run(folder: Path, command: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder."""
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=110, check=False)


CHILD = """
import os, sys, urllib.request, uuid
print(*sys.argv[1:], uuid.uuid4(), urllib.request.urlopen(os.environ["PEER"]).read(), flush=True)
"""
SCRIPT = """
import multiprocessing, os, subprocess, sys, urllib.request, uuid
from concurrent.futures import ThreadPoolExecutor

CODE = "import uuid; print('{}', uuid.uuid4())"

def child(number):
    print(number, uuid.uuid4(), urllib.request.urlopen(os.environ["PEER"]).read(), flush=True)

def start(*words, **options):
    return subprocess.check_output([sys.executable, *words], text=True, **options)

def start_both(name):
    return name, [start("child.py") for _ in range(2)]

if __name__ == "__main__":
    how = sys.argv[1]
    if how == "command":
        order = os.environ.get("ORDER", "one two").split()
        print(*sorted(start("child.py", word) for word in order))
    elif how == "same":
        print(start("child.py"), start("child.py"), start("child.py", env=dict(os.environ)))
    elif how == "code":
        print(start("-c", CODE.format("first")), start("-I", "-c", CODE.format("second")))
    elif how == "preexec":
        print(start("child.py", preexec_fn=os.getpid), start("child.py", preexec_fn=os.getpid))
    elif how == "shell":
        for _ in range(2):
            print(subprocess.check_output(f"{sys.executable} child.py; true", shell=True, text=True))
    elif how == "threads":
        with ThreadPoolExecutor(3) as pool:
            print(*pool.map(start_both, "abc"))
    else:
        context = multiprocessing.get_context(how)
        for number in range(3):
            process = context.Process(target=child, args=(number,))
            process.start()
            process.join()
"""
KINDS = ("command", "same", "code", "preexec", "shell", "threads", "spawn", "fork")


def record(folder: Path, how: str) -> str:
    """Record the script; give what it printed."""
    (folder / "job.py").write_text(SCRIPT)
    (folder / "child.py").write_text(CHILD)
    with counting() as peer:
        words = [*OTEL, "--traces_exporter", "timetracer", sys.executable, "job.py", how]
        recorded = run(folder, words, environment(PEER=peer))
    assert recorded.returncode == 0, recorded.stderr
    (folder / "peer").write_text(peer)
    return recorded.stdout


@pytest.mark.parametrize("how", KINDS)
def test_each_child_is_given_its_own_again(how: str, tmp_path: Path) -> None:
    """Ids and answers, also where nothing tells the children apart but their place."""
    live = record(tmp_path, how)
    env = environment(PEER=(tmp_path / "peer").read_text())
    again = run(tmp_path, [*REPLAY, "cassettes", "--", sys.executable, "job.py", how], env)
    assert again.stdout == live, again.stderr
    told = run(tmp_path, [*REPLAY, "--verify", "cassettes", "--", sys.executable, "job.py", how], env)
    assert told.returncode == 0, told.stdout + told.stderr


def test_a_child_that_is_started_elsewhere_is_known_by_its_command(tmp_path: Path) -> None:
    """The changed program starts the second first."""
    live = record(tmp_path, "command")
    env = environment(PEER=(tmp_path / "peer").read_text(), ORDER="two one")
    again = run(tmp_path, [*REPLAY, "cassettes", "--", sys.executable, "job.py", "command"], env)
    assert again.stdout == live, again.stderr


APP = """
import multiprocessing, subprocess, sys, uuid
from flask import Flask

app = Flask(__name__)

@app.get("/command/<name>")
def command(name):
    return "".join(subprocess.check_output([sys.executable, "child.py"], text=True) for _ in range(2))

def work(queue):
    queue.put(uuid.uuid4().hex)

@app.get("/fork/<name>")
def fork(name):
    context, drawn = multiprocessing.get_context("fork"), []
    queue = context.Queue()
    for _ in range(2):
        process = context.Process(target=work, args=(queue,))
        process.start()
        drawn.append(queue.get())
        process.join()
    return drawn
"""


def test_children_of_requests_are_each_requests_own(tmp_path: Path) -> None:
    """Requests that start the same program at the same time do not mix their children."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "child.py").write_text(CHILD)
    port = free_port()
    with counting() as peer:
        env = environment(PEER=peer, TIMETRACER_DIR=str(tmp_path / "cassettes"), OTEL_TRACES_EXPORTER="timetracer")
        command = [*OTEL, "flask", "run", "--port", str(port)]
        with Program(command, log=tmp_path / "record.log", env=env, cwd=tmp_path) as program:
            program.wait_for_port(port)
            paths = [f"/{how}/{name}" for how in ("command", "fork") for name in ("one", "two")]
            with ThreadPoolExecutor() as pool:
                answers = list(pool.map(lambda path: Ask("GET", path).send(port), paths))
    assert [answer.status for answer in answers] == [200] * 4
    words = [*REPLAY, "--verify", "cassettes", "--", "flask", "run", "--port", str(free_port())]
    told = run(tmp_path, words, environment(PEER=peer))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "4 checked, 4 passed" in told.stdout
