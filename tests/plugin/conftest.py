"""A suite in a folder of its own, run in this process, and the server that its tests ask."""

from __future__ import annotations

import http.server
import importlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wrapt

from tests.plugin.suites import Suite
from timetracer_otel import autoload, seams

# Pytester forgets what a run imports, but not what was there before: else each would import all of it anew.
for _name in ("fastapi.testclient", "flask", "httpx", "pymongo", "requests", "timetracer_otel.pytest_plugin"):
    importlib.import_module(_name)
# It also takes finders away that a run has added, wrapt's among them, which wrapt adds once.
wrapt.register_post_import_hook(lambda _module: None, "there_is_no_such_module")


class _Counting(http.server.BaseHTTPRequestHandler):
    """Answers each request with the number of requests until then."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]  # our own server's
        body = b'{"path": "%b", "number": %d}' % (self.path.encode(), self.server.asked)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    """Counts what it is asked.

    Attributes:
        asked: the number of requests.
    """

    asked = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback."""
    with Server(("127.0.0.1", 0), _Counting) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No suite leaves a recording or a replay behind in this process."""
    yield
    assert (autoload._installed, autoload._for_test, seams.active()) == (None, False, None)


@pytest.fixture
def suite(pytester: pytest.Pytester, server: Server, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite of pytest whose tests know the server as ``URL``."""
    monkeypatch.setenv("SUITE_URL", server.url)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    made = Suite(pytester, Path(pytester.path))
    made.settings()
    return made
