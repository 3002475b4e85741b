"""An app of no framework is recorded where its server calls it, and verified with its peer gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from wsgiref.simple_server import WSGIServer, make_server

import pytest
from flask import Flask
from werkzeug.test import Client
from werkzeug.wrappers import Response

from examples.asking import Ask
from examples.support import Program, free_port
from tests.entries.doubles import NotingRuntime
from tests.support.commands import OTEL, REPLAY
from tests.support.serving import Telling, serving
from timetracer_otel import seams
from timetracer_otel.integrations import flask, wsgi
from timetracer_otel.seams import Integration, patching

HERE = Path(__file__).parent
RUN_SIMPLE = "import sys, plain_app, werkzeug.serving as s; s.run_simple('127.0.0.1', int(sys.argv[1]), plain_app.wsgi)"
PYWSGI = "import sys, plain_app, gevent.pywsgi as s; s.WSGIServer(sys.argv[1], plain_app.wsgi).serve_forever()"
SERVERS = {
    "gunicorn": ("gunicorn", "-b", "127.0.0.1:{port}", "plain_app:wsgi"),
    "gunicorn, threads": ("gunicorn", "-b", "127.0.0.1:{port}", "--threads", "4", "plain_app:wsgi"),
    "gunicorn, gevent": ("gunicorn", "-b", "127.0.0.1:{port}", "-k", "gevent", "plain_app:wsgi"),
    "waitress": ("waitress-serve", "--listen", "127.0.0.1:{port}", "plain_app:wsgi"),
    "granian, WSGI": ("granian", "--interface", "wsgi", "--port", "{port}", "plain_app:wsgi"),
    "granian, ASGI": ("granian", "--interface", "asgi", "--port", "{port}", "plain_app:asgi"),
    "hypercorn, WSGI": ("hypercorn", "-b", "127.0.0.1:{port}", "plain_app:wsgi"),
    "hypercorn, ASGI": ("hypercorn", "-b", "127.0.0.1:{port}", "plain_app:asgi"),
    "uvicorn": ("uvicorn", "--port", "{port}", "plain_app:an_object"),
    "daphne": ("daphne", "-p", "{port}", "plain_app:asgi"),
    "werkzeug": (sys.executable, "-c", RUN_SIMPLE, "{port}"),
    "gevent": (sys.executable, "-c", PYWSGI, "127.0.0.1:{port}"),
}
ASKS = (Ask("GET", "/a"), Ask("POST", "/b", {"text": "x" * 70_000}), Ask("GET", "/a?again=1"), Ask("GET", "/late"))


def started(words: tuple[str, ...], port: int) -> list[str]:
    """A server's command line for a port."""
    return [word.format(port=port) for word in words]


@pytest.mark.system
@pytest.mark.parametrize("server", SERVERS)
def test_a_plain_function_is_an_entry_behind_each_server(server: str, tmp_path: Path) -> None:
    """No framework has to bring a seam of its own; an app that fails late is judged by what its server made of it."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(HERE), "TIMETRACER_DIR": str(tmp_path / "cassettes")}
    port = free_port()
    command = [*OTEL, "--traces_exporter", "timetracer", *started(SERVERS[server], port)]
    with (
        serving(Telling) as peer,
        Program(command, log=tmp_path / "log", env=env | {"PEER": peer}, cwd=HERE) as program,
    ):
        program.wait_for_port(port)
        assert [ask.send(port).status for ask in ASKS] == [200, 200, 200, 500]
    words = [*REPLAY, "--verify", str(tmp_path / "cassettes"), "--concurrency", "4", "--"]
    env["PEER"] = "http://127.0.0.1:1"
    done = subprocess.run(
        [*words, *started(SERVERS[server], free_port())],
        cwd=HERE, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(ASKS)} checked, {len(ASKS)} passed" in done.stdout
    assert f"{len(ASKS)} calls answered" in done.stdout


@pytest.mark.usefixtures("patched")
def test_an_app_is_gone_around_once(runtime: NotingRuntime) -> None:
    """A server that is given what another one has is left as it is; so is one that has no app."""
    server = make_server("127.0.0.1", 0, lambda _environ, _start: [])
    with server:
        app = server.get_app()
        server.set_app(app)
        assert server.get_app() is app
        server.set_app(None)
        assert server.get_app() is None
    assert type(server) is WSGIServer
    assert not runtime.lanes


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("integration", [wsgi.INTEGRATION, flask.INTEGRATION], ids=lambda one: one.name)
def test_an_app_that_is_served_can_be_left_alone(
    integration: Integration, runtime: NotingRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Switching off the framework that made it does so, though its server's integration is on."""
    monkeypatch.setitem(seams.integrations, integration.name, integration)
    app = Flask("shop") if integration is flask.INTEGRATION else Response("hello")
    with make_server("127.0.0.1", 0, app) as server:
        served = server.get_app()
        assert served is not None
        Client(served).get("/a")
        assert len(runtime.lanes) == 1
        monkeypatch.setattr(seams.runtime, "switched_off", {integration.name})
        patching.undo(integration.name)
        Client(served).get("/a")
    assert len(runtime.lanes) == 1
