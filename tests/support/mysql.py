"""A MariaDB server of the tests' own: Debian's programs, a temporary folder, a free port, no root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final

import pymysql

from examples.servers import kept_running, unprivileged
from examples.support import free_port

__all__ = ["ELSEWHERE", "PASSWORD", "USER", "MysqlServer", "running"]

USER: Final = "shop"
PASSWORD: Final = "tea-and-biscuits-4711"
ELSEWHERE: Final[dict[str, Any]] = {
    "host": "db.nowhere.example", "port": 6543, "user": "somebody", "password": "else", "database": "warehouse",
}  # fmt: skip
"""An address where nothing is."""
_PATIENCE: Final = 60.0


class MysqlServer:
    """Runs from ``start`` to ``stop``; what is in it stays, so that it can be started again.

    Raises:
        FileNotFoundError: its programs are not installed.
    """

    variable = "MYSQL_URL"

    def __init__(self) -> None:
        self._programs = {name: _program(*others) for name, others in _PROGRAMS.items()}
        self._folder = Path(tempfile.mkdtemp(prefix="mysql-"))
        self._folder.chmod(0o755)
        self._data = self._folder / "data"
        self._data.mkdir()
        self._user = _user() if os.geteuid() == 0 else None
        if self._user is not None:
            for folder in (self._data, self._folder):
                os.chown(folder, *self._user)
        self.port = free_port()
        self.socket = str(self._folder / "server.sock")
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run(
            [
                self._programs["install"],
                "--no-defaults",
                f"--datadir={self._data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            check=True,
            **self._as_user,
        )
        users = (
            "CREATE DATABASE IF NOT EXISTS shop;\nCREATE DATABASE IF NOT EXISTS other;\n"
            f"CREATE USER IF NOT EXISTS {USER} IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO {USER};\n"
        )
        self._init = self.put("init.sql", users.encode())

    @property
    def _as_user(self) -> dict[str, Any]:
        user, group = self._user or (None, None)
        return {
            "cwd": self._folder, "env": {**os.environ, "TMPDIR": str(self._folder)},
            "user": user, "group": group, "extra_groups": None if user is None else [],
            "stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
        }  # fmt: skip

    @property
    def address(self) -> dict[str, Any]:
        """Where it is, as drivers take it."""
        return {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD, "database": "shop"}

    @property
    def dsn(self) -> str:
        """Likewise, as a URL."""
        return f"mysql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/shop"

    def put(self, name: str, text: bytes) -> str:
        """Give the server a file; its path.

        Args:
            name: of the file.
            text: in it.
        """
        file = self._folder / name
        file.write_bytes(text)
        file.chmod(0o644)
        return str(file)

    def start(self, *options: str) -> None:
        """Serve.

        Args:
            options: of the server.
        """
        command = [
            self._programs["server"], "--no-defaults", f"--datadir={self._data}", f"--port={self.port}",
            f"--socket={self.socket}", "--bind-address=127.0.0.1", f"--init-file={self._init}", "--local-infile=1",
            "--max-allowed-packet=64M", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0",
            f"--pid-file={self._folder}/pid", "--max-connections=150", "--default-time-zone=+02:00",
            "--character-set-server=utf8mb4", *options,
        ]  # fmt: skip
        self._process = subprocess.Popen(command, **self._as_user)
        until = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"the server does not start: {command}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            pymysql.connect(**self.address).close()
        except pymysql.err.MySQLError:
            return False
        return True

    def stop(self) -> None:
        """End at once, if it has not ended."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
        with suppress(FileNotFoundError):
            Path(self.socket).unlink()

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self._folder, ignore_errors=True)


def running() -> AbstractContextManager[MysqlServer]:
    """Run a server of its own, which may be stopped meanwhile."""
    return kept_running(MysqlServer())


_PROGRAMS: Final = {
    "server": ("/usr/sbin/mariadbd", "mariadbd"),
    "install": ("/usr/bin/mariadb-install-db", "mariadb-install-db"),
}


def _program(place: str, name: str) -> str:
    """Debian has the server beside most users' PATH."""
    found = place if Path(place).exists() else shutil.which(name)
    if found is None:
        raise FileNotFoundError("MariaDB's programs are not here: apt-get install mariadb-server")
    return found


def _user() -> tuple[int, int]:
    user = unprivileged("mysql", "nobody")
    return user.pw_uid, user.pw_gid
