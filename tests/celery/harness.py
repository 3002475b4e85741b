"""Real workers: recorded over a broker of folders, replayed with the broker and the peer gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from examples.support import Program
from tests.support.serving import Telling, serving
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.finding import below
from timetracer_otel.cassette.model import Cassette, Lane
from timetracer_otel.families.kinds import task

HERE: Final = Path(__file__).parent
EXECUTIONS: Final = 14
"""What :func:`orders.send` comes to."""
_SECONDS: Final = 60.0


def environment(**settings: str) -> dict[str, str]:
    """Our environment, our programs first; a worker may be root here."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "C_FORCE_ROOT": "1", "PYTHONPATH": str(HERE), **settings}


def worker(pool: str) -> tuple[str, ...]:
    """The command line of a worker."""
    return ("celery", "-A", "orders", "worker", "--pool", pool, "-c", "2", "-l", "info")


def loaded(cassettes: Path) -> Cassette:
    """What was recorded so far."""
    return loading.load(below(cassettes)) if cassettes.exists() and list(below(cassettes)) else Cassette([], {})


def wait_for(cassettes: Path, count: int) -> None:
    """Wait until so many executions are on the disk."""
    until = time.monotonic() + _SECONDS
    while len(executions(loaded(cassettes).lanes)) < count:
        assert time.monotonic() < until, [lane.entry and lane.entry.name for lane in loaded(cassettes).lanes]
        time.sleep(0.1)


def executions(lanes: Iterable[Lane]) -> list[Lane]:
    """The lanes of tasks."""
    return [lane for lane in lanes if lane.entry is not None and lane.entry.text(task.NAME)]


def record(folder: Path, pool: str, **settings: str) -> tuple[Path, str]:
    """Record a worker; give its cassettes, and where the peer was. Nothing that it used is there afterwards."""
    broker, cassettes = folder / "broker", folder / "cassettes"
    for name in (broker, folder / "broker-control"):
        name.mkdir()
    with serving(Telling) as url:
        env = environment(BROKER=str(broker), PEER=url, TIMETRACER_DIR=str(cassettes), **settings)
        subprocess.run([sys.executable, "orders.py"], cwd=HERE, env=env, check=True, timeout=_SECONDS)
        command = ["opentelemetry-instrument", "--traces_exporter", "timetracer", *worker(pool)]
        with Program(command, log=folder / "worker.log", env=env, cwd=HERE):
            wait_for(cassettes, EXECUTIONS)
    shutil.rmtree(broker)
    shutil.rmtree(folder / "broker-control")
    return cassettes, url


def replay(cassettes: Path, url: str, *options: str, command: Iterable[str], **settings: str) -> tuple[int, str]:
    """Run the launcher; give its exit status and what it said."""
    words = ["timetracer-replay", str(cassettes), *options, "--", *command]
    env = environment(BROKER="/nonexistent/broker", PEER=url, **settings)
    done = subprocess.run(words, cwd=HERE, env=env, capture_output=True, text=True, timeout=_SECONDS * 2, check=False)
    return done.returncode, done.stdout + done.stderr
