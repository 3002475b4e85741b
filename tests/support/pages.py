"""Runs what a page of the documentation shows: its Python and its commands, in order, in one folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from examples.asking import Ask
from examples.support import MongoServer, Program, free_port

_BLOCK = re.compile(r"^```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<name>[\w.]+\.py)\n")
_SERVER = re.compile(r"\b(flask run|uvicorn|gunicorn)\b")
_WORKER = re.compile(r"\bcelery\b.* worker\b")
_CLIENTS_LOG = re.compile(r"(?m)^%\d\|.*\n?")
"""What Kafka's client in C says by itself, now and then."""
_LOOPBACK = re.compile(r"http://127\.0\.0\.1:\d+(?P<target>/\S*)")
_SECONDS = 60


@dataclass(frozen=True)
class Block:
    """A fenced block; ``line`` is that of its fence."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """Give the fenced blocks of a page."""
    return [
        Block(match["language"], match["text"], page.count("\n", 0, match.start()) + 1)
        for match in _BLOCK.finditer(page)
    ]


def commands(block: str) -> Iterator[tuple[str, str]]:
    """Give each command of a console block, and the output that the block shows."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


class Database(Protocol):
    """A server that a page needs."""

    variable: str
    """The environment variable that says where it is."""

    @property
    def dsn(self) -> str:
        """Where it is."""
        ...

    def stop(self) -> None:
        """End."""
        ...


class Reader:
    """Does what a reader of a page would do, in a folder of its own, with a database that ends at the first replay.

    Args:
        folder: an empty one.
        server: a MongoDB server that runs.
        database: that runs, for pages that need one.
        python: the interpreter whose environment the reader has.
    """

    def __init__(
        self,
        folder: Path,
        server: MongoServer,
        database: Database | None = None,
        python: str = sys.executable,
    ) -> None:
        self._interpreter = python
        self._folder = folder
        self._server = server
        self._database = database
        self._port = free_port()
        self._running = ExitStack()
        self._environ = {
            **os.environ,
            "PATH": os.pathsep.join((str(Path(python).parent), os.environ.get("PATH", ""))),
            "TMPDIR": str(folder),
            "MONGODB_URI": server.uri,
            "FLASK_RUN_PORT": str(self._port),
            "UVICORN_PORT": str(self._port),
            "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{self._port}",
            **({} if database is None else {database.variable: database.dsn}),
        }

    def follow(self, page: str) -> None:
        """Do everything on the page; servers that it starts end with it."""
        with self._running:
            for block in blocks(page):
                if block.language == "python":
                    self._python(block)
                elif block.language == "console":
                    for command, output in commands(block.text):
                        self._command(command, output)

    def _python(self, block: Block) -> None:
        named = _FILE.match(block.text)
        if named is not None:
            (self._folder / named["name"]).write_text(block.text, encoding="utf-8")
        else:
            self._run([self._interpreter, "-c", block.text])

    def _command(self, command: str, output: str) -> None:
        words = shlex.split(command, comments=True)
        if "=" in words[0]:
            words = ["env", *words]  # settings before a command
        if "timetracer-replay" in words:
            self._running.close()
            self._server.stop()
            if self._database is not None:
                self._database.stop()
        if words[0] == "pip":
            return  # needs a package index; what it names is checked by a test of its own
        if _SERVER.search(command) and "--verify" not in words:
            self._start(words).wait_for_port(self._port)
            return
        if _WORKER.search(command) and "timetracer-replay" not in words:
            self._start(words)
            return
        shown = self._fetch(words[1:]) if words[0] == "curl" else self._run(words)
        expected = re.escape(output.strip()).replace("…", ".*")
        assert re.fullmatch(expected, shown.strip(), re.DOTALL), f"$ {command}\nshows\n{shown}\nand not\n{output}"

    def _run(self, words: list[str]) -> str:
        ended = subprocess.run(
            words,
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
            text=True,
        )
        assert ended.returncode == 0, f"{shlex.join(words)}: exit status {ended.returncode}\n{ended.stdout}"
        return _CLIENTS_LOG.sub("", ended.stdout)

    def _start(self, words: list[str]) -> Program:
        """Start a server on our port, or a worker, instead of the one that the page started before."""
        self._running.close()
        program = Program(words, log=self._folder / "server.log", env=self._environ, cwd=self._folder)
        return self._running.enter_context(program)

    def _fetch(self, words: list[str]) -> str:
        """What curl prints, without needing it: for `curl URL` and `curl --json BODY URL`."""
        *options, url = words
        target = _LOOPBACK.fullmatch(url)
        assert target is not None, f"{url}: a page asks only the app that it started"
        assert options[:1] in ([], ["--json"]), f"this stand-in does not know curl {shlex.join(options)}"
        ask = Ask("POST", target["target"], json.loads(options[1])) if options else Ask("GET", target["target"])
        return ask.send(self._port).body.decode()
