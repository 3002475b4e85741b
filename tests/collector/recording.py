"""Programs that record through a collector, and what came of it."""

from __future__ import annotations

import http.client
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from examples.support import Program, free_port
from tests.support.commands import OTEL
from timetracer_otel.cassette.finding import find
from timetracer_otel.cassette.loading import load
from timetracer_otel.cassette.model import Cassette

HERE = Path(__file__).resolve().parent
INSTRUMENTED = (*OTEL, "--traces_exporter", "otlp")


@contextmanager
def serving(env: Mapping[str, str], log: Path, folder: Path = HERE, app: str = "payload_app") -> Iterator[int]:
    """Run a Flask app that records; give its port. It ends as by Ctrl-C, which lets exporters finish.

    Args:
        env: settings, besides those of this process.
        log: file for what it prints.
        folder: where the app is.
        app: its module.
    """
    port = free_port()
    command = [*INSTRUMENTED, sys.executable, "-m", "flask", "--app", app, "run", "--port", str(port)]
    with Program(command, log=log, env={**os.environ, **env}, cwd=folder) as program:
        program.wait_for_port(port)
        yield port
        program.send(signal.SIGINT)
        program.wait()


def ask(port: int, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
    """Send a request; give status and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body or None)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def loaded(places: Sequence[Path]) -> Cassette:
    """Load what stands in files and folders."""
    return load(find([str(place) for place in places], places[0]))
