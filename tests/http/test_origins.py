"""Origins that the app knows by other names in a replay than when it was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.http.clients import CLIENTS
from tests.http.conftest import observed
from tests.http.server import ShapeServer
from tests.http.shapes import SHAPES
from timetracer_otel import testing
from timetracer_otel.errors import ReplayMiss

JSON = next(shape for shape in SHAPES if shape.name == "json")
POST = next(shape for shape in SHAPES if shape.name == "post json")
NEW, OTHER = "http://prices.internal", "http://stock.internal:8080"


@pytest.fixture
def second() -> Iterator[ShapeServer]:
    """Another server, at an origin of its own."""
    with ShapeServer() as running:
        yield running


def get(base: str, path: str = "/count") -> str:
    """What a server says."""
    return requests.get(base + path, timeout=5).text


def post(base: str, amount: int) -> Any:
    """What a server says to a body."""
    return requests.post(base + "/echo", json={"amount": amount}, timeout=5).json()["body"]


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("said", [False, True], ids=["found", "said"])
def test_every_client_replays_a_new_name(name: str, said: bool, server: ShapeServer, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter of the test
    """A base URL that was never recorded stands for the recorded one; nothing is missed or refused."""
    with testing.record(tmp_path):
        recorded = observed(lambda: CLIENTS[name](server.url, JSON))
    server.stop()
    hosts = "PRICES.internal=" + server.url.partition("//")[2] if said else ""
    with testing.replay(tmp_path, hosts=hosts) as replay:
        replayed = observed(lambda: CLIENTS[name](NEW, JSON))
    outcome = replay.outcome()
    assert (outcome.misses, outcome.refused, outcome.unused) == ([], [], [])
    assert replayed.get("content", replayed.get("body")) == recorded.get("content", recorded.get("body"))
    assert replayed["status"] == recorded["status"] == 200
    assert outcome.stands_for == {NEW: server.url}


def test_two_names_stand_for_two_origins(server: ShapeServer, second: ShapeServer, tmp_path: Path) -> None:
    """Names bind one to one, in order of the calls; a name that is bound is never answered by another origin."""
    with testing.record(tmp_path):
        assert [get(server.url), get(second.url), get(second.url), get(server.url)] == ["1", "1", "2", "2"]
        post(second.url, 5)
    with testing.replay(tmp_path) as replay:
        assert [get(NEW), get(OTHER), get(OTHER), get(NEW)] == ["1", "1", "2", "2"]
        assert post(OTHER, 5) == '{"amount": 5}'
        with pytest.raises(ReplayMiss, match=f"{NEW} stands for {server.url} in this lane"):
            post(NEW, 5)  # only the other origin was asked that
    assert replay.outcome().stands_for == {NEW: server.url, OTHER: second.url}


def test_an_origin_that_is_asked_by_its_own_name_has_no_other(
    server: ShapeServer, second: ShapeServer, tmp_path: Path
) -> None:
    """A new name stands for the origin that is left."""
    with testing.record(tmp_path):
        assert [get(server.url), get(second.url), get(second.url)] == ["1", "1", "2"]
    with testing.replay(tmp_path) as replay:
        assert [get(server.url), get(NEW), get(NEW)] == ["1", "1", "2"]
        with pytest.raises(ReplayMiss, match="http://third was not recorded"):
            get("http://third")
    assert replay.outcome().stands_for == {NEW: second.url}


def test_the_same_port_tells_origins_apart(server: ShapeServer, second: ShapeServer, tmp_path: Path) -> None:
    """Of origins that were asked the same, that of the same port is meant, in whichever order they are asked."""
    with testing.record(tmp_path):
        assert [get(server.url), get(second.url), get(second.url)] == ["1", "1", "2"]
    first, other = (url.replace("127.0.0.1", "host.internal") for url in (server.url, second.url))
    with testing.replay(tmp_path) as replay:
        assert [get(other), get(other), get(first)] == ["1", "2", "1"]
    assert replay.outcome().stands_for == {other: second.url, first: server.url}


def test_the_path_and_the_rest_must_match(server: ShapeServer, tmp_path: Path) -> None:
    """A new name is no reason to answer anything else than what was asked; the miss says how to name it."""
    with testing.record(tmp_path):
        post(server.url, 5)
    with testing.replay(tmp_path) as replay:
        with pytest.raises(ReplayMiss, match="TIMETRACER_HOSTS"):
            post(NEW, 6)
        with pytest.raises(ReplayMiss, match=r"closest recorded call is span .*/echo.*was not recorded"):
            get(NEW, "/count")
    assert replay.outcome().answered == {}


def test_what_is_said_outright_counts(server: ShapeServer, second: ShapeServer, tmp_path: Path) -> None:
    """Of origins that were asked the same, the setting says which is meant; the order of the calls does not matter."""
    with testing.record(tmp_path):
        assert [get(server.url), get(second.url), get(second.url)] == ["1", "1", "2"]
    name = second.url.partition("//")[2]
    with testing.replay(tmp_path, hosts=f"prices.internal:80={name}") as replay:
        assert [get(NEW), get(NEW), get("http://else.internal")] == ["1", "2", "1"]
    assert replay.outcome().stands_for == {NEW: second.url, "http://else.internal": server.url}


def test_a_recorded_redirect_leads_on(server: ShapeServer, tmp_path: Path) -> None:
    """What a recorded answer names is asked by its recorded name, beside the new one."""
    with testing.record(tmp_path):
        recorded = get(server.url, "/redirect")
    server.stop()
    with testing.replay(tmp_path) as replay:
        assert get(NEW, "/redirect") == recorded
    assert replay.outcome().misses == []


def test_the_nearest_call_of_the_address_answers(server: ShapeServer, tmp_path: Path) -> None:
    """On request the recorded call of that address answers which differs least; what is behind it is marked."""
    with testing.record(tmp_path):
        for amount in (5, 6):
            post(server.url, amount)
        get(server.url)
    server.stop()
    with testing.replay(tmp_path, on_miss="nearest") as replay:
        assert post(server.url, 6) == '{"amount": 6}'
        assert post(server.url, 7) == '{"amount": 5}'
        assert get(server.url) == "1"
        with pytest.raises(ReplayMiss):  # of that address there is none
            get(server.url, "/nowhere")
    outcome = replay.outcome()
    assert outcome.answered == {"exact": 2, "nearest": 1}
    assert outcome.resting == 2
    assert "differs in body.amount: 5 recorded, 7 asked" in outcome.as_text()
    assert outcome.as_json()["assumed"] == 2


def test_the_nearest_call_answers_a_new_name(server: ShapeServer, tmp_path: Path) -> None:
    """Where only one origin has the address, a new name is taken for it."""
    with testing.record(tmp_path):
        post(server.url, 5)
    with testing.replay(tmp_path, on_miss="nearest") as replay:
        assert post(NEW, 6) == '{"amount": 5}'
        assert post(NEW, 7) == '{"amount": 5}'  # once more than it was recorded
    assert replay.outcome().answered == {"nearest": 1, "nearest again": 1}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_call_that_was_not_recorded_goes_out_on_request(name: str, server: ShapeServer, tmp_path: Path) -> None:
    """Only that call reaches the server, past the guard; the report names it. By default it is a miss."""
    with testing.record(tmp_path):
        recorded = observed(lambda: CLIENTS[name](server.url, JSON))
    seen = len(server.seen)
    with testing.replay(tmp_path, on_miss="live") as replay:
        replayed = observed(lambda: CLIENTS[name](server.url, JSON))
        live = observed(lambda: CLIENTS[name](server.url, POST))
    assert replayed == recorded
    assert "status" in live, live
    assert live["status"] == 200
    assert [(method, path) for method, path, *_ in server.seen[seen:]] == [("POST", "/echo")]
    outcome = replay.outcome()
    assert (outcome.misses, outcome.refused, sum(outcome.answered.values())) == ([], [], 1)
    assert dict(outcome.out) == {f"http POST {server.url} /echo": 1}
    assert "1 went out" in outcome.as_text()
