"""Real workers of a task library: recorded over a real broker, replayed with broker and peer gone."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from examples.support import Program
from tests.support.serving import Telling, serving
from timetracer_otel import spans
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.finding import below
from timetracer_otel.cassette.model import Cassette, Lane, Span
from timetracer_otel.families.kinds import task
from timetracer_otel.families.redis import forgetful
from timetracer_otel.families.redis.wire import commands_in

_SECONDS: Final = 90.0


class App(NamedTuple):
    """An app with tasks.

    Attributes:
        folder: where its module is, whose ``send`` asks for its tasks.
        module: its name.
        executions: what that comes to.
        worker: the command line of its worker.
        settings: more environment variables.
        programs: the folder of Python and the commands.
    """

    folder: Path
    module: str
    executions: int
    worker: tuple[str, ...]
    settings: Mapping[str, str]
    programs: Path = Path(sys.executable).parent

    def environment(self, **settings: str) -> dict[str, str]:
        """Our environment, our programs first."""
        path = os.pathsep.join((str(self.programs), os.environ.get("PATH", "")))
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.folder), **self.settings, **settings}


class Recorded(NamedTuple):
    """A recording of a worker."""

    app: App
    cassettes: Path
    peer: str

    def lanes(self, name: str = "") -> list[Lane]:
        """The executions of a task, in order of start."""
        return [lane for lane in executions(self.cassettes) if lane.entry and name in lane.entry.name]

    def replay(self, *options: str, command: Iterable[str] = (), **settings: str) -> tuple[int, str]:
        """Run the launcher; give its exit status and what it said."""
        words = [
            str(self.app.programs / "timetracer-replay"),
            str(self.cassettes),
            *options,
            "--",
            *(command or self.app.worker),
        ]
        env = self.app.environment(PEER=self.peer, **settings)
        done = subprocess.run(
            words, cwd=self.app.folder, env=env, capture_output=True, text=True, timeout=_SECONDS * 2, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def assert_replays(self) -> None:
        """A worker gets each recorded task once, has every call answered, and ends with status 0."""
        status, said = self.replay()
        total = self.app.executions
        assert status == 0, said
        assert f"{total} requests, {total} of them recorded" in said, said
        assert "0 missed, 0 unused" in said, said

    def assert_verifies(self) -> None:
        """An unchanged app passes."""
        status, said = self.replay("--verify")
        total = self.app.executions
        assert f"{total} checked, {total} passed, 0 differ" in said, said
        assert status == 0, said

    def assert_finds(self, changed: str, told: str) -> None:
        """A change is found, and named so."""
        status, said = self.replay("--verify", CHANGED=changed)
        assert status == 1, said
        assert told in said, said

    def assert_tried_twice(self, name: str) -> tuple[Span, Span]:
        """Both tries of a task are lanes of it; give their entries."""
        first, second = (lane.entry for lane in self.lanes(name))
        assert first is not None
        assert second is not None
        assert first.text(task.TASK_ID) == second.text(task.TASK_ID)
        assert (first.attributes[task.RETRIES], second.attributes[task.RETRIES]) == (0, 1)
        return first, second

    def called(self, code: str) -> tuple[int, str]:
        """Run code outside any worker."""
        return self.replay(command=("python", "-c", code))


def executions(cassettes: Path) -> list[Lane]:
    """The lanes of tasks."""
    there = cassettes.exists() and list(below(cassettes))
    found = loading.load(below(cassettes)) if there else Cassette([], {})
    return [lane for lane in found.lanes if lane.entry is not None and lane.entry.text(task.NAME)]


def outcome(lane: Lane) -> dict[str, object]:
    """What came of an execution."""
    assert lane.entry is not None
    told: dict[str, object] = json.loads(lane.entry.payload(task.OUTCOME) or b"{}")
    return told


def published(lane: Lane) -> list[str]:
    """The names of the tasks that an execution has asked for."""
    requests = [json.loads(call.payload(spans.REQUEST) or b"{}") for call in lane.calls if call.kind.name == "PRODUCER"]
    return [str(request["name"] or request["destination"]) for request in requests]


def record(app: App, folder: Path) -> Recorded:
    """Record a worker over a broker that runs: its tasks are sent first. The peer is gone afterwards."""
    cassettes = folder / "cassettes"
    with serving(Telling) as url:
        env = app.environment(PEER=url, TIMETRACER_DIR=str(cassettes))
        sending = f"import {app.module}; {app.module}.send()"
        subprocess.run(
            [str(app.programs / "python"), "-c", sending], cwd=app.folder, env=env, check=True, timeout=_SECONDS
        )
        command = [str(app.programs / "opentelemetry-instrument"), "--traces_exporter", "timetracer", *app.worker]
        with Program(command, log=folder / "worker.log", env=env, cwd=app.folder):
            until = time.monotonic() + _SECONDS
            while len(executions(cassettes)) < app.executions:
                assert time.monotonic() < until, (folder / "worker.log").read_text()
                time.sleep(0.1)
    return Recorded(app, cassettes, url)


@contextmanager
def forgetting() -> Iterator[int]:
    """Run a Redis that is empty and forgets what it is told; give its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(1 << 20):
                self.request.sendall(b"".join(forgetful.replies(commands_in(data), 2)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
