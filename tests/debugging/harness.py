"""Records the shops, and runs their lanes under a debugger."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from examples.asking import Ask
from examples.support import Program, free_port
from tests.debugging.client import PATIENCE, Client

__all__ = ["DJANGO", "FASTAPI", "FLASK", "HERE", "Debugged", "environment", "line", "recorded", "under_dap", "until"]

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
FLASK, FASTAPI, DJANGO = HERE / "shop_flask.py", HERE / "shop_fastapi.py", HERE / "shop_django.py"
COMMANDS = {
    FLASK: "flask --app tests.debugging.shop_flask run --port {port}",
    FASTAPI: "uvicorn tests.debugging.shop_fastapi:app --port {port}",
    DJANGO: "uvicorn tests.debugging.shop_django:app --port {port}",
}


def line(file: Path, mark: str) -> int:
    """The number of the line that ends with a comment."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next(number for number, text in enumerate(lines, 1) if text.endswith(f"  # {mark}"))


def environment(folder: Path) -> dict[str, str]:
    """Our environment, our programs first, and where the shops have their database."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**os.environ, "PATH": path, "SHOP": str(folder / "shop.db"), "TIMETRACER_DIR": str(folder / "cassettes")}


def recorded(folder: Path, app: Path, target: str) -> Path:
    """Record a request; give its lane."""
    port = free_port()
    words = [
        "opentelemetry-instrument", "--traces_exporter", "timetracer", *COMMANDS[app].format(port=port).split(),
    ]  # fmt: skip
    with Program(words, log=folder / "record.log", env=environment(folder), cwd=ROOT) as program:
        program.wait_for_port(port)
        Ask("GET", target).send(port)
    (folder / "shop.db").unlink(missing_ok=True)
    lanes = [*(folder / "cassettes").glob("*/*/GET__*")]
    assert len(lanes) == 1, (folder / "record.log").read_text()
    return lanes[0]


@dataclass
class Debugged:
    """A lane under a debugger, and the client that asks for it.

    Attributes:
        client: of the debugger.
        port: of the app.
        target: of the request.
        program: the launcher.
        answers: that the request got.
    """

    client: Client
    port: int
    target: str
    program: Program
    answers: list[int] = field(default_factory=list)

    def send(self) -> None:
        """Send the request, in a thread of its own."""
        self.program.wait_for_port(self.port)
        self._asking = threading.Thread(target=self._ask, daemon=True)
        self._asking.start()

    def _ask(self) -> None:
        with suppress(OSError, http.client.HTTPException):  # of an app that was ended
            self.answers.append(Ask("GET", self.target).send(self.port).status)

    def answered(self) -> list[int]:
        """Wait for the answer; give the statuses of all."""
        self._asking.join(PATIENCE)
        return self.answers


@contextmanager
def under_dap(lane: Path, app: Path, target: str, *options: str, command: str = "") -> Iterator[Debugged]:
    """Replay a lane with ``--debug dap``; nothing of it is left behind.

    Args:
        lane: recorded.
        app: that answers.
        target: of the request.
        options: of the launcher.
        command: that starts the app; with ``{port}``.
    """
    port, debugger, folder = free_port(), free_port(), lane.parents[3]
    started = (command or COMMANDS[app]).format(port=port).split()
    words = ["timetracer-replay", str(lane), "--debug", f"dap:{debugger}", *options, "--", *started]
    log = folder / "debug.log"
    with ExitStack() as stack:
        program = stack.enter_context(Program(words, log=log, env=environment(folder), cwd=ROOT))
        client = stack.enter_context(Client(debugger))
        debugged = Debugged(client, port, target, program)
        yield debugged
        program.stop()
    left = _running(str(port))
    assert left == [], left
    if debugged.answers:
        assert "1 requests, 1 of them recorded" in log.read_text(), log.read_text()
        assert "0 missed, 0 unused" in log.read_text(), log.read_text()


def _running(word: str) -> Sequence[str]:
    """The processes that have a word in their command line."""
    listed = subprocess.run(["ps", "-eo", "pid,stat,args"], capture_output=True, text=True, check=True).stdout
    return [one for one in listed.splitlines() if word in one.split() and " Z" not in one]


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that comes."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
