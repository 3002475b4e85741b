"""Clients that stand on one another are switched off, let out and answered one by one."""

from __future__ import annotations

import http.client
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3

from tests.http.server import BINARY, ShapeServer
from tests.http.test_behaviour import recorded_calls
from timetracer_otel import autoload, plugins, testing
from timetracer_otel.errors import IntegrationError, OutboundRefused


def by_urllib(url: str) -> int:
    """Ask by the standard library."""
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - of a server of the tests
        return len(response.read())


def by_urllib3(url: str) -> int:
    """Ask by urllib3."""
    with urllib3.PoolManager(retries=False) as pool:
        return len(pool.request("GET", url).data)


def by_requests(url: str) -> int:
    """Ask by requests, which stands on urllib3."""
    return len(requests.get(url, timeout=10).content)


SIZE = len(BINARY)
WAYS: dict[str, Callable[[str], int]] = {"urllib": by_urllib, "urllib3": by_urllib3, "requests": by_requests}


@pytest.mark.parametrize(
    ("name", "left"),
    [("urllib", ["urllib3", "requests"]), ("urllib3", ["urllib"]), ("requests", ["urllib"]), ("pymongo", [*WAYS])],
)
def test_one_is_switched_off_in_a_recording(server: ShapeServer, tmp_path: Path, name: str, left: list[str]) -> None:
    """It and what stands on it, and no other; switched on again, it takes part again."""
    with testing.record(tmp_path):
        getattr(plugins, f"disable_{name}")()
        assert [way(f"{server.url}/binary?{key}") for key, way in WAYS.items()] == [SIZE] * 3
        getattr(plugins, f"enable_{name}")()
        assert [way(f"{server.url}/binary?again") for way in WAYS.values()] == [SIZE] * 3
    asked = [str(call.text("url.full")).partition("?")[2] for call in recorded_calls(tmp_path)]
    assert asked == [*(key for key in WAYS if key in left), "again", "again", "again"]


def outcome(way: Callable[[str], int], url: str) -> str:
    """Whether a call was answered, or how it failed."""
    try:
        return str(way(url))
    except Exception as error:  # noqa: BLE001 - clients wrap it
        causes: list[Any] = [error]
        while causes[-1] is not None:
            causes.append(causes[-1].__cause__ or causes[-1].__context__ or getattr(causes[-1], "reason", None))
        return "refused" if any(isinstance(one, OutboundRefused) for one in causes) else repr(error)


@pytest.mark.parametrize(("name", "left"), [("urllib", ["urllib3", "requests"]), ("urllib3", ["urllib"])])
def test_one_is_switched_off_in_a_replay(server: ShapeServer, tmp_path: Path, name: str, left: list[str]) -> None:
    """Its calls are not answered, and do not reach the network either; the others are answered."""
    url = f"{server.url}/binary"
    with testing.record(tmp_path):
        for way in WAYS.values():
            way(url)
    with testing.replay(tmp_path):
        getattr(plugins, f"disable_{name}")()
        found = {key: outcome(way, url) for key, way in WAYS.items()}
    assert found == {key: str(SIZE) if key in left else "refused" for key in WAYS}


@pytest.mark.parametrize(
    ("setting", "name", "live"),
    [
        ("live_plugins", "urllib", ["urllib"]),
        ("live_plugins", "urllib3", ["urllib3", "requests"]),
        ("live_plugins", "requests", ["urllib3", "requests"]),
        ("mock_plugins", "urllib", ["urllib3", "requests"]),
        ("mock_plugins", "urllib3", ["urllib"]),
    ],
)
def test_one_is_let_out(server: ShapeServer, tmp_path: Path, setting: str, name: str, live: list[str]) -> None:
    """The server sees the calls of what is live, and none of what is answered."""
    with testing.record(tmp_path):
        for key, way in WAYS.items():
            way(f"{server.url}/binary?{key}")
    server.seen.clear()
    with testing.replay(tmp_path, **{setting: name}):
        assert [way(f"{server.url}/binary?{key}") for key, way in WAYS.items()] == [SIZE] * 3
    assert [path.partition("?")[2] for _, path, *_ in server.seen] == live


def test_every_name_has_its_switches() -> None:
    """For integrations and aliases, found and not written out; others are none."""
    names = {"enable_urllib3", "disable_requests", "enable_aiohttp", "disable_motor", "disable_flask"}
    assert names <= set(dir(plugins))
    with pytest.raises(AttributeError, match="disable_nothing"):
        plugins.disable_nothing  # noqa: B018 - asking is what raises
    with pytest.raises(IntegrationError, match="no integration 'nothing'"):
        autoload.disable("nothing")


def test_what_is_sent_by_name_is_recorded(server: ShapeServer, tmp_path: Path) -> None:
    """``HTTPConnection.send(data=…)`` is as good as ``send(…)``."""
    with testing.record(tmp_path):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.putrequest("POST", "/echo")
        connection.putheader("Content-Length", "3")
        connection.endheaders()
        connection.send(data=b"abc")
        connection.getresponse().read()
        connection.close()
    (call,) = recorded_calls(tmp_path)
    assert call.payload("http.request.body.content") == b"abc"
