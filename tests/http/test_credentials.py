"""Credentials in a URL: the call is recorded and answered, and they are printed nowhere."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from tests.http.conftest import Run
from tests.http.server import ShapeServer
from timetracer_otel import testing
from timetracer_otel.errors import ReplayMiss

SECRET = "Geheim42"


def _opened(url: str) -> Callable[[], Any]:
    return lambda: urllib.request.urlopen(url, timeout=5).read()  # noqa: S310 - a test's own http: URL


def test_urllib_replays_them(server: ShapeServer, both: Run, tmp_path: Path) -> None:
    """Urllib takes what stands before the host for a part of it: it fails alike, and the cassette has no secret."""
    recorded, replayed = both(_opened(f"http://user:{SECRET}@127.0.0.1:{server.port}/json"))
    assert recorded[0] is urllib.error.URLError
    assert replayed == recorded
    files = [path.read_text() for path in (tmp_path / "cassettes").rglob("*.jsonl")]
    assert files
    assert [text for text in files if SECRET in text] == []


def test_a_miss_prints_none(server: ShapeServer, tmp_path: Path) -> None:
    """What is asked and not recorded is shown without them, also when the URL is none."""
    with testing.record(tmp_path):
        _opened(f"{server.url}/json")()

    def asked(host: str) -> None:
        connection = http.client.HTTPConnection(host, server.port)
        connection.request("GET", "/other")

    with testing.replay(tmp_path) as replay:
        for host in (f"user:{SECRET}@127.0.0.1", f"user:{SECRET}@[127.0.0.1", f"u:{SECRET}@::1"):
            with pytest.raises(ReplayMiss) as raised:
                asked(host)
            assert SECRET not in str(raised.value)
    outcome = replay.outcome()
    assert len(outcome.misses) == 3
    assert SECRET not in str(outcome.misses)


UNREACHED = f"http://127.0.0.1:1/orders?api_key={SECRET}"


@pytest.mark.parametrize("key", ["the user's", "none"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda: httpx.get(UNREACHED),
        lambda: httpx.post(UNREACHED, json={"amount": 1}),
        lambda: requests.get(UNREACHED, timeout=5),
    ],
    ids=["httpx", "httpx with a body", "requests"],
)
def test_a_peer_that_is_not_there_is_not_there_again(
    ask: Callable[[], Any], key: str, both: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that failed before it was sent is found again although its URL holds a secret, masked or sealed."""
    if key == "none":
        monkeypatch.setenv("TIMETRACER_KEY", "none")
    recorded, replayed = both(ask)
    assert issubclass(recorded[0], Exception)
    assert replayed == recorded
