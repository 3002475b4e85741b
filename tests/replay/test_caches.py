"""What an app keeps for all requests of a process: how many processes ask, and which request does, is chance."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.matrix.harness import NOT_USED
from tests.support.commands import OTEL, REPLAY

pytestmark = pytest.mark.system  # starts eight programs

HERE = Path(__file__).parent
APP = (sys.executable, "-m", "gunicorn", "caching_app:app", "-k", "gthread", "--threads", "4", "-w")


@pytest.fixture(scope="module", params=["1", "2"])
def recorded(request: pytest.FixtureRequest, mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cassettes of twelve requests, by one process or by two."""
    folder, port = tmp_path_factory.mktemp("caches"), free_port()
    env = {
        **os.environ,
        "MONGODB_URI": mongo_uri,
        "TIMETRACER_DIR": str(folder),
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": NOT_USED,
    }
    command = [*OTEL, "--traces_exporter", "timetracer", *APP, request.param, "-b", f"127.0.0.1:{port}"]
    with Program(command, log=folder / "log", env=env, cwd=HERE) as program, ThreadPoolExecutor(4) as pool:
        program.wait_for_port(port)
        asks = [Ask("GET", f"/price/{item}") for item in ("tea", "rice", "salt")]
        for _ in range(2):
            assert [ask.send(port).status for ask in asks] == [200] * 3
        assert {one.status for one in pool.map(lambda ask: ask.send(port), asks * 2)} == {200}
    return folder


def verified(recorded: Path, workers: str, concurrency: str, **settings: str) -> tuple[int, str]:
    """Status and summary of a verification."""
    command = [*REPLAY, "--verify", str(recorded), "--concurrency", concurrency, "--", *APP, workers]
    env = {**os.environ, "MONGODB_URI": "mongodb://gone.invalid", **settings}
    ended = subprocess.run(
        [*command, "-b", "127.0.0.1:0"], cwd=HERE, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(("workers", "concurrency"), [("1", "1"), ("2", "1"), ("1", "8"), ("2", "8")])
def test_who_fills_a_cache_is_chance(recorded: Path, workers: str, concurrency: str) -> None:
    """The unchanged app passes with as many processes and requests at once as there may be."""
    status, said = verified(recorded, workers, concurrency)
    assert "12 checked, 12 passed, 0 differ" in said
    assert status == 0, said


def test_a_cache_that_is_gone_is_found(recorded: Path) -> None:
    """One request behind another asks what it did not ask."""
    status, said = verified(recorded, "1", "1", UNCACHED="1")
    assert status == 1, said
    assert "extra mongodb caching find prices (asked once more than recorded)" in said
