"""A MongoDB stand-in (SecantusDB) in a process of its own, so that the tested app keeps its interpreter to itself."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

START_SECONDS = 30.0


def free_port() -> int:
    """Give a TCP port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class MongoServer:
    """A server on a free loopback port, kept in memory: each start begins empty.

    A context manager: entering starts it, leaving ends it.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="timetracer-mongo-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The connection string; the same after a restart."""
        return f"mongodb://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Raises:
            RuntimeError: SecantusDB is not installed, or the server ended or did not accept within 30 seconds.
        """
        if importlib.util.find_spec("secantus") is None:
            raise RuntimeError("SecantusDB is not installed (no wheel for this Python?): set MONGODB_URI to a server")
        command = [sys.executable, "-m", "secantus", "--port", str(self.port), "--storage-path", ":memory:"]
        with self._log.open("ab") as log:
            # The folder: no configuration file of the developer's is found there, and the server makes its own in it.
            self._process = subprocess.Popen(
                command,
                cwd=self._folder.name,
                env={"PATH": "", "HOME": self._folder.name, "TMPDIR": self._folder.name},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait(self._process)

    def stop(self) -> None:
        """End the server at once, as a crash would: SIGKILL, because SecantusDB was seen to hang on SIGTERM."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Start it again, empty, at the same address."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
        self._folder.cleanup()

    @property
    def _log(self) -> Path:
        return Path(self._folder.name, "server.log")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        log = self._log.read_text(errors="replace")
        raise RuntimeError(f"SecantusDB did not start on port {self.port} within {START_SECONDS:g} s:\n{log}")
