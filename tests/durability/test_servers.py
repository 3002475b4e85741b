"""Real servers that end in every way: what was answered 100 ms before is in readable cassettes."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from examples.support import free_port
from scripts.soak import SERVERS, ask, environment, found, killed_round, lost, serve
from tests.durability.harness import WSGI, Served, recorded

_EVERY = sorted(SERVERS)
_BUSY = 0.5
"""Seconds of grace where the machine runs other tests beside: a thread may wait so long for its turn."""


@pytest.mark.system
@pytest.mark.parametrize("server", _EVERY)
def test_a_killed_server_has_lost_nothing(tmp_path: Path, server: str) -> None:
    """SIGKILL for the whole process group, in the middle of concurrent requests, some of them large."""
    port = free_port()
    with serve(SERVERS[server], port, tmp_path, environment(tmp_path / "cassettes")) as program:
        outcome = ask(port, 2000, "--concurrency", "16", "--kill", str(program.pid), "--kill-after", "1500")
    assert outcome.killed is not None
    assert outcome.wrong == []
    loss = lost([outcome], tmp_path / "cassettes", _BUSY)
    assert loss.of > 0
    assert (loss.lost, loss.unreadable) == ((), ())


@pytest.mark.system
def test_a_killed_server_starts_again(tmp_path: Path) -> None:
    """The soak of `make soak`, in short: killed in the middle, started again, ended by SIGTERM."""
    loss = killed_round("gunicorn-gthread", tmp_path, requests=1000, concurrency=64, grace=_BUSY)
    assert loss.of > 500
    assert (loss.lost, loss.unreadable) == ((), ())


@pytest.mark.system
@pytest.mark.parametrize(
    ("server", "number"),
    [
        *(("flask", number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)),
        ("gunicorn-sync", signal.SIGTERM),
        ("uvicorn", signal.SIGTERM),
        ("uvicorn", signal.SIGINT),
    ],
)
def test_a_signal_right_after_an_answer(tmp_path: Path, server: str, number: signal.Signals) -> None:
    """What is small is on disk when its answer is: not even the last 100 ms are lost."""
    with Served(tmp_path, SERVERS[server]) as served:
        for item in range(1, 10):
            assert served.get(f"/items/{item}").startswith(f"{item} ")
        if server == "uvicorn":  # the last lane is written right behind its answer
            served.get("/items/11")
        served.program.send(number)
        served.program.wait()
    assert found(served.cassettes).numbers >= frozenset(range(1, 10))
    assert found(served.cassettes).unreadable == ()


CLOSES_LATE = """
    import sys, threading
    from flask import Flask, Response

    app = Flask(__name__)


    @app.get("/items/<number>")
    def item(number):
        response = Response("x" * 3_000_000)
        response.call_on_close(lambda: threading.Event().wait(0.3))
        return response


    app.run(port=int(sys.argv[1]), threaded=True)
"""


@pytest.mark.system
def test_a_signal_before_the_end_of_a_request_whose_answer_is_out(tmp_path: Path) -> None:
    """The client has all of a large answer, and its server is still busy with it: it is recorded."""
    program = tmp_path / "closes_late.py"
    program.write_text(textwrap.dedent(CLOSES_LATE))
    with Served(tmp_path, [sys.executable, str(program), "{port}"]) as served:
        assert len(served.get("/items/1")) == 3_000_000
        served.program.send(signal.SIGTERM)
        served.program.wait()
    assert recorded(served.cassettes) == ["/items/1"]


@pytest.mark.system
def test_workers_that_are_recycled(tmp_path: Path) -> None:
    """Gunicorn --max-requests: each worker ends by itself, under load, and nothing at all is lost."""
    command = [*SERVERS["gunicorn-gthread"], "--max-requests", "40", "--max-requests-jitter", "20"]
    port = free_port()
    with serve(command, port, tmp_path, environment(tmp_path / "cassettes")):
        outcome = ask(port, 300, "--concurrency", "8")
    assert len(outcome.answered) >= 290  # a connection that is closed under a request takes its number along
    assert lost([outcome], tmp_path / "cassettes").nothing


PROGRAM = """
    import multiprocessing, os, sys, time

    from tests.durability.app import wsgi


    def work(first, last, how):
        client = wsgi.test_client()
        for number in range(first, last):
            assert client.get(f"/items/{number}").data
            assert client.get(f"/large/{number}").data
        if how == "_exit":
            time.sleep(0.1)
            os._exit(0)


    if __name__ == "__main__":
        how = sys.argv[1]
        work(0, 5, "")
        if how == "_exit":
            work(5, 10, how)
        processes = [multiprocessing.get_context(how).Process(target=work, args=(n, n + 5, "")) for n in (5, 10)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        assert [process.exitcode for process in processes] == [0, 0]
"""


@pytest.mark.system
@pytest.mark.parametrize(("how", "count"), [("fork", 15), ("spawn", 15), ("forkserver", 15), ("_exit", 10)])
def test_processes_that_end_by_themselves(tmp_path: Path, how: str, count: int) -> None:
    """What the children of a program record is there, large answers too, though some children run no exit handlers."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", sys.executable, str(program), how]
    subprocess.run(command, env=environment(tmp_path / "cassettes"), cwd=tmp_path, check=True, timeout=60)
    wanted = {f"/{kind}/{number}" for kind in ("items", "large") for number in range(count)}
    assert set(recorded(tmp_path / "cassettes")) == wanted


def test_a_request_that_is_cut_leaves_no_broken_file(tmp_path: Path) -> None:
    """Killed while a large answer is streamed and partly on disk: there is no cassette of it, and none is broken."""
    with Served(tmp_path, WSGI) as served:
        served.get("/items/1")
        served.begin("/stream/30000000", 8_000_000)
        while not list(served.cassettes.glob(".*.part")):
            time.sleep(0.05)  # the writer is about to
        served.program.kill()
    assert recorded(served.cassettes) == ["/items/1"]
    assert list(served.cassettes.glob(".*.part"))  # a later process removes it when it is old
