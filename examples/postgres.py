"""A PostgreSQL server of one's own: Debian's programs, a temporary folder, a free port, no root."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from examples.servers import kept_running, unprivileged
from examples.support import free_port

__all__ = ["PostgresServer", "running"]

_PROGRAMS: Final = "initdb", "pg_ctl", "postgres"
_USER: Final = "shop"
PASSWORD: Final = "tea-and-biscuits-4711"


class PostgresServer:
    """Runs from ``start`` to ``stop``; what is in it stays, so that it can be started again.

    Raises:
        FileNotFoundError: its programs are not installed.
    """

    variable = "DATABASE_URL"

    def __init__(self) -> None:
        self._bin = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=_parent()))
        self._folder.chmod(0o755)
        self._data = self._folder / "data"
        self._data.mkdir()
        if os.geteuid() == 0:
            os.chown(self._data, *_unprivileged())
            os.chown(self._folder, *_unprivileged())
        self.port = free_port()

    def _initialize(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        options = (
            "-U",
            _USER,
            "--pwfile",
            str(password),
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
        )
        self._run("initdb", "-D", str(self._data), *options)

    @property
    def dsn(self) -> str:
        """Where it is."""
        return f"postgresql://{_USER}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Serve."""
        if not (self._data / "PG_VERSION").exists():
            self._initialize()
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
            " -c max_connections=120 -c TimeZone=Europe/Berlin -c shared_buffers=16MB"
        )
        log = self._folder / "log"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-t", "60", "-l", str(log), "-o", options, "start")

    def stop(self) -> None:
        """End at once, if it has not ended."""
        if not (self._data / "postmaster.pid").exists():
            return
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "immediate", "stop")

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        user, group = _unprivileged() if os.geteuid() == 0 else (None, None)
        subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self._folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server keeps what its starter has open
            stderr=subprocess.DEVNULL,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )


def running() -> AbstractContextManager[PostgresServer]:
    """Run a server of its own, which may be stopped meanwhile."""
    return kept_running(PostgresServer())


def _programs() -> Path:
    """The folder of the programs: Debian has them beside PATH, by version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    for folder in (*folders, *([Path(on_path).parent] if on_path else [])):
        if all((folder / program).exists() for program in _PROGRAMS):
            return folder
    raise FileNotFoundError("PostgreSQL's programs are not here: apt-get install postgresql")


def _parent() -> str | None:
    """Where the server's folder goes: the user that runs it has no way into a folder of root's own."""
    folder = Path(tempfile.gettempdir()).resolve()
    ways = (folder, *folder.parents)
    is_closed = os.geteuid() == 0 and not all(one.stat().st_mode & stat.S_IXOTH for one in ways)
    return "/tmp" if is_closed else None  # noqa: S108 - a folder of its own is made in it


def _unprivileged() -> tuple[int, int]:
    user = unprivileged("postgres", "nobody")
    return user.pw_uid, user.pw_gid
