"""The examples replay with the database gone, and the demo says so, or says what differs."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from examples import demo, kafka
from examples.asking import Answer, Example
from examples.cases import (
    BOARD,
    CACHE,
    CHECKOUT,
    CONSUMER,
    DJANGO_SHOP,
    JOB,
    LIBRARY,
    PAYMENTS,
    SHOP,
    STRICT_JOB,
    WEBHOOK,
)
from examples.demo import Comparison, Row, compare, postgres, table

ROOT = Path(__file__).parents[2]
ANSWER = Answer(200, (("Content-Type", "text/plain"),), b"one")


_SLOW = pytest.mark.system


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(SHOP, id="shop"),
        pytest.param(BOARD, id="board", marks=_SLOW),
        pytest.param(JOB, id="job", marks=_SLOW),
        pytest.param(DJANGO_SHOP, id="django shop"),
        pytest.param(STRICT_JOB, id="strict job", marks=_SLOW),
        pytest.param(CHECKOUT, id="checkout", marks=_SLOW),
        pytest.param(WEBHOOK, id="webhook", marks=_SLOW),
        pytest.param(LIBRARY, id="library", marks=_SLOW),
        pytest.param(CACHE, id="cache", marks=_SLOW),
        pytest.param(PAYMENTS, id="payments", marks=_SLOW),
    ],
)
def test_an_example_replays_byte_for_byte(example: Example, tmp_path: Path) -> None:
    """Recorded as a process, then replayed with the server ended: each answer is the one expected, and identical."""
    (comparison,) = compare([example], tmp_path, Console(quiet=True))
    assert comparison.problems() == []
    assert [(row.label, row.recorded.status) for row in comparison.rows] == list(example.expected)
    assert comparison.answered > 0


@pytest.mark.system  # kfake is built with Go
def test_the_consumer_replays_with_no_broker(tmp_path: Path) -> None:
    """Each message is handled again, with the same invoices at the same offsets."""
    subprocess.run([str(ROOT / "scripts" / "install-kfake")], check=True, stdout=subprocess.DEVNULL)
    (comparison,) = compare([CONSUMER], tmp_path, Console(quiet=True))
    assert comparison.problems() == []
    assert b"order a-4: refused, 1 tea ordered, 0 there" in comparison.rows[0].recorded.body


def test_a_broker_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its example is left out, in one line."""
    monkeypatch.setattr(kafka, "program", lambda: None)
    said = io.StringIO()
    assert demo.consumers(Console(file=said, width=200)) == []
    assert said.getvalue() == "left out: the example on Kafka (no kfake is here: scripts/install-kfake)\n"


def test_an_example_whose_server_is_not_here_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, and nothing fails."""
    monkeypatch.setattr(demo, "running", _not_installed)
    said = io.StringIO()
    with postgres([LIBRARY], Console(file=said, width=200)) as url:
        assert url is None
    assert said.getvalue() == "left out: the example on PostgreSQL (it is not here)\n"


def _not_installed() -> None:
    raise FileNotFoundError("it is not here")


@pytest.mark.parametrize(
    "other",
    [
        Answer(500, ANSWER.headers, ANSWER.body),
        Answer(200, (), ANSWER.body),
        Answer(200, ANSWER.headers, b"two"),
    ],
    ids=["status", "headers", "body"],
)
def test_the_comparison_sees_any_difference(other: Answer) -> None:
    """A replayed answer that differs in status, an app's header or the body is a problem, and no `yes` in the table."""
    comparison = Comparison("app", [Row("GET /", 200, ANSWER, other)], answered=1, missed=[])
    assert [problem.startswith("app: GET /: ") for problem in comparison.problems()] == [True]
    drawn = io.StringIO()
    Console(file=drawn, width=100).print(table([comparison]))
    assert "NO" in drawn.getvalue()
    assert "yes" not in drawn.getvalue()


def test_the_comparison_wants_what_the_example_is_for() -> None:
    """An app that fails the same way twice does not pass, and a miss is a problem even when the answers are equal."""
    failed = Answer(500, (), b"")
    assert Comparison("app", [Row("GET /", 200, failed, failed)], answered=0, missed=[]).problems() != []
    assert Comparison("app", [Row("GET /", 200, ANSWER, ANSWER)], answered=0, missed=["x"]).problems() == [
        "app: missed: x"
    ]
    assert Comparison("app", [Row("GET /", 200, ANSWER, ANSWER)], answered=1, missed=[]).problems() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_an_interrupted_demo_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """Interrupted while it records, the demo ends its processes and removes its folders."""
    command, mark = [sys.executable, "-m", "examples.demo"], f"{os.getpid()}-{number}"
    environ = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1", "DEMO_MARK": mark}
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        said = []
        for line in demo.stdout:
            said.append(line)
            if line.startswith("record:"):
                demo.send_signal(number)
    assert demo.returncode == 128 + number
    assert said[-1].startswith("record:")
    assert list(tmp_path.iterdir()) == []
    assert [process for process in Path("/proc").glob("[0-9]*") if mark in environment_of(process)] == []


def environment_of(process: Path) -> str:
    """Read a process's environment; nothing when it is not ours, or has ended."""
    try:
        return (process / "environ").read_text(errors="replace")
    except OSError:
        return ""
