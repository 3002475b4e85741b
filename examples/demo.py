"""Record the examples against a MongoDB server, end that server, replay every request, compare byte for byte.

``python -m examples.demo`` is what ``make demo`` runs. Exit status: 0 when every answer was identical, 1 when one was
not or something did not work.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from examples import kafka
from examples.asking import Answer, Example
from examples.cases import CONSUMER, DATABASES, EXAMPLES
from examples.postgres import running
from examples.support import ENDING, MongoServer, Program, accepts

RECORD = ("opentelemetry-instrument", "--traces_exporter", "timetracer")
NO_FILE = "sqlite:////nowhere/shop.sqlite3"
NO_SERVER = "postgresql://nobody:none@postgres.example.net:5433/nothing?sslmode=require"
UNREACHABLE = "mongodb+srv://u:p@cluster.example.net/?replicaSet=rs0&tls=true"


@dataclass(frozen=True)
class Row:
    """One request, or run of a script: what it answered with the database and without."""

    label: str
    expected: int
    recorded: Answer
    replayed: Answer

    def problems(self) -> Iterator[str]:
        """Say what is wrong; nothing when all is well."""
        if self.recorded.status != self.expected:
            answer = f"{self.recorded.status} {self.recorded.body[:300]!r}"
            yield f"{self.label}: status {self.expected} was expected, recorded was {answer}"
        if (difference := self.recorded.difference(self.replayed)) is not None:
            yield f"{self.label}: {difference}"


@dataclass(frozen=True)
class Comparison:
    """One example, recorded and replayed.

    Attributes:
        name: of the example.
        rows: its requests.
        answered: how many calls the replay answered.
        missed: what it found no recorded call for.
    """

    name: str
    rows: Sequence[Row]
    answered: int
    missed: Sequence[str]

    def problems(self) -> list[str]:
        """Say what is wrong, one line each; nothing when all is well."""
        lines = [line for row in self.rows for line in row.problems()] + [f"missed: {miss}" for miss in self.missed]
        return [f"{self.name}: {line}" for line in lines]


@contextmanager
def database() -> Iterator[tuple[str, int | None]]:
    """Give the URI of a MongoDB server without the examples' data; and its port, when it is ours and ends here.

    Raises:
        RuntimeError: there is no server.
    """
    if uri := os.environ.get("MONGODB_URI"):
        _drop_examples(uri)
        try:
            yield uri, None
        finally:
            _drop_examples(uri)
    else:
        with MongoServer() as server:
            yield server.uri, server.port


def _drop_examples(uri: str) -> None:
    try:
        with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=5000) as client:
            for name in DATABASES:
                client.drop_database(name)
    except PyMongoError as error:
        what = f"the server at MONGODB_URI cannot be used ({type(error).__name__})"
        raise RuntimeError(f"{what}: start it, or unset MONGODB_URI for a stand-in") from error


@contextmanager
def postgres(examples: Sequence[Example], console: Console) -> Iterator[str | None]:
    """Give the URL of a PostgreSQL server, if an example needs one and its programs are here; it ends here.

    Args:
        examples: which ones.
        console: to say that they are not.
    """
    if not any(example.on_postgres for example in examples):
        yield None
        return
    with ExitStack() as servers:
        try:
            url = servers.enter_context(running()).dsn
        except FileNotFoundError as error:
            console.print(f"left out: the example on PostgreSQL ({error})", markup=False)
            url = None
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"PostgreSQL did not start: {error}") from error
        yield url


def record(example: Example, work: Path, uri: str, postgres_url: str | None) -> list[Answer]:
    """Run an example under ``opentelemetry-instrument``.

    Args:
        example: which one.
        work: folder for its cassettes and log.
        uri: of the MongoDB server.
        postgres_url: of the PostgreSQL server, if there is one.

    Raises:
        RuntimeError: it did not start.
    """
    url = postgres_url if example.on_postgres and postgres_url else f"sqlite:///{work / 'shop.sqlite3'}"
    databases = {"MONGODB_URI": uri, "DATABASE_URL": url}
    env = _environment(work, TIMETRACER_DIR=str(work / "cassettes"), **databases, **_urls(example))
    with ExitStack() as running:
        for peer in example.peers:
            command = [*peer.command, "--port", str(peer.port)]
            log = work / f"{peer.variable}.log"
            running.enter_context(Program(command, log=log, env=_environment(work), cwd=example.folder)).wait_for_port(
                peer.port
            )
        return example.answers(RECORD, env, work / "recording.log")


def replay(example: Example, work: Path, recorded: Sequence[Answer]) -> Comparison:
    """Run an example under ``timetracer-replay``, its database out of reach, and compare.

    Args:
        example: which one.
        work: the folder that it was recorded to.
        recorded: what it answered then.

    Raises:
        RuntimeError: it did not start.
    """
    report, log = work / "report.json", work / "replay.log"
    prefix = ("timetracer-replay", str(work / "cassettes"), "--report", str(report), "--")
    env = _environment(
        work, MONGODB_URI=UNREACHABLE, DATABASE_URL=NO_SERVER if example.on_postgres else NO_FILE, **_urls(example)
    )
    replayed = example.answers(prefix, env, log)
    if not report.exists():
        raise RuntimeError(f"timetracer-replay … -- {example.shown} left no report:\n{log.read_text(errors='replace')}")
    found = json.loads(report.read_bytes())
    rows = [Row(*expected, *pair) for expected, *pair in zip(example.expected, recorded, replayed, strict=True)]
    missed = [miss["message"] for miss in found["missed"]]
    return Comparison(example.folder.name, rows, sum(found["answered"].values()), missed)


def _urls(example: Example) -> dict[str, str]:
    return {peer.variable: peer.url for peer in example.peers}


def _environment(work: Path, **settings: str) -> dict[str, str]:
    """Our environment without what would change a recording; our programs first, temporary files in ``work``."""
    foreign = ("OTEL_", "TIMETRACER_", "FLASK_", "UVICORN_", "DJANGO_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    faults = {name: value for name, value in os.environ.items() if name == "TIMETRACER_RAISE_FAULTS"}
    path = os.pathsep.join(filter(None, (str(Path(sys.executable).parent), kept.get("PATH"))))
    return {**kept, **faults, "PATH": path, "TMPDIR": str(work), **settings}


def compare(examples: Sequence[Example], work: Path, console: Console) -> list[Comparison]:
    """Record examples, end the MongoDB server, replay them.

    Args:
        examples: which ones.
        work: an empty folder.
        console: to say what happens.

    Raises:
        RuntimeError: something did not start, or did not end.
    """
    folders = [work / str(number) for number in range(len(examples))]
    recorded: list[list[Answer]] = []
    with database() as (uri, port), postgres(examples, console) as url:
        examples = [example for example in examples if url or not example.on_postgres]
        console.print(f"database: {f'started on port {port}' if port else 'the one that MONGODB_URI names'}")
        for example, folder in zip(examples, folders, strict=False):
            folder.mkdir()
            console.print(f"record:   {shlex.join(RECORD)} {example.shown}", markup=False)
            recorded.append(record(example, folder, uri, url))
    if port is not None and accepts(port):
        raise RuntimeError(f"the MongoDB server on port {port} did not end")
    console.print(f"database: {'ended' if port else 'out of reach'}, MONGODB_URI={UNREACHABLE}", markup=False)
    console.print(f"          its file is not there, DATABASE_URL={NO_FILE}", markup=False)
    comparisons = []
    for example, folder, answers in zip(examples, folders, recorded, strict=False):
        console.print(f"replay:   timetracer-replay cassettes -- {example.shown}", markup=False)
        comparisons.append(replay(example, folder, answers))
    return comparisons


def table(comparisons: Sequence[Comparison]) -> Table:
    """Give the table of all requests."""
    drawn = Table("request", "recorded", "replayed", "identical")
    for comparison in comparisons:
        drawn.add_section()
        drawn.add_row(f"[bold]{comparison.name}[/]")
        for row in comparison.rows:
            identical = "[green]yes[/]" if row.recorded == row.replayed else "[red]NO[/]"
            drawn.add_row(escape(row.label), str(row.recorded), str(row.replayed), identical)
    return drawn


def consumers(console: Console) -> list[Example]:
    """Give the example on Kafka, if a broker's program is here.

    Args:
        console: to say that it is not.
    """
    if kafka.program() is not None:
        return [CONSUMER]
    console.print("left out: the example on Kafka (no kfake is here: scripts/install-kfake)", markup=False)
    return []


def main() -> int:
    """Run the demo; give its exit status."""
    console, started = Console(highlight=False, soft_wrap=True), time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="timetracer-demo-") as work:
            comparisons = compare([*EXAMPLES, *consumers(console)], Path(work), console)
    except (RuntimeError, OSError) as error:
        console.print(f"the demo did not work: {error}", style="red", markup=False)
        return 1
    console.print(table(comparisons))
    problems = [problem for comparison in comparisons for problem in comparison.problems()]
    for problem in problems:
        console.print(problem, style="red", markup=False)
    answered = sum(comparison.answered for comparison in comparisons)
    seconds = time.monotonic() - started
    console.print(f"{answered} calls answered without database and services; {len(problems)} problems; {seconds:.0f} s")
    return 1 if problems else 0


def _end(number: int, _frame: FrameType | None) -> None:
    """End by an exception, so that every process and folder is cleaned up, which a second signal does not stop."""
    for one in ENDING:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    for ending in ENDING:
        signal.signal(ending, _end)
    sys.exit(main())
