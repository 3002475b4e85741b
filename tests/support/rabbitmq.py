"""A RabbitMQ server of the tests' own: Debian's programs, a temporary folder, free ports, no root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from examples.servers import kept_running, unprivileged
from examples.support import free_port

__all__ = ["Rabbit", "running"]

_SECONDS: Final = 90.0
_PROGRAM: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not the one on PATH, which writes beside the system's own server."""


class Rabbit:
    """Runs from ``start`` to ``stop``.

    Raises:
        FileNotFoundError: its programs are not installed.
    """

    def __init__(self) -> None:
        if not _PROGRAM.exists():
            raise FileNotFoundError("RabbitMQ's programs are not here: apt-get install rabbitmq-server")
        self._folder = Path(tempfile.mkdtemp(prefix="rabbit-"))
        self._user = unprivileged("rabbitmq", "nobody") if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        self.port = free_port()
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Serve, and wait until it does."""
        folder, user = self._folder, self._user
        own = {
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"timetracer{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-rabbit tcp_listen_options [{backlog,128},{nodelay,true}]",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self._server = subprocess.Popen(
            [str(_PROGRAM)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **own},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
        )
        until = time.monotonic() + _SECONDS
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"RabbitMQ does not serve: {self._words()}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"AMQP\0\0\x09\x01")
            return bool(connection.recv(1))
        return False

    def _words(self) -> str:
        return "\n".join(file.read_text()[-2000:] for file in (self._folder / "log").glob("*.log"))

    def stop(self) -> None:
        """End at once, with the programs that it has started."""
        server, self._server = self._server, None
        if server is not None:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        for pid in _in_folder(self._folder):  # Erlang's port mapper makes a session of its own
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _in_folder(folder: Path) -> Iterator[int]:
    """The processes that have a folder as their home."""
    mark = f"HOME={folder}\0".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environment.read_bytes() + b"\0":
                yield int(environment.parent.name)


def running() -> AbstractContextManager[Rabbit]:
    """Run a server of its own, which may be stopped meanwhile."""
    return kept_running(Rabbit())
