"""Soak a recording: what was answered 100 ms before a kill -9 is in readable cassettes, and memory stays flat.

``python -m scripts.soak``: 20,000 requests at concurrency 64, killed in the middle, ten times.
``python -m scripts.soak --rate 500 --minutes 10``: resident memory over time instead.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.support import Program, free_port
from scripts.soak_load import Outcome
from timetracer_otel import spans as names
from timetracer_otel.cassette.reading import read_spans
from timetracer_otel.errors import CassetteError

__all__ = ["GRACE", "SERVERS", "Found", "Loss", "ask", "environment", "found", "killed_round", "lost", "serve"]

ROOT = Path(__file__).parents[1]
GRACE = 0.1
"""Seconds before a kill from which on an answer is promised to be recorded."""

# A worker that gunicorn boots while it stops is told nothing, and the rest waits for it: 30 s by default.
_GUNICORN = ["gunicorn", "--bind", "127.0.0.1:{port}", "--workers", "2", "--graceful-timeout", "5"]
_UVICORN = ["uvicorn", "--port", "{port}", "--no-access-log", "--log-level", "warning"]
SERVERS = {
    "flask": ["flask", "--app", "scripts.soak_app:wsgi", "run", "--port", "{port}"],
    "gunicorn-sync": [*_GUNICORN, "scripts.soak_app:wsgi"],
    "gunicorn-gthread": [*_GUNICORN, "--threads", "8", "scripts.soak_app:wsgi"],
    "gunicorn-preload": [*_GUNICORN, "--threads", "4", "--preload", "scripts.soak_app:wsgi"],
    "gunicorn-uvicorn": [*_GUNICORN, "--worker-class", "uvicorn.workers.UvicornWorker", "scripts.soak_app:asgi"],
    "uvicorn": [*_UVICORN, "scripts.soak_app:asgi"],
    "uvicorn-workers": [*_UVICORN, "--workers", "2", "scripts.soak_app:asgi"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}", "scripts.soak_app:asgi"],
    "uvicorn-reload": [*_UVICORN, "--reload", "scripts.soak_app:asgi"],
}
_NUMBER = re.compile(r"/items/(\d+)")


@dataclass(frozen=True)
class Found:
    """What is in a cassette directory: the numbers of the requests, and files that cannot be read, each with why."""

    numbers: frozenset[int]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class Loss:
    """Requests answered long enough before the end that are in no cassette, of how many, and the unreadable files."""

    lost: tuple[int, ...]
    of: int
    unreadable: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether nothing was lost."""
        return not self.lost and not self.unreadable


