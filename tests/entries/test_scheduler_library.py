"""A scheduler that nobody has heard of: each run of a job is a lane, and a replay runs the recorded ones, no clock."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.commands import OTEL, REPLAY
from tests.support.made_up import install, run
from tests.support.serving import Telling, serving

CLOCKWORK = r'''
import os

class Scheduler:
    """Runs jobs when their time has come: here, so often as the environment says."""

    def __init__(self):
        self.jobs = {}

    def add(self, name, function, **given):
        self.jobs[name] = (function, given)

    def _run(self, name):
        function, given = self.jobs[name]
        try:
            return function(**given)
        except ValueError:
            print(name, "failed", flush=True)

    def loop(self):
        for name in os.environ["JOBS"].split():
            self._run(name)
'''
DECLARATION = r'''
import functools

from timetracer_otel import seams
from timetracer_otel.families.entry.handing_out import Waiting
from timetracer_otel.families.entry.running import Running
from timetracer_otel.families.kinds import execution
from timetracer_otel.families.kinds.execution import Execution
from timetracer_otel.seams import Integration, Patch

NAME = "clockwork"
waiting = Waiting(NAME, execution.KIND.name, lambda lane: lane.entry.text(execution.NAME))


def add(wrapped, scheduler, args, kwargs):
    """Below what the scheduler makes of an exception: around the function of each job."""
    name, function = args

    @functools.wraps(function)
    def job(**given):
        lane = scheduler.__dict__.pop("_lane", None)
        with Running(Execution(name, given, NAME, trigger="now", follows=lane.id if lane else "")) as running:
            value = function(**given)
            running.returned(value)
        return value

    return wrapped(name, job, **kwargs)


def loop(wrapped, scheduler, args, kwargs):
    if seams.responder(NAME) is None:
        return wrapped()
    while (lane := waiting.next(scheduler.jobs.__contains__)) is not None:
        scheduler._lane = lane
        scheduler._run(lane.entry.text(execution.NAME))


INTEGRATION = Integration(
    name=NAME,
    patches=(Patch("clockwork", "Scheduler.add", add), Patch("clockwork", "Scheduler.loop", loop)),
    packages={"clockwork": "clockwork"},
)
'''
PROGRAM = r"""
import os, urllib.request, uuid
import clockwork

def ask(path):
    with urllib.request.urlopen(os.environ["PEER"] + path, timeout=10) as reply:
        return reply.read().decode()

def clean(days):
    return {"run": str(uuid.uuid4()), "found": ask(f"/old/{days}")}

def report():
    raise ValueError(ask("/report"))

scheduler = clockwork.Scheduler()
scheduler.add("clean", clean, days=7)
scheduler.add("report", report)
scheduler.loop()
"""


class Recorded(NamedTuple):
    """A recorded scheduler, and the service that it asked, which is gone."""

    folder: Path
    peer: str

    def replayed(self, *options: str, program: str = PROGRAM) -> tuple[int, str]:
        """Run it again; its exit status and what was said. No job is due."""
        (self.folder / "program.py").write_text(program)
        command = (*REPLAY, *options, "cassettes", "--", sys.executable, "program.py")
        done = run(self.folder, *command, PEER=self.peer, JOBS="")
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Three runs of two jobs, one of which fails."""
    folder = tmp_path_factory.mktemp("clockwork")
    install(folder, "clockwork", CLOCKWORK, DECLARATION)
    (folder / "program.py").write_text(PROGRAM)
    with serving(Telling) as peer:
        command = (*OTEL, "--traces_exporter", "timetracer", sys.executable, "program.py")
        done = run(folder, *command, PEER=peer, JOBS="clean report clean")
    assert (done.returncode, done.stdout) == (0, "report failed\n"), done.stderr
    return Recorded(folder, peer)


def test_each_run_is_a_lane(recorded: Recorded) -> None:
    """With the job's name, arguments and what came of it, listed and shown."""
    timetracer = (sys.executable, "-m", "timetracer_otel.cli")
    listed = json.loads(run(recorded.folder, *timetracer, "list", "cassettes", "--json").stdout)
    rows = [(one["method"], one["target"], one["calls"]) for one in reversed(listed) if one["kind"] == "lane"]
    assert rows == [("EXECUTION", "clean", 1), ("EXECUTION", "report", 1), ("EXECUTION", "clean", 1)]
    assert [one["error"] for one in reversed(listed)][-2] == "builtins.ValueError: at /report"
    shown = json.loads(run(recorded.folder, *timetracer, "show", "cassettes", "--json").stdout)["lanes"]
    first = next(one for one in shown if one["target"] == "clean")
    assert (first["request"]["arguments"], first["request"]["trigger"]) == ('{"days": 7}', "now")
    assert json.loads(first["response"]["body"]["text"])["value"]["found"] == "at /old/7"


@pytest.mark.system
def test_replayed_and_verified(recorded: Recorded) -> None:
    """The recorded runs happen again, once each, with the ids that were drawn; the program ends by itself."""
    status, said = recorded.replayed()
    assert (status, "report failed" in said) == (0, True), said
    assert "3 requests, 3 of them recorded; 3 calls answered (3 exact), 0 missed, 0 unused" in said, said
    status, said = recorded.replayed("--verify")
    assert (status, "3 checked, 3 passed, 0 differ" in said) == (0, True), said


@pytest.mark.system
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('ask("/report")', '"nothing to say"', "outcome: $.error"),
        ('"found": ask', '"found": "" and ask', "outcome: $.value.found: 'at /old/7' recorded, '' now"),
        ('"/report"', '"/reports"', "/reports"),
        ("raise ValueError(", "return (", "outcome: $.error"),
        ('scheduler.add("report", report)', "", "1 not driven"),
    ],
)
def test_a_change_is_found(recorded: Recorded, old: str, new: str, told: str) -> None:
    """Another exception, value or call, none at all, and a job that is gone."""
    status, said = recorded.replayed("--verify", program=PROGRAM.replace(old, new))
    assert (status, told in said) == (1, True), said
