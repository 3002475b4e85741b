"""The program under test: started, found listening, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, TypeAlias

from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.verifying.client import Target

__all__ = ["BOOT", "App", "Streams", "accepts", "runs"]

Streams: TypeAlias = tuple[int, int | None, int | None]
"""Descriptors, or what :mod:`subprocess` takes for one; None for the log."""

BOOT: Final = (
    sys.executable, "-c", "from opentelemetry.instrumentation.auto_instrumentation import run; run()", "--",
)  # fmt: skip
"""Starts a command under OpenTelemetry's auto-instrumentation, in the same process.

Behind ``--`` the options of the command are its own: its parser would take an abbreviated one for one of its own.
"""

_LISTENS: Final = "0A"
"""State TCP_LISTEN in /proc/net/tcp (Linux, include/net/tcp_states.h)."""
_STOP_SECONDS: Final = 5.0
_KILLED_SECONDS: Final = 1.0
"""At most: where nobody reaps orphans, a killed one stays in its group."""
_LAST_LINES: Final = 20
_SHORTEST_POLL: Final = 0.02
_LONGEST_POLL: Final = 0.2


class App:
    """A command that runs as a session of processes of its own. Leaving the context ends all of them.

    Args:
        command: with its arguments.
        env: its environment.
        log: file for what it prints.
        streams: its stdin, stdout and stderr, where they are others.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, streams: Streams | None = None
    ) -> None:
        self._log = log
        with log.open("ab") as stderr:
            stdin, *outputs = streams or (subprocess.DEVNULL, None, None)
            self._process = subprocess.Popen(
                [*BOOT, *command],
                env=env,
                stdin=stdin,
                stdout=stderr if outputs[0] is None else outputs[0],
                stderr=stderr if outputs[1] is None else outputs[1],
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def exit_status(self) -> int | None:
        """How it ended, None while it runs; of a signal, 128 and its number."""
        status = self._process.poll()
        return 128 - status if status is not None and status < 0 else status

    @property
    def ended(self) -> bool:
        """Whether it does not run any more."""
        return self._process.poll() is not None

    @property
    def how(self) -> str:
        """How it ended, as a part of a sentence."""
        return f"ended with status {self.exit_status}"

    @property
    def words(self) -> str:
        """The last that it printed, as a part of a sentence."""
        said = self.said()
        return f"it said:\n{said}" if said.strip() else "it said nothing"

    @property
    def last_word(self) -> str:
        """The last line that it printed, as a part of a sentence."""
        lines = self.said().split("\n")
        return f"it said at last: {lines[-1]}" if lines[-1].strip() else "it said nothing"

    def said(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-_LAST_LINES:])

    def wait_listening(self, seconds: float, gives_up: Callable[[], bool] = lambda: False) -> Target | None:
        """Wait until it accepts connections on a TCP port.

        Args:
            seconds: at most.
            gives_up: says that it need not be waited for any more.

        Returns:
            Where; None when it ended or did not within that time.

        Raises:
            ConfigError: this system does not tell who listens.
        """
        if not Path("/proc/net/tcp").exists():
            raise ConfigError("this system has no /proc/net/tcp to find the port in: name it with --url")
        for _ in self._while_running(seconds):
            if gives_up():
                return None
            if (found := _listening(self._process.pid)) is not None:
                return found
        return None

    def wait_accepting(self, target: Target, seconds: float) -> Target | None:
        """Wait until a given address accepts connections.

        Args:
            target: the address.
            seconds: at most.

        Returns:
            It; None when the command ended or the address did not within that time.
        """
        return target if any(accepts(target) for _ in self._while_running(seconds)) else None

    def _while_running(self, seconds: float) -> Iterator[None]:
        began = time.monotonic()
        while self._process.poll() is None and (waited := time.monotonic() - began) < seconds:
            yield
            time.sleep(min(max(_SHORTEST_POLL, waited / 20), _LONGEST_POLL))

    def wait(self, seconds: float) -> int | None:
        """Wait until it ends by itself; give its exit status, None when it did not.

        Args:
            seconds: at most.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.exit_status

    def stop(self) -> None:
        """End it as an operator would: Ctrl-C, which all of it gets; SIGTERM to the command; SIGKILL to the rest."""
        # Ignored by us, and so by what we started: a job in the background.
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        if not ignored and self._process.poll() is None:
            self._tell_group(signal.SIGINT)
        if self.wait(0 if ignored else _STOP_SECONDS) is None:
            self._process.terminate()
            self.wait(_STOP_SECONDS)
        self._kill_group()

    def _kill_group(self) -> None:
        """Kill what is left, and wait a moment for it: a port is free only when its last holder has ended."""
        until = time.monotonic() + _KILLED_SECONDS
        while self._tell_group(signal.SIGKILL) and time.monotonic() < until:
            self._process.poll()
            time.sleep(_SHORTEST_POLL)
        self._process.wait()

    def _tell_group(self, number: int) -> bool:
        """Send a signal to all of it; whether anything was left to get it."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)
            return True
        return False


def accepts(target: Target) -> bool:
    """Whether something takes connections at an address.

    Args:
        target: the address.
    """
    try:
        socket.create_connection((target.host, target.port), timeout=1).close()
    except OSError:
        return False
    return True


def _listening(session: int) -> Target | None:
    """Where a process of a session listens for TCP. The list of all sockets is long, and read only for its own."""
    mine = list(_sockets(session))
    listening = dict(_listening_sockets()) if mine else {}
    return next((listening[inode] for inode in mine if inode in listening), None)


def _sockets(session: int) -> Iterator[str]:
    """The inodes of the sockets of a session's processes."""
    for pid in _processes(session):
        with suppress(OSError):  # it has ended
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):  # closed meanwhile
                    kind, _, inode = str(descriptor.readlink()).partition(":")
                    if kind == "socket":
                        yield inode.strip("[]")


def _processes(session: int) -> Iterator[int]:
    """The processes of a session (proc(5): field 6 of stat, counted behind the name in parentheses)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):  # it has ended
                fields = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                if int(fields[3]) == session:
                    yield int(entry.name)


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; False where the system does not tell.

    Args:
        pid: its id.
    """
    with suppress(OSError):
        state = (Path("/proc") / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0]
        return state not in {"Z", "X"}
    return False


def _listening_sockets() -> Iterator[tuple[str, Target]]:
    """Inode and address of all listening sockets (proc(5): /proc/net/tcp and tcp6)."""
    for name, anywhere, loopback in (("tcp", "0" * 8, "127.0.0.1"), ("tcp6", "0" * 32, "::1")):
        with suppress(OSError):  # no IPv6
            lines = Path(f"/proc/net/{name}").read_text("ascii").splitlines()[1:]
            for fields in (line.split() for line in lines if f" {_LISTENS} " in line):
                address, _, port = fields[1].partition(":")
                if fields[3] == _LISTENS:
                    host = loopback if address == anywhere else _host(address)
                    yield fields[9], Target(host, int(port, 16))


def _host(address: str) -> str:
    """An address as /proc writes it: words of 32 bits in the machine's order."""
    raw = b"".join(int(address[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(address), 8))
    return socket.inet_ntop(socket.AF_INET6 if len(raw) > 4 else socket.AF_INET, raw)  # noqa: PLR2004 - bytes of an IPv4 address