def environment(directory: Path, **more: str) -> dict[str, str]:
    """The environment of a server that records into a directory; our faults are not raised in it."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIMETRACER_", "OTEL_"))}
    modules = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    return {**kept, "PATH": path, "PYTHONPATH": modules, "TIMETRACER_DIR": str(directory), **more}


def serve(command: Sequence[str], port: int, folder: Path, env: dict[str, str]) -> Program:
    """Start a recording server; it is waited for."""
    recording = ["opentelemetry-instrument", "--traces_exporter", "timetracer"]
    filled = [*recording, *(part.format(port=port) for part in command)]
    program = Program(filled, log=folder / "server.log", env=env, cwd=folder)
    program.wait_for_port(port)
    return program


def ask(port: int, requests: int, *more: str) -> Outcome:
    """Send requests from a process of its own.

    Args:
        port: of the server.
        requests: how many.
        more: arguments of ``soak_load``.

    Raises:
        CalledProcessError: the load could not be made.
    """
    command = [sys.executable, "-m", "scripts.soak_load", "--port", str(port), "--requests", str(requests), *more]
    made = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return _outcome(made.stdout)


def _outcome(output: bytes) -> Outcome:
    read = json.loads(output)
    read["answered"] = {int(number): at for number, at in read["answered"].items()}
    return Outcome(**read)


def found(directory: Path) -> Found:
    """Read every cassette of a directory, as any reader would find them."""
    numbers: set[int] = set()
    unreadable: list[str] = []
    for path in directory.rglob("*.jsonl*"):
        if path.is_symlink() or path.suffix == ".part":
            continue
        try:
            numbers.update(_numbers(path))
        except CassetteError as error:
            unreadable.append(str(error))
    return Found(frozenset(numbers), tuple(unreadable))


def _numbers(path: Path) -> Iterable[int]:
    for span in read_spans(path):
        match = _NUMBER.fullmatch(span.text(names.HTTP_TARGET) or "")
        if match is not None and span.payload(names.HTTP_RESPONSE_BODY) is not None:
            yield int(match[1])


def lost(outcomes: Iterable[Outcome], directory: Path, grace: float = GRACE) -> Loss:
    """Compare what was answered long enough before the end with what was recorded.

    Args:
        outcomes: of the requests.
        directory: of the cassettes.
        grace: seconds before a kill from which on an answer must be recorded.
    """
    there = found(directory)
    due: set[int] = set()
    for outcome in outcomes:
        end = float("inf") if outcome.killed is None else outcome.killed - grace
        due.update(number for number, at in outcome.answered.items() if at <= end)
    return Loss(tuple(sorted(due - there.numbers)), len(due), there.unreadable)


def killed_round(server: str, folder: Path, requests: int, concurrency: int, grace: float = GRACE, **env: str) -> Loss:
    """Ask, kill in the middle, start again, ask the rest, end the server by SIGTERM, and count.

    Args:
        server: key of :data:`SERVERS`.
        folder: for the cassettes and the server's log.
        requests: how many altogether.
        concurrency: connections.
        grace: seconds before the kill from which on an answer must be recorded.
        env: settings.
    """
    settings, half = environment(folder / "cassettes", **env), requests // 2
    outcomes = []
    for first, kills in ((0, True), (half, False)):
        port = free_port()
        with serve(SERVERS[server], port, folder, settings) as program:
            more = ["--first", str(first), "--concurrency", str(concurrency)]
            if kills:
                more += ["--kill", str(program.pid), "--kill-after", str(half)]
            outcomes.append(ask(port, requests - first, *more))
    return lost(outcomes, folder / "cassettes", grace)


def _soak_kills(options: argparse.Namespace) -> bool:
    fine = True
    for number in range(1, options.rounds + 1):
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="soak-") as folder:
            loss = killed_round(options.server, Path(folder), options.requests, options.concurrency)
            said = [line for line in (Path(folder) / "server.log").read_text().splitlines() if "timetracer " in line]
        fine = fine and loss.nothing
        print(
            f"round {number:2d}: {loss.of} answered in time, {len(loss.lost)} of them lost, "
            f"{len(loss.unreadable)} files unreadable; {time.monotonic() - begun:.0f} s",
            flush=True,
        )
        for what in (*loss.lost[:5], *loss.unreadable[:5], *said[:5]):
            print("   ", what)
    return fine


def resident(group: int) -> int:
    """Bytes of resident memory of a process group."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[2]) == group:
            pages += int(fields[21])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _soak_memory(options: argparse.Namespace) -> bool:
    """Print resident memory each twentieth of the time; whether the last third is not above the second by a tenth."""
    seen: list[int] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder, port = Path(name), free_port()
        env = environment(folder / "cassettes", TIMETRACER_MAX_DISK="200MB")
        with serve(SERVERS[options.server], port, folder, env) as program:
            count = int(options.rate * options.minutes * 60)
            load = [sys.executable, "-m", "scripts.soak_load", "--port", str(port), "--requests", str(count)]
            output = (folder / "load.json").open("w+b")
            with output, subprocess.Popen([*load, "--rate", str(options.rate)], cwd=ROOT, stdout=output) as process:
                begun = time.monotonic()
                while _still_runs(process, options.minutes * 3):
                    seen.append(resident(program.pid))
                    print(f"{time.monotonic() - begun:5.0f} s: {seen[-1] / 1e6:.1f} MB", flush=True)
                outcome = _outcome((folder / "load.json").read_bytes())
    took = max(outcome.answered.values()) - min(outcome.answered.values())
    print(f"{len(outcome.answered)} answers, {len(outcome.answered) / took:.0f} a second, {len(outcome.wrong)} wrong")
    third = len(seen) // 3
    return max(seen[-third:]) <= 1.1 * max(seen[third:-third])


def _still_runs(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def run(arguments: list[str] | None = None) -> int:
    """Soak as the arguments say; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=SERVERS, default="gunicorn-gthread")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--rate", type=float, help="requests a second; measures memory instead")
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args(arguments)
    return 0 if (_soak_memory if options.rate else _soak_kills)(options) else 1


if __name__ == "__main__":
    sys.exit(run())
