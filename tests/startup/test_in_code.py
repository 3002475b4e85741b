"""Set up in code: in no mode nothing happens, and the app stays what servers, commands and type checks take it for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.support.commands import REPLAY
from timetracer_otel.cassette import loading, storage

SET_UP = {
    "install-first": "import timetracer_otel\ntimetracer_otel.install()\n{make}",
    "install-last": "import timetracer_otel\n{make}\ntimetracer_otel.install()",
    "auto_setup": "from timetracer_otel.integrations.{name} import auto_setup\n{make}\nassert auto_setup(app) is app",
    "middleware": "from timetracer_otel.integrations.{name} import TimeTracerMiddleware\n{make}\n{wrap}",
}
FRAMEWORKS = {
    "flask": (
        "import flask\nfrom flask import Flask\nEARLY, MODULE = Flask, flask\n",
        "app = Flask(__name__)\napp.add_url_rule('/x', view_func=lambda: 'made here')",
        "app.wsgi_app = TimeTracerMiddleware(app.wsgi_app)",
    ),
    "starlette": (
        "from starlette import applications as MODULE, responses\nStarlette = EARLY = MODULE.Starlette\n",
        "app = Starlette()\napp.add_route('/x', lambda request: responses.PlainTextResponse('made here'))",
        "app.add_middleware(TimeTracerMiddleware)",
    ),
    "fastapi": (
        "import fastapi as MODULE\nfrom fastapi.responses import *\nFastAPI = EARLY = MODULE.FastAPI\n",
        "app = FastAPI()\n@app.get('/x', response_class=PlainTextResponse)\ndef x():\n    return 'made here'",
        "app.add_middleware(TimeTracerMiddleware)",
    ),
}
CLASSES = {"flask": "Flask", "starlette": "Starlette", "fastapi": "FastAPI"}
SERVERS = {
    "flask run": ("-m", "flask", "--app", "coded", "run", "--port"),
    "gunicorn": ("-m", "gunicorn", "coded:app", "--bind"),
    "uvicorn": ("-m", "uvicorn", "coded:app", "--port"),
}


def write(folder: Path, name: str, how: str, more: str = "") -> None:
    """Write ``coded.py``: an app of a framework, set up in a way."""
    imported, make, wrap = FRAMEWORKS[name]
    (folder / "coded.py").write_text(imported + SET_UP[how].format(name=name, make=make, wrap=wrap) + more)


def served(folder: Path, server: str, *before: str, mode: str | None) -> bytes:
    """Start the server in a folder, ask it once, end it; what it answered."""
    port = free_port()
    address = f"127.0.0.1:{port}" if server == "gunicorn" else str(port)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TIMETRACER_MODE", "OTEL_"))}
    if mode is not None:
        env["TIMETRACER_MODE"] = mode
    command = [*before, sys.executable, *SERVERS[server], address]
    with Program(command, log=folder / "server.log", env=env, cwd=folder) as program:
        program.wait_for_port(port)
        answered = Ask("GET", "/x").send(port)
        os.kill(program.pid, signal.SIGTERM)
    return answered.body


PAIRS = [
    ("flask", "auto_setup", "flask run"),
    ("flask", "middleware", "flask run"),
    ("flask", "install-first", "flask run"),
    ("flask", "install-last", "gunicorn"),
    ("starlette", "auto_setup", "uvicorn"),
    ("fastapi", "auto_setup", "uvicorn"),
    ("fastapi", "middleware", "uvicorn"),
    ("fastapi", "install-last", "uvicorn"),
]


@pytest.mark.parametrize(("name", "how", "server"), PAIRS)
def test_a_real_server_finds_the_app(tmp_path: Path, name: str, how: str, server: str) -> None:
    """It is recorded once under TIMETRACER_MODE=record, and answers as ever."""
    write(tmp_path, name, how)
    assert served(tmp_path, server, mode="record") == b"made here"
    (lane,) = loading.load(storage.find([str(tmp_path / "cassettes")], tmp_path)).lanes
    assert lane.entry is not None
    assert lane.entry.payload("http.response.body.content") == b"made here"


@pytest.mark.system
@pytest.mark.parametrize("name", FRAMEWORKS)
@pytest.mark.parametrize("how", SET_UP)
def test_the_class_of_apps_stays(tmp_path: Path, name: str, how: str) -> None:
    """``isinstance``, the class itself, attributes and subclasses are what they are without us."""
    checks = f"""
