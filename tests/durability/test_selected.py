"""Selection and retention in real servers, sync and async."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.soak import environment
from tests.durability.harness import SERVERS, WSGI, Served, files, recorded

servers = pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS)
RULES = "GET /large/*=0; /items/<number>=0; /items/{number}=0"


@pytest.mark.system
@servers
def test_rules_trigger_and_exclusion(tmp_path: Path, command: list[str]) -> None:
    """By path, by the route that the framework found, by a header with a secret; an excluded path wins over all."""
    with Served(
        tmp_path,
        command,
        TIMETRACER_RULES=RULES,
        TIMETRACER_TRIGGER_HEADER="x-record: sesame",
        TIMETRACER_EXCLUDE_PATHS="/do",
    ) as served:
        served.get("/items/1")
        served.get("/items/2", X_Record="sesame")
        served.get("/items/3", X_Record="wrong")
        served.get("/large/4")
        served.get("/do/nothing", X_Record="sesame")
        served.get("/stream/500")
        served.stop()
    assert sorted(recorded(served.cassettes)) == ["/items/2", "/stream/500"]
    assert not [path for path in served.cassettes.rglob("*.jsonl") if "sesame" in path.read_text(encoding="utf-8")]


@pytest.mark.system
@servers
def test_errors_and_slow_ones_only(tmp_path: Path, command: list[str]) -> None:
    """One of the two is enough; the rest leaves nothing behind."""
    with Served(tmp_path, command, TIMETRACER_ERRORS_ONLY="true", TIMETRACER_SLOW_MS="400") as served:
        assert served.get("/items/1") == "1"
        assert served.get("/wait/0.5") == "0.5"
        assert served.answer("/do/unknown")[0] == 500
        served.get("/items/2")
        served.stop()
    assert {"/do/unknown", "/wait/0.5"} <= set(recorded(served.cassettes))
    assert not list(served.cassettes.rglob("*.part"))


def test_a_bad_rule_turns_the_recording_off_with_a_clear_error(tmp_path: Path) -> None:
    """The app runs; the log says what is wrong and how to write it."""
    with Served(tmp_path, WSGI, TIMETRACER_RULES="GET /a=2") as served:
        assert served.get("/items/1") == "1"
        served.stop()
    assert not served.cassettes.exists()
    assert "TIMETRACER_RULES: 'GET /a=2', share='2': must be a number from 0 to 1" in served.log()


PROGRAM = """
from scripts.soak_app import wsgi

assert wsgi.test_client().get("/items/1", headers={"x-record": "sesame"}).status_code == 200
"""


def test_the_secret_does_not_leave_by_other_exporters(tmp_path: Path) -> None:
    """Where payloads go to a backend, the trigger's value is masked as well."""
    settings = {"TIMETRACER_MODE": "record", "TIMETRACER_TRIGGER_HEADER": "x-record: sesame"}
    command = ["opentelemetry-instrument", "--traces_exporter", "console", sys.executable, "-c", PROGRAM]
    env = environment(tmp_path, OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none", **settings)
    run = subprocess.run(command, env=env, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
    assert '"timetracer.http.target": "/items/1"' in run.stdout
    assert "[redacted]" in run.stdout
    assert "sesame" not in run.stdout.replace(repr(PROGRAM)[1:-1], "")


@pytest.mark.system
def test_a_directory_stays_small_while_it_is_written(tmp_path: Path) -> None:
    """The limit holds but for what is written between two passes; the newest lane and the session are there."""
    limit, each = 1024 * 1024, 300_000
    with Served(tmp_path, WSGI, TIMETRACER_MAX_DISK="1MB") as served:

        def used() -> int:
            return sum(path.stat().st_size for path in files(served.cassettes))

        for number in range(20):
            served.get(f"/large/{number}")
        while used() <= limit:
            time.sleep(0.02)
        while used() > limit:
            time.sleep(0.2)
        served.get("/large/20")
        served.stop()
    there = recorded(served.cassettes)
    assert "/large/20" in there
    assert len(there) <= limit // each + 1
