"""What a real Jaeger answered, from a server on loopback, and the cassette files of the same run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.record_jaeger import EXCHANGE, Recorded, read, record, write
from tests.support.backends import serving


@dataclass(frozen=True)
class Exchange:
    """A recorded exchange that is being served.

    Attributes:
        recorded: what Jaeger answered.
        place: host and port.
        direct: the file with the lanes that the recorder itself wrote.
    """

    recorded: Recorded
    place: str
    direct: Path

    def url(self, target: str) -> str:
        """The URL of the trace of a request.

        Args:
            target: of the request.
        """
        return f"jaeger://{self.place}/{self.recorded.traces[target]}"


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """The exchange that this repository has; with ``TIMETRACER_JAEGER``, a path, one that is recorded anew."""
    folder = EXCHANGE
    if program := os.environ.get("TIMETRACER_JAEGER"):
        run, folder = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("exchange")
        write(record(program, run), run / "direct", folder)
    recorded = read(folder)
    with serving(recorded.answers) as backend:
        yield Exchange(recorded, backend.place, folder / "direct.jsonl.gz")