class Own(EARLY):
    pass
assert MODULE.{CLASSES[name]} is EARLY
assert type(app) is EARLY and isinstance(app, MODULE.{CLASSES[name]})
own = Own(*["own"] * (MODULE.__name__ == "flask"))
assert isinstance(own, EARLY) and type(own) is Own
import inspect, pickle
assert pickle.loads(pickle.dumps(EARLY)) is EARLY
assert list(inspect.signature(EARLY).parameters)
from timetracer_otel import seams
print(seams.active() is not None)
"""
    write(tmp_path, name, how, "\n" + checks)
    for mode, active in (("record", "True"), ("off", "False")):
        env = {**os.environ, "TIMETRACER_MODE": mode}
        command = [sys.executable, "coded.py"]
        result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
        # A middleware of Starlette's is made with the first request.
        expected = "False" if how == "middleware" and name != "flask" else active
        assert (result.stdout.strip(), result.stderr) == (expected, "")


@pytest.mark.parametrize("how", SET_UP)
@pytest.mark.parametrize("pyproject", ["", '[tool.timetracer]\nmode = "off"\n'])
def test_nothing_is_recorded_in_no_mode(tmp_path: Path, how: str, pyproject: str) -> None:
    """The default is off, whoever asks: no cassette, no runtime, nothing of the app has changed."""
    (tmp_path / "pyproject.toml").write_text(pyproject)
    checks = (
        "\nassert app.test_client().get('/x').text == 'made here'\nassert type(EARLY.__call__).__name__ == 'function'"
    )
    write(tmp_path, "flask", how, checks)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TIMETRACER_MODE", "OTEL_"))}
    command = [sys.executable, "coded.py"]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not (tmp_path / "cassettes").exists()


@pytest.mark.system
@pytest.mark.parametrize(
    ("pyproject", "given"), [('[tool.timetracer]\nmode = "record"\n', ""), ("", "mode='record', exclude_paths='/y'")]
)
def test_a_mode_that_is_given_counts(tmp_path: Path, pyproject: str, given: str) -> None:
    """In pyproject.toml, or as an argument; a replay of such a program stays a replay."""
    (tmp_path / "pyproject.toml").write_text(pyproject)
    write(tmp_path, "flask", "auto_setup")
    coded = tmp_path / "coded.py"
    asking = "\nif __name__ == '__main__':\n    assert app.test_client().get('/x').text == 'made here'"
    coded.write_text(coded.read_text().replace("auto_setup(app) is", f"auto_setup(app, {given}) is") + asking)
    env = {key: value for key, value in os.environ.items() if not key.startswith(("TIMETRACER_MODE", "OTEL_"))}
    command = [sys.executable, "coded.py"]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(loading.load(storage.find([str(tmp_path / "cassettes")], tmp_path)).lanes) == 1
    assert served(tmp_path, "flask run", *REPLAY, "cassettes", "--", mode=None) == b"made here"
    assert len(loading.load(storage.find([str(tmp_path / "cassettes")], tmp_path)).lanes) == 1


def test_a_set_up_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Nothing is patched, nothing is written, the program runs as without us, and that is said."""
    program = """
import http.client, sys, time
print("asked", file=sys.stdout)
from timetracer_otel import seams
assert seams.active() is None and not seams.integrations
assert type(http.client.HTTPConnection.send).__name__ == "function"
assert type(time.time).__name__ == "builtin_function_or_method"
assert type(sys.exit).__name__ == "builtin_function_or_method"
assert "write" not in vars(sys.stdout)
"""
    (tmp_path / "program.py").write_text(program)
    start = (
        "import runpy, timetracer_otel.autoload as autoload\n"
        "def fail(*_): raise RuntimeError('broken half way')\n"
        "autoload.nondeterminism.install = fail\n"
        "autoload.pre_instrument()\n"
        "runpy.run_path('program.py', run_name='__main__')\n"
    )
    env = {**os.environ, "TIMETRACER_MODE": "record"}
    command = [sys.executable, "-c", start]
    result = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout) == (0, "asked\n"), result.stderr
    assert "timetracer is off: it could not be set up" in result.stderr
    assert not (tmp_path / "cassettes").exists()
