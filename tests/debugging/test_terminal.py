"""A replayed lane under pdb, which speaks through the terminal of the command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from examples.support import accepts, free_port
from tests.debugging.client import PATIENCE
from tests.debugging.harness import COMMANDS, FASTAPI, FLASK, ROOT, environment, line, recorded, until

pytestmark = pytest.mark.system  # every test starts a service, twice
PROMPT = "(Pdb) "


class Terminal:
    """What the user of a terminal types and reads.

    Args:
        process: whose terminal it is.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._typed: IO[str] = process.stdin
        self._shown: IO[str] = process.stdout

    def read(self) -> str:
        """Everything up to the prompt."""
        text = ""
        while not text.endswith(PROMPT):
            piece = self._shown.read(1)
            assert piece, text
            text += piece
        return text.removesuffix(PROMPT)

    def type(self, command: str) -> str:
        """Type a command; give what it prints."""
        self.enter(command)
        return self.read()

    def enter(self, command: str) -> None:
        """Type a command that gives no prompt."""
        self._typed.write(command + "\n")
        self._typed.flush()


@contextmanager
def under_pdb(lane: Path, words: Sequence[str], *options: str) -> Iterator[tuple[Terminal, subprocess.Popen[str]]]:
    """Run a command's lane with ``--debug pdb``."""
    command = ["timetracer-replay", str(lane), "--debug", "pdb", *options, "--", *words]
    env = {**environment(lane.parents[3]), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield Terminal(process), process
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


@contextmanager
def asked(lane: Path, app: Path, target: str, *options: str, command: str = "") -> Iterator[Terminal]:
    """Ask an app for its lane; the request ends well once the terminal has been left alone."""
    port = free_port()
    words = (command or COMMANDS[app]).format(port=port).split()
    with under_pdb(lane, words, *options) as (terminal, _process):
        until(lambda: accepts(port))
        asking = subprocess.Popen(["curl", "-s", f"http://127.0.0.1:{port}{target}"], stdout=subprocess.PIPE, text=True)
        yield terminal
        told, _ = asking.communicate(timeout=PATIENCE)
        assert '"rate":3' in told.replace(" ", "")


@pytest.mark.parametrize(
    ("app", "target", "mark", "command"),
    [
        (FLASK, "/discount/pen", "entry", ""),
        (FLASK, "/discount/pen", "entry", "gunicorn tests.debugging.shop_flask:app --bind 127.0.0.1:{port}"),
        (FASTAPI, "/discount/pen", "entry", ""),
        (FASTAPI, "/sync/pen", "entry of sync", ""),
    ],
)
def test_it_stops_at_the_first_line_of_the_request(
    tmp_path: Path, app: Path, target: str, mark: str, command: str
) -> None:
    """Of the app's own function, not of what is around it; from there on it is pdb."""
    with asked(recorded(tmp_path, app, target), app, target, command=command) as terminal:
        shown = terminal.read()
        assert f"stopped at the entry of GET {target}" in shown
        assert f"{app}({line(app, mark)})" in shown
        assert terminal.type("p article").strip() == "'pen'"
        assert f"({line(app, mark) + 1})" in terminal.type("next")
        terminal.enter("continue")


@pytest.mark.parametrize(("app", "target"), [(FLASK, "/discount/pen"), (FASTAPI, "/discount/pen")])
def test_it_stops_before_the_line_of_a_recorded_call(tmp_path: Path, app: Path, target: str) -> None:
    """Which was found by running ahead, so that the call has not been made; the caller can be stepped out into."""
    with asked(recorded(tmp_path, app, target), app, target, "--break-at", "select") as terminal:
        shown = terminal.read()
        assert f"{FLASK}({line(FLASK, 'asks')})" in shown
        assert "NameError" in terminal.type("p rows")
        terminal.type("next")
        assert terminal.type("p rows").strip() == "[(7,)]"
        terminal.enter("continue")


def test_a_script_stops_at_its_first_line(tmp_path: Path) -> None:
    """With its terminal, and only the script that was started."""
    script = tmp_path / "script.py"
    script.write_text("import subprocess, sys\ncount = 1\nsubprocess.run([sys.executable, '-c', 'print(7)'])\n")
    words = ["opentelemetry-instrument", "--traces_exporter", "timetracer", "python", str(script)]
    subprocess.run(words, env=environment(tmp_path), check=True, cwd=tmp_path)
    (lane,) = (tmp_path / "cassettes").glob("*/*/SESSION__script*")
    with under_pdb(lane, ["python", str(script)]) as (terminal, process):
        assert f"{script}(1)" in terminal.read()
        assert "(2)" in terminal.type("next")
        assert "(3)" in terminal.type("next")
        assert terminal.type("p count").strip() == "1"
        terminal.enter("continue")
        told, _ = process.communicate(timeout=PATIENCE)
        assert told.startswith("7\n")
