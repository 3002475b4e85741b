"""Many cassettes: several instances of the app, many requests at once, and parts of the whole."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.replay.test_verify_command import APP, HERE, environment, run

COUNT = 1000

pytestmark = pytest.mark.system  # half a minute


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand recorded requests, each with an id of its own that it was given."""
    folder, port = tmp_path_factory.mktemp("many"), free_port()
    command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *APP, str(port)]
    env = environment(TIMETRACER_DIR=str(folder / "cassettes"))
    with (
        Program(command, log=folder / "record.log", env=env, cwd=HERE) as program,
        ThreadPoolExecutor(8) as pool,
    ):
        program.wait_for_port(port)
        list(pool.map(lambda _: Ask("GET", "/ticket").send(port), range(COUNT)))
    return folder / "cassettes"


def test_each_of_many_gets_its_own_again(many: Path) -> None:
    """Two instances, twenty requests at once: every response is byte by byte the recorded one."""
    ended = run(many, "--workers", "2", "--concurrency", "20")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{COUNT} checked, {COUNT} passed, 0 differ" in ended.stdout


def test_quarter_of_many_is_a_quarter(many: Path, tmp_path: Path) -> None:
    """One of four parts has a fourth of the requests."""
    report = tmp_path / "report.json"
    ended = run(many, "--shard", "2/4", "--concurrency", "20", "--report", str(report))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(report.read_bytes())["requests"] == COUNT // 4
