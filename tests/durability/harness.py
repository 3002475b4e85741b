"""A server that records, asked over one connection, and what it left behind."""

from __future__ import annotations

import http.client
import signal
from pathlib import Path
from typing import Self

from examples.support import free_port
from scripts.soak import environment, serve
from timetracer_otel import spans as names
from timetracer_otel.cassette import loading

WSGI = ["gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "4", "tests.durability.app:wsgi"]
ASGI = ["uvicorn", "--port", "{port}", "--no-access-log", "tests.durability.app:asgi"]
COUNTS = ("timetracer.dropped", "timetracer.late")
SERVERS = {"wsgi": WSGI, "asgi": ASGI}


class Served:
    """A recording server; a context manager, which ends it by SIGTERM.

    Args:
        folder: for the cassettes and the log.
        command: of the server, ``{port}`` in it.
        settings: environment variables.
    """

    def __init__(self, folder: Path, command: list[str], **settings: str) -> None:
        self.cassettes = folder / "cassettes"
        self._log = folder / "server.log"
        self.port = free_port()
        self.program = serve(command, self.port, folder, environment(self.cassettes, **settings))
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self.program.__exit__()

    def get(self, path: str, **headers: str) -> str:
        """Ask over the one connection; the answer's body, which must be a 200."""
        status, body = self.answer(path, **headers)
        assert status == 200, body
        return body

    def answer(self, path: str, **headers: str) -> tuple[int, str]:
        """Ask over the one connection, or over a new one where the server has closed it; status and body."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        try:
            self._connection.request("GET", path, headers=sent)
            response = self._connection.getresponse()
        except ConnectionError:
            self._connection.close()
            self._connection.request("GET", path, headers=sent)
            response = self._connection.getresponse()
        return response.status, response.read().decode()

    def begin(self, path: str, size: int) -> None:
        """Ask, and read so many bytes of the answer."""
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        while size > 0:
            size -= len(response.read(min(size, 65536)))

    def log(self) -> str:
        """What the server and the recording printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the server by a signal, and wait for it."""
        self._connection.close()
        self.program.send(number)
        self.program.wait()


def files(directory: Path) -> list[Path]:
    """The files of lanes; all of them whole, as any reader finds them."""
    return sorted(path for path in directory.rglob("*.jsonl*") if path.name[:3] == "GET" and path.suffix != ".part")


def recorded(directory: Path) -> list[str]:
    """The targets of the recorded requests, in order. Reading fails when any file is damaged."""
    found = files(directory)
    lanes = loading.load_alone(found).lanes if found else []
    return [target for lane in lanes for span in lane.spans if (target := span.text(names.HTTP_TARGET)) is not None]


def counts(directory: Path) -> dict[str, object]:
    """What the sessions say at last about lanes that were lost or late; only one may say anything."""
    found: dict[str, dict[str, object]] = {}
    for path in directory.rglob("SESSION__*"):
        for session in loading.load_alone([path]).sessions.values():
            for span in sorted(session.spans, key=lambda span: span.end):
                said = {key: value for key, value in span.attributes.items() if key.startswith(COUNTS)}
                if said:
                    found[session.id] = {**found.get(session.id, {}), **said}
    (only,) = found.values()
    return only
