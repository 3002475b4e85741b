"""A command that is a whole process: recorded as a lane, listed, run again and compared."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.commands import OTEL, REPLAY, TIMETRACER
from tests.support.serving import Telling, serving

JOB = """
import argparse, os, sys, urllib.request
import click
import timetracer_otel

def ask(path):
    return urllib.request.urlopen(os.environ["PEER"] + path, timeout=10).read().decode()

@timetracer_otel.command("step")
def step(day, number):
    print("step", number, ask(f"/step/{day}/{number}"))
    if number == 2:
        sys.exit(3)

@click.command()
@click.option("--day", required=True)
@click.option("--name", prompt=True)
def main(day, name):
    print(name, ask(f"/day/{day}"))
    sys.stdout.buffer.write(b"\\xff\\n")
    print("careful", file=sys.stderr)
    for number in (1, 2):
        step(day, number)

main()
"""


class Job(NamedTuple):
    """A recorded program, whose peer is gone."""

    folder: Path
    env: Mapping[str, str]

    def run(self, *command: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command in the folder."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            check=False,
            timeout=300,
        )

    def verify(self, text: str = JOB) -> tuple[int, str]:
        """Verify a version of the program; exit status, and what was said."""
        (self.folder / "job.py").write_text(text)
        done = self.run(*REPLAY, "--verify", "cassettes", "--", sys.executable, "job.py")
        return done.returncode, (done.stdout + done.stderr).decode()

    def listed(self) -> list[dict[str, Any]]:
        """What ``timetracer list`` says, the newest first."""
        done = self.run(*TIMETRACER, "list", "--json")
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A click program that asks for a name and ends with status 3."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "job.py").write_text(JOB)
    with serving(Telling) as peer:
        env = {**os.environ, "TIMETRACER_RAISE_FAULTS": "1", "TIMETRACER_COMMAND": "entry", "PEER": peer}
        recorded = Job(folder, env)
        command = shlex.split(f"{shlex.quote(sys.executable)} job.py --day mon")
        done = recorded.run(*OTEL, "--traces_exporter", "timetracer", *command, stdin=b"bob\n")
    assert done.returncode == 3, done.stderr
    return recorded


def test_the_process_and_its_steps_are_lanes(job: Job) -> None:
    """The list knows them with their status; the process has failed as its step did."""
    told = [(one["kind"], one["method"], one["target"], one["status"], one["calls"]) for one in job.listed()]
    assert told == [
        ("lane", "COMMAND", "step", 3, 1),
        ("lane", "COMMAND", "step", 0, 1),
        ("lane", "COMMAND", "job", 3, 1),
    ]
    assert [one["error"] for one in job.listed()] == ["builtins.SystemExit: 3", None, "exit status 3"]


def test_an_unchanged_program_passes(job: Job) -> None:
    """It is run with its arguments and its stdin again; what it wrote to both streams and its status are the same."""
    status, told = job.verify()
    assert (status, "3 checked, 3 passed" in told) == (0, True), told


@pytest.mark.system
@pytest.mark.parametrize(
    ("before", "after", "lane", "told"),
    [
        ('"careful"', '"carefree"', "job", "output stderr: line 1: 'careful' recorded, 'carefree' now"),
        ("print(name,", "print(name.upper(),", "job", "output stdout: line 1: 'Name: bob at /day/mon' recorded"),
        ("sys.exit(3)", "sys.exit(4)", "job", "exit status: $: 3 recorded, 4 now"),
        ("sys.exit(3)", "sys.exit(4)", "step", "outcome: $.status: 3 recorded, 4 now"),
        ('print("step"', 'print("steps"', "step", "outcome: $.stdout[0]: 'step 1 at /step/mon/1\\n' recorded"),
        ("/step/{day}/{number}", "/steps/{day}", "step", "extra http GET"),
        ("(1, 2)", "(2,)", "step", "nothing drives this lane: the command ended before it came to it"),
    ],
)
def test_a_change_is_named(job: Job, before: str, after: str, lane: str, told: str) -> None:
    """What is written, the status, a call, a step that is left out: each is told of its lane."""
    assert before in JOB
    status, said = job.verify(JOB.replace(before, after))
    of_lane = said.partition(f"COMMAND {lane} (lane")[2]
    assert (status, told in of_lane) == (1, True), said


@pytest.mark.system
def test_a_replay_follows_it(job: Job) -> None:
    """The program runs by itself, with arguments and stdin given; nothing goes out."""
    (job.folder / "job.py").write_text(JOB)
    command = (*REPLAY, "cassettes", "--", sys.executable, "job.py", "--day", "mon")
    done = job.run(*command, stdin=b"bob\n")
    assert done.returncode == 3
    assert done.stdout.endswith(b"bob at /day/mon\n\xff\nstep 1 at /step/mon/1\nstep 2 at /step/mon/2\n")
    assert b"3 calls answered (3 exact), 0 missed, 0 unused" in done.stderr


@pytest.mark.system
def test_ends_and_servers(tmp_path: Path) -> None:
    """SIGTERM's end is a status; a misspelt setting is told; a process that serves a request is no command."""
    (tmp_path / "ends.py").write_text(
        "import os, signal\nprint('x', flush=True)\nos.kill(os.getpid(), signal.SIGTERM)\n"
    )
    job = Job(tmp_path, {**os.environ, "TIMETRACER_COMMAND": "entry"})
    record = (*OTEL, "--traces_exporter", "timetracer", sys.executable)
    assert job.run(*record, "ends.py").returncode == -15
    [ended] = job.listed()
    assert (ended["method"], ended["status"], ended["error"]) == ("COMMAND", 143, "exit status 143 (SIGTERM)")
    assert (
        b"TIMETRACER_COMMAND='entrie': must be one of session, entry"
        in job.run(*record, "-c", "pass", TIMETRACER_COMMAND="entrie").stderr
    )
    (tmp_path / "web.py").write_text(
        "import flask\napp = flask.Flask('web')\napp.route('/')(lambda: 'x')\napp.test_client().get('/')\n"
    )
    job.run(*record, "web.py")
    assert [(one["kind"], one["method"]) for one in job.listed()] == [("lane", "GET"), ("lane", "COMMAND")]
