"""A Flask app on Redis, recorded; the server ended; verified by the real command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Answer, Ask
from examples.support import Program, free_port
from tests.redis.conftest import serving
from tests.support.commands import OTEL, REPLAY

HERE = Path(__file__).parent
APP = (sys.executable, "-m", "flask", "--app", "app", "run", "--port")
COUNT = 50

pytestmark = pytest.mark.system  # redis-server is no Python package


@pytest.fixture(scope="module", params=["", "redis"], ids=["instrumented", "alone"])
def cassettes(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Fifty visits at once and two carts; with the standard instrumentor and without. The server is gone."""
    folder = tmp_path_factory.mktemp("carts")
    port = free_port()
    with serving(folder) as server:
        env = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{server}/0", "TIMETRACER_DIR": str(folder / "cassettes")}
        env["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"] = request.param
        command = [*OTEL, "--traces_exporter", "timetracer", *APP, str(port)]
        with Program(command, log=folder / "log", env=env, cwd=HERE) as program:
            program.wait_for_port(port)
            with ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(lambda _: Ask("GET", "/visits").send(port), range(COUNT)))
            assert sorted(map(_number, answers)) == list(range(1, COUNT + 1))
            for name in ("ada", "bob"):
                assert Ask("POST", f"/carts/{name}").send(port).status == 200
            program.stop()
    return folder / "cassettes"


def _number(answer: Answer) -> int:
    return int(json.loads(answer.body)["number"])


def verify(cassettes: Path, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the verification, with a URL that leads nowhere."""
    env = {**os.environ, "REDIS_URL": "redis://user:word@cache.example.net:6380/7", **settings}
    words = [*REPLAY, "--verify", str(cassettes), *options, "--", *APP, "0"]
    return subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_unchanged_app_passes(cassettes: Path) -> None:
    """Lanes that count with the same key get each its own number, in any order."""
    ended = verify(cassettes, "--concurrency", "8")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{COUNT + 2} checked, {COUNT + 2} passed, 0 differ" in ended.stdout


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"SECONDS": "90"}, "changed redis SET token:ada"), ({"EXTRA": "1"}, "extra redis DEL all")],
    ids=["argument", "write"],
)
def test_a_change_is_named(cassettes: Path, settings: dict[str, str], said: str) -> None:
    """Another argument, and a command more."""
    ended = verify(cassettes, **settings)
    assert ended.returncode == 1
    assert said in ended.stdout
