"""Real processes for the demo and the tests: a MongoDB server and programs, each ended for sure."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeAlias

START_SECONDS = 30.0
RUN_SECONDS = 30.0
STOP_SECONDS = 15.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that a user ends a program with."""

Process: TypeAlias = "subprocess.Popen[bytes]"


def free_port() -> int:
    """Give a TCP port on loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether something listens on a loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


class Program:
    """A command as a process group of its own, its output in files.

    A context manager: leaving ends the whole group, whatever happened.

    Args:
        command: with its arguments; found on the PATH of ``env``.
        log: file for its stderr, and for its stdout without ``output``.
        env: its environment.
        cwd: its working directory.
        output: file for its stdout.
    """

    def __init__(
        self, command: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path, output: Path | None = None
    ) -> None:
        self._log = log
        self._name = command[0]
        with log.open("ab") as stderr, (output or log).open("ab") as stdout:
            self._process = _undisturbed(
                lambda: subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                )
            )

    @property
    def pid(self) -> int:
        """Its process id, which is that of its group too."""
        return self._process.pid

    def wait_for_port(self, port: int) -> None:
        """Wait until the program accepts connections.

        Args:
            port: on loopback.

        Raises:
            RuntimeError: it ended, or did not accept within 30 seconds; with what it printed.
        """
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if accepts(port):
                return
            time.sleep(0.02)
        self.kill()
        log = self._log.read_text(errors="replace")
        raise RuntimeError(f"{self._name} did not start on port {port} within {START_SECONDS:g} s:\n{log}")

    def wait(self) -> int:
        """Wait until the program has ended by itself, and give its exit status.

        Raises:
            RuntimeError: it did not within 30 seconds; with what it printed.
        """
        try:
            return self._process.wait(RUN_SECONDS)
        except subprocess.TimeoutExpired:
            log = self._log.read_text(errors="replace")
            raise RuntimeError(f"{self._name} did not end within {RUN_SECONDS:g} s:\n{log}") from None

    def send(self, number: int) -> None:
        """Send a signal to the program, if it still runs."""
        self._process.send_signal(number)

    def stop(self) -> int:
        """Ask the program to end (SIGTERM), as an operator does; insist after 15 seconds. Give its exit status."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def kill(self) -> None:
        """End the whole group at once."""
        _kill_group(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self.stop()
        finally:
            self.kill()


def _undisturbed(start: Callable[[], Process]) -> Process:
    """Start a process; an interrupt waits until that is done, or nobody would know of the process and end it."""
    if threading.current_thread() is not threading.main_thread():
        return start()
    held: list[int] = []
    handled = [number for number in ENDING if callable(signal.getsignal(number))]
    handlers = {number: signal.signal(number, lambda got, _frame: held.append(got)) for number in handled}
    try:
        process = start()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if held:
        _kill_group(process)
        signal.raise_signal(held[0])
    return process


def _kill_group(process: Process) -> None:
    with suppress(ProcessLookupError):  # all of it has ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class MongoServer:
    """A MongoDB stand-in (SecantusDB) on a free loopback port, kept in memory: each start begins empty.

    A process of its own, so that the app under test keeps its interpreter to itself. A context manager: entering
    starts it, leaving ends it.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="timetracer-mongo-")
        self._program: Program | None = None

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
        folder = Path(self._folder.name)
        # The folder: no configuration file of the developer's is found there, and the server makes its own in it.
        self._program = Program(
            [sys.executable, "-m", "secantus", "--port", str(self.port), "--storage-path", ":memory:"],
            log=folder / "server.log",
            env={"PATH": "", "HOME": str(folder), "TMPDIR": str(folder)},
            cwd=folder,
        )
        self._program.wait_for_port(self.port)

    def stop(self) -> None:
        """End the server at once, as a crash would: SIGKILL, because SecantusDB was seen to hang on SIGTERM."""
        if self._program is not None:
            self._program.kill()
            self._program = None

    def restart(self) -> None:
        """Start it again, empty, at the same address."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
        self._folder.cleanup()
