"""Start an example, ask it, and keep what it answered."""

from __future__ import annotations

import http.client
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from examples.support import Program, free_port

SERVERS_OWN = frozenset({"date", "server", "connection"})
"""Headers that the server adds, not the app."""
SECONDS = 30.0
"""How long an answer may take."""
_SHOWN = 300
_PORT = "{port}"


@dataclass(frozen=True)
class Answer:
    """A response; or the end of a script, with its exit status and output.

    Attributes:
        status: of HTTP, or of the process.
        headers: those of the app, in order.
        body: the bytes.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def difference(self, replayed: Answer) -> str | None:
        """Say what first differs in another answer; None when nothing does."""
        for name in ("status", "headers", "body"):
            mine, theirs = getattr(self, name), getattr(replayed, name)
            if mine != theirs:
                return f"{name} recorded {_short(mine)}, replayed {_short(theirs)}"
        return None

    def __str__(self) -> str:
        return f"{self.status}, {len(self.body):,} B"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        method: of HTTP.
        target: path and query.
        body: sent as JSON; none when None.
        status: what the example is expected to answer.
    """

    method: str
    target: str
    body: object = None
    status: int = 200

    def send(self, port: int) -> Answer:
        """Send it over a connection of its own.

        Args:
            port: of the app, on loopback.
        """
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        try:
            body = None if self.body is None else json.dumps(self.body)
            connection.request(self.method, self.target, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            headers = [(name, value) for name, value in response.getheaders() if name.lower() not in SERVERS_OWN]
            return Answer(response.status, tuple(headers), response.read())
        finally:
            connection.close()


@dataclass(frozen=True)
class Peer:
    """A service that an example asks: up while it is recorded, gone while it is replayed.

    Attributes:
        variable: of the environment, which tells the example its URL.
        command: starts it; ``{port}`` in it is a free port, and without that ``--port`` is added.
        port: on loopback; the same in both runs, since it is part of what is asked.
        scheme: of its URL.
    """

    variable: str
    command: tuple[str, ...]
    port: int = field(default_factory=free_port)
    scheme: str = "http"

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.scheme}://127.0.0.1:{self.port}"


class Example(Protocol):
    """Something to record and to replay."""

    @property
    def peers(self) -> Sequence[Peer]:
        """What it asks beside the database."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    @property
    def on_postgres(self) -> bool:
        """Whether it needs PostgreSQL."""

    @property
    def shown(self) -> str:
        """Its command, as a user types it."""

    @property
    def expected(self) -> Sequence[tuple[str, int]]:
        """What is asked, in words, and the status that the answer should have."""

    def answers(self, prefix: Sequence[str], env: Mapping[str, str], log: Path) -> list[Answer]:
        """Run it once, ask everything, end it.

        Args:
            prefix: what stands before its command: ``opentelemetry-instrument …`` or ``timetracer-replay … --``.
            env: its environment.
            log: file for what it prints.

        Raises:
            RuntimeError: it did not start, or a script did not end; with what it printed.
        """


@dataclass(frozen=True)
class WebApp:
    """A server that is sent requests.

    Attributes:
        folder: where it is.
        command: starts it; a free port stands for ``{port}`` in it, or is added as ``--port``.
        asks: the requests, in order.
        peers: the services that it asks.
        on_postgres: whether it needs PostgreSQL.
    """

    folder: Path
    command: tuple[str, ...]
    asks: tuple[Ask, ...]
    peers: tuple[Peer, ...] = ()
    on_postgres: bool = False

    @property
    def shown(self) -> str:
        """Its command, as a user types it."""
        return shlex.join(self.command).replace(_PORT, "8000")

    @property
    def expected(self) -> Sequence[tuple[str, int]]:
        """The requests, in words, and the status of each."""
        return [(f"{ask.method} {ask.target}", ask.status) for ask in self.asks]

    def answers(self, prefix: Sequence[str], env: Mapping[str, str], log: Path) -> list[Answer]:
        """As :meth:`Example.answers`."""
        port = free_port()
        command = self.command if _PORT in self.command else (*self.command, "--port", _PORT)
        words = [*prefix, *(str(port) if word == _PORT else word for word in command)]
        with Program(words, log=log, env=env, cwd=self.folder) as program:
            program.wait_for_port(port)
            answers = [ask.send(port) for ask in self.asks]
            program.stop()
        return answers


@dataclass(frozen=True)
class Script:
    """A program that runs to its end by itself.

    Attributes:
        folder: where it is.
        command: runs it.
        status: the exit status that is expected.
        peers: the services that it asks.
        on_postgres: whether it needs PostgreSQL.
    """

    folder: Path
    command: tuple[str, ...]
    status: int = 0
    peers: tuple[Peer, ...] = ()
    on_postgres: bool = False

    @property
    def shown(self) -> str:
        """Its command, as a user types it."""
        return shlex.join(self.command)

    @property
    def expected(self) -> Sequence[tuple[str, int]]:
        """Its command and exit status."""
        return [(self.shown, self.status)]

    def answers(self, prefix: Sequence[str], env: Mapping[str, str], log: Path) -> list[Answer]:
        """As :meth:`Example.answers`; the output is stdout, what it says on stderr goes to the log."""
        output = log.with_suffix(".out")
        with Program([*prefix, *self.command], log=log, env=env, cwd=self.folder, output=output) as program:
            status = program.wait()
        return [Answer(status, (), output.read_bytes())]
