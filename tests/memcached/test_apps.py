"""A Flask app on Memcached and DiskCache, recorded; server and folder gone; verified by the real command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.memcached.conftest import serving
from tests.support.commands import OTEL, REPLAY

HERE = Path(__file__).parent
APP = (sys.executable, "-m", "flask", "--app", "app", "run", "--port")
COUNT = 20

pytestmark = pytest.mark.system  # memcached is no Python package


@pytest.fixture(scope="module", params=["", "pymemcache"], ids=["instrumented", "alone"])
def cassettes(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Many visits at once; with the standard instrumentor and without."""
    folder, port = tmp_path_factory.mktemp("pages"), free_port()
    with serving() as server:
        env = {**os.environ, "MEMCACHED": f"127.0.0.1:{server}", "FILES": str(folder / "files")}
        env |= {"TIMETRACER_DIR": str(folder / "cassettes"), "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": request.param}
        command = [*OTEL, "--traces_exporter", "timetracer", *APP, str(port)]
        with Program(command, log=folder / "log", env=env, cwd=HERE) as program:
            program.wait_for_port(port)
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda number: Ask("GET", f"/pages/{number % 5}").send(port), range(COUNT)))
            until = time.monotonic() + 60
            while len(list((folder / "cassettes").glob("**/GET__*.jsonl"))) < COUNT and time.monotonic() < until:
                time.sleep(0.05)  # a client has its response before the server has closed it
    assert sorted(json.loads(answer.body)["visit"] for answer in answers) == list(range(1, COUNT + 1))
    shutil.rmtree(folder / "files")
    return folder / "cassettes"


def verify(cassettes: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the verification, with addresses that lead nowhere."""
    env = {**os.environ, "MEMCACHED": "cache.example.net:11211", "FILES": "/nowhere/files", **settings}
    words = [*REPLAY, "--verify", str(cassettes), "--concurrency", "4", "--", *APP, "0"]
    return subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=240, check=False)


def test_unchanged_app_passes(cassettes: Path) -> None:
    """Lanes that count with the same key get each its own number, in any order, by other connections."""
    ended = verify(cassettes)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{COUNT} passed, 0 differ" in ended.stdout


def test_a_change_is_named(cassettes: Path) -> None:
    """Another expiry is another command, and named so, though the client ignores exceptions."""
    ended = verify(cassettes, SECONDS="90")
    assert ended.returncode == 1
    assert "changed memcached set" in ended.stdout
