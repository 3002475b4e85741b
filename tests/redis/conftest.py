"""A Redis server, started when a test needs it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from examples.support import accepts, free_port


@contextmanager
def serving(folder: Path, *options: str, port: int = 0) -> Iterator[int]:
    """Run a server without data that keeps nothing; give its port. Debian's package is ``redis-server``."""
    port = port or free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while not accepts(port):
                assert process.poll() is None, "redis-server ended"
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[int]:
    """The port of a server that runs as long as the test."""
    with serving(tmp_path) as port:
        yield port
