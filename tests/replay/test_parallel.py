"""Writes of sibling threads and tasks may come in any order, those of one flow may not; a miss is one difference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from examples.asking import Ask
from examples.support import Program, free_port
from tests.matrix.harness import NOT_USED
from tests.support.commands import OTEL, REPLAY
from timetracer_otel.replay.comparing.ordering import Happened, Write, reordered

pytestmark = pytest.mark.system  # half a minute of CPU: each case starts programs

HERE = Path(__file__).parent
APP = ("uvicorn", "parallel_app:app", "--no-access-log", "--port")
TIMES = 7
PARALLEL = ("pool", "threads", "gather")
ORDERED = ("to_thread", "in_task")


def environment(**settings: str) -> dict[str, str]:
    """Our environment, our programs first."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**os.environ, "PATH": path, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": NOT_USED, **settings}


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def recorded(
    request: pytest.FixtureRequest, mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """A loop, and the cassettes of the app's requests on it."""
    folder, port = tmp_path_factory.mktemp(request.param), free_port()
    env = environment(
        MONGODB_URI=mongo_uri,
        TIMETRACER_MODE="record",
        TIMETRACER_DIR=str(folder / "cassettes"),
        OTEL_TRACES_EXPORTER="timetracer",
    )
    command = [*OTEL, *APP, str(port), "--loop", request.param]
    with Program(command, log=folder / "record.log", env=env, cwd=HERE) as program:
        program.wait_for_port(port)
        for number in range(TIMES):
            for name in (*PARALLEL, *ORDERED, *(["fails"] if number == 1 else [])):
                answer = Ask("POST", f"/{name}/{number + 1000 * (request.param == 'uvloop')}").send(port)
                assert answer.status == 200, answer.body
    return request.param, folder / "cassettes"


def verify(
    recorded: tuple[str, Path], tmp_path: Path, *options: str, **settings: str
) -> tuple[int, dict[str, Any], str]:
    """Verify with the database gone: exit status, report, and what was printed."""
    loop, cassettes = recorded
    report = tmp_path / "report.json"
    command = [*REPLAY, "--verify", str(cassettes), "--report", str(report), *options, "--", *APP, "0", "--loop", loop]
    env = environment(MONGODB_URI="mongodb://127.0.0.1:9/", **settings)
    done = subprocess.run(command, cwd=HERE, env=env, capture_output=True, text=True, timeout=110, check=False)
    return done.returncode, json.loads(report.read_bytes()), done.stdout + done.stderr


def kinds(report: dict[str, Any]) -> Counter[tuple[str, str]]:
    """How often each kind of difference was found of each route."""
    return Counter(
        (lane["request"].split("/")[1], one["kind"]) for lane in report["verified"] for one in lane["differences"]
    )


@pytest.mark.parametrize("concurrency", [1, 8, 16])
def test_order_of_parallel_writes_is_chance(recorded: tuple[str, Path], tmp_path: Path, concurrency: int) -> None:
    """An unchanged app passes, however its threads and tasks are scheduled."""
    status, report, said = verify(recorded, tmp_path, "--concurrency", str(concurrency))
    assert (kinds(report), status) == (Counter(), 0), said


def test_swapped_writes_of_one_flow_are_caught(recorded: tuple[str, Path], tmp_path: Path) -> None:
    """Also where each write is made by another thread that the flow waits for, and beside another flow."""
    status, report, said = verify(recorded, tmp_path, SWAPPED="1")
    found = kinds(report)
    assert status == 1
    assert {name for name, _ in found} == set(ORDERED), said
    assert found["to_thread", "reordered"] == TIMES, said
    assert found["in_task", "reordered"] == 2 * TIMES, said


def test_one_changed_line_is_one_difference(recorded: tuple[str, Path], tmp_path: Path) -> None:
    """The changed write is counted; the calls behind it and the response are told as what followed."""
    status, report, said = verify(recorded, tmp_path, CHANGED="1")
    (lane,) = (lane for lane in report["verified"] if not lane["matched"])
    (one,) = lane["differences"]
    assert (status, one["kind"], report["kinds"]) == (1, "changed", {"changed": 1}), said
    followed = [inner["kind"] for inner in one["consequences"]]
    assert followed[:3] == ["missing", "missing", "status"], said
    assert "1 differ (1 changed)" in said


def write(span: str, then: Happened, now: Happened) -> Write:
    """A write of that name."""
    return Write(span, span, then, now)


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        # Of one flow: then one after the other, now the other way round.
        ((Happened(0, 1), Happened(9, 9)), (Happened(2, 3), Happened(8, 8)), True),
        # Of two branches that were started before either wrote.
        ((Happened(5, 6, "0@1"), Happened(19, 19, "0@11")), (Happened(7, 8, "1@2"), Happened(18, 18, "1@12")), False),
        # The second branch was started when the first had ended, in both runs.
        ((Happened(5, 6, "0@1"), Happened(19, 19, "1@18")), (Happened(8, 9, "1@7"), Happened(16, 16, "0@11")), True),
        # Below two siblings that run beside one another.
        (
            (Happened(5, 6, "0@1 0@4"), Happened(19, 19, "0@11 0@18")),
            (Happened(8, 9, "1@2 0@7"), Happened(16, 16, "1@12 0@15")),
            False,
        ),
        # The flow went on by itself when the branch had ended; now the branch is started behind that.
        ((Happened(2, 3, "0@1"), Happened(14, 14, "0@13")), (Happened(5, 6), Happened(12, 12)), True),
    ],
)
def test_only_what_must_come_first_can_be_reordered(
    first: tuple[Happened, Happened], second: tuple[Happened, Happened], *, found: bool
) -> None:
    """A write counts as before another when a flow that both share had it behind itself before it began the other."""
    differences = list(reordered([write("b", *second), write("a", *first)]))
    assert [one.what for one in differences] == (["b before a"] if found else [])
