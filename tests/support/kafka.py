"""A Kafka of the tests' own: ``kfake``, one broker in memory, built with Go when it is not there."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from examples.support import accepts, free_port

__all__ = ["Broker", "running"]

_INSTALL: Final = Path(__file__).parents[2] / "scripts" / "install-kfake"
_BUILD_SECONDS: Final = 15 * 60


class Broker:
    """Runs without data until it is stopped."""

    variable: Final = "KAFKA"

    def __init__(self) -> None:
        found = subprocess.run([str(_INSTALL)], capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
        assert found.returncode == 0, found.stderr
        port = free_port()
        self.dsn = f"127.0.0.1:{port}"
        self._process = subprocess.Popen([found.stdout.strip(), str(port)])
        while not accepts(port):
            assert self._process.poll() is None, "kfake ended"
            time.sleep(0.02)

    def stop(self) -> None:
        """End."""
        self._process.terminate()
        self._process.wait()


@contextmanager
def running() -> Iterator[Broker]:
    """Run a broker."""
    broker = Broker()
    try:
        yield broker
    finally:
        broker.stop()
