"""Consumers as real processes: recorded at a broker, replayed with it gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.commands import OTEL, REPLAY
from tests.support.kafka import running
from tests.support.serving import Telling, serving
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.finding import below
from timetracer_otel.cassette.model import Lane, Span

HERE: Final = Path(__file__).parent
RECORD: Final = (*OTEL, "--traces_exporter", "timetracer")
NOWHERE: Final = "127.0.0.1:1"
SECONDS: Final = 120.0


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command where the programs of these tests are.

    Args:
        command: with its arguments.
        env: added to the environment.
    """
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", **env}
    return subprocess.run(
        command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


class Recorded(NamedTuple):
    """A recorded consumer.

    Attributes:
        program: its file.
        cassettes: what was recorded.
        peer: the service that it asked, which is gone.
        printed: what it printed.
        plain: what it had printed before, without us, at a broker of its own.
    """

    program: str
    cassettes: Path
    peer: str
    printed: str
    plain: str

    def lanes(self) -> list[Lane]:
        """Its messages and batches, in order of start."""
        found = loading.load(below(self.cassettes)).lanes
        return sorted(found, key=lambda lane: lane.entry.start if lane.entry else 0)

    def replayed(self, *options: str, **env: str) -> tuple[int, str]:
        """Run it again with broker and service gone; its exit status and what was said."""
        done = run(
            *REPLAY,
            *options,
            str(self.cassettes),
            "--",
            sys.executable,
            self.program,
            KAFKA=NOWHERE,
            PEER=self.peer,
            **env,
        )
        return done.returncode, done.stdout + done.stderr


@contextmanager
def filled(program: str) -> Iterator[str]:
    """Run a broker with what a program puts there; give its address."""
    with running() as broker:
        done = run(sys.executable, program, KAFKA=broker.dsn, FILL="1")
        assert done.returncode == 0, done.stderr
        yield broker.dsn


def recorded(program: str, folder: Path, *, without: str = "") -> Recorded:
    """Record a program, after it has run without us.

    Args:
        program: its file.
        folder: for the cassettes.
        without: OpenTelemetry's instrumentors to go without.
    """
    cassettes = folder / "cassettes"
    settings = {"TIMETRACER_DIR": str(cassettes), "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": without}
    with serving(Telling) as peer:
        with filled(program) as address:
            plain = run(sys.executable, program, KAFKA=address, PEER=peer)
        with filled(program) as address:
            done = run(
                *RECORD, sys.executable, program, KAFKA=address, PEER=peer, TIMETRACER_RAISE_FAULTS="1", **settings
            )
    assert (plain.returncode, done.returncode) == (0, 0), plain.stderr + done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr  # as what is collected at the end raises
    return Recorded(program, cassettes, peer, done.stdout, plain.stdout)


def operations(calls: Iterable[Span]) -> list[str]:
    """What calls ask: ``send priced``, ``commit``."""
    return [
        f"send {call.text('messaging.destination.name') or call.text('messaging.destination')}"
        if call.kind.name == "PRODUCER"
        else str(call.text("messaging.operation.name") or call.name)
        for call in calls
    ]
