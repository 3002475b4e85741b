"""Which requests are kept: every setting, alone and together, good values and bad ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from timetracer_otel import config
from timetracer_otel.errors import ConfigError
from timetracer_otel.exporters.lanes.resource import describe_process
from timetracer_otel.exporters.lanes.selection import Selection
from timetracer_otel.families.kinds.http import Request, Response

LOW, MIDDLE, HIGH = "00" * 16, "80" * 16, "ff" * 16
"""Ids of lanes whose chance is 0, a half and just below 1."""


@dataclass
class Ended:
    """A lane as the selection sees it."""

    id: str
    entry: Request | None
    error: BaseException | None = None
    failed: bool = False
    took: int = 0
    triggered: bool = False
    share: float | None = None
    found: str | None = None

    def route(self) -> str | None:
        """The route."""
        return self.found


def settings(**given: str) -> config.Settings:
    """Settings from variables."""
    return config.load({f"TIMETRACER_{name.upper()}": text for name, text in given.items()}, Path("/"))


def kept(
    selection: Selection,
    lane: str,
    target: str = "/a",
    method: str = "GET",
    response: Response | None = None,
    **more: Any,
) -> bool:
    """Whether a lane passes from its beginning to its end."""
    request = Request(method, target, [(name, text) for name, text in more.pop("headers", {}).items()])
    if selection.excludes(request):
        return False
    ended = Ended(lane, request, **more)
    if not selection.begins(ended):
        return False
    request.response = response
    return selection.ends(ended)


def test_nothing_set_keeps_everything_without_asking() -> None:
    """The usual case costs one look."""
    selection = Selection(settings())
    assert selection.everything
    assert kept(selection, HIGH)


@pytest.mark.parametrize(("lane", "expected"), [(LOW, True), (MIDDLE, False), (HIGH, False)])
def test_sample_rate(lane: str, expected: bool) -> None:  # noqa: FBT001 - a parametrized value
    """A share of the lanes, by their ids."""
    assert kept(Selection(settings(sample_rate="0.5")), lane) is expected


RULES = "GET /health=0; POST /checkout=1; /users/{id}=1; /users/*=0; GET *.png=0.2, /a,b=0"


@pytest.mark.parametrize(
    ("lane", "method", "target", "route", "expected"),
    [
        (LOW, "GET", "/health", None, False),
        (LOW, "GET", "/health?deep=1", None, False),  # the query is no part of the path
        (HIGH, "POST", "/health", None, False),  # another method: the sample rate, which is a half
        (LOW, "POST", "/health", None, True),
        (HIGH, "POST", "/checkout", None, True),
        (HIGH, "GET", "/users/5", "/users/{id}", True),  # the first that matches
        (LOW, "GET", "/users/5", "/users/{name}", False),
        (LOW, "GET", "/users/5", None, False),
        (LOW, "GET", "/static/x/y.png", None, True),
        (MIDDLE, "GET", "/static/x/y.png", None, False),
        (LOW, "GET", "/a,b", None, False),
        (MIDDLE, "GET", "/healthy", None, False),
        (LOW, "GET", "/healthy", None, True),
    ],
)
def test_rules(lane: str, method: str, target: str, route: str | None, expected: bool) -> None:  # noqa: FBT001 - as above
    """By path or route, with a method or without; the first that matches counts, the sample rate otherwise."""
    selection = Selection(settings(rules=RULES, sample_rate="0.5"))
    assert kept(selection, lane, target, method, found=route) is expected


def test_what_a_rule_about_a_path_drops_is_not_even_recorded() -> None:
    """A health check costs nothing; where a route may decide, the lane is recorded until its end."""
    selection = Selection(settings(rules="/health=0; /users/{id}=0.5; /users/*=0"))
    assert not selection.begins(Ended(LOW, Request("GET", "/health", [])))
    assert selection.begins(Ended(HIGH, Request("GET", "/users/5", [])))


FAILED = [{"response": Response("503 Down", [])}, {"error": ValueError()}, {"failed": True}]


@pytest.mark.parametrize("how", FAILED)
def test_errors_only(how: dict[str, Any]) -> None:
    """A status of 500 or more, an exception, an error span; within the sample rate."""
    selection = Selection(settings(errors_only="1", sample_rate="0.5"))
    assert kept(selection, LOW, **how)
    assert not kept(selection, HIGH, **how)
    assert not kept(selection, LOW, response=Response("404 Not Found", []))


def test_slow_only() -> None:
    """As slow as asked for; together with errors_only one of the two is enough."""
    slow = Selection(settings(slow_ms="500"))
    assert kept(slow, HIGH, took=500_000_000)
    assert not kept(slow, LOW, took=499_999_999)
    assert not kept(slow, LOW, failed=True)
    both = Selection(settings(slow_ms="0.5", errors_only="1"))
    assert kept(both, LOW, took=500_000)
    assert kept(both, LOW, failed=True)
    assert not kept(both, LOW)


def test_trigger_header() -> None:
    """It wins over everything but an excluded path; with a value only that value counts."""
    plain = Selection(settings(trigger_header="X-Record", sample_rate="0", errors_only="1", exclude_paths="/health"))
    assert kept(plain, HIGH, headers={"x-record": ""})
    assert not kept(plain, LOW)
    assert not kept(plain, LOW, "/health", headers={"x-record": "1"})
    secret = Selection(settings(trigger_header="X-Record: sesame", rules="*=0"))
    assert kept(secret, HIGH, headers={"X-Record": "sesame"})
    assert not kept(secret, LOW, headers={"X-Record": "other"})
    assert not kept(secret, LOW, headers={"X-Record": "sésame\udcff"})


def test_the_secret_of_the_trigger_is_not_recorded() -> None:
    """Neither what was sent, right or wrong, nor the setting is in the cassette."""
    set_up = settings(trigger_header="x-record: sesame")
    request = Request("GET", "/", [("X-Record", "sesame"), ("Other", "kept")])
    Selection(set_up).begins(Ended(LOW, request))
    assert request.headers == [("X-Record", "[redacted]"), ("Other", "kept")]
    assert "sesame" not in str(describe_process(set_up))


def test_what_stands_out() -> None:
    """Near a limit these are kept longest."""
    selection = Selection(settings(slow_ms="1"))
    request = Request("GET", "/", [])
    assert not selection.stands_out(Ended(LOW, request))
    for how in ({"took": 1_000_000}, {"failed": True}, {"triggered": True}):
        assert selection.stands_out(Ended(LOW, request, **how))
    request.response = Response("500 No", [])
    assert selection.stands_out(Ended(LOW, request))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("slow_ms", "fast"), ("slow_ms", "-1"), ("slow_ms", "inf"), ("slow_ms", "nan"), ("slow_ms", ""),
        ("sample_rate", "nan"), ("sample_rate", "2"),
        ("rules", "/a"), ("rules", "/a=2"), ("rules", "/a=x"), ("rules", "=1"), ("rules", "GET=1"),
        ("rules", "/a=1 /b=1"), ("rules", "GET POST /a=1"), ("rules", "/a=1; nonsense"), ("rules", "/a=1.2.3"),
        ("trigger_header", "a b"), ("trigger_header", "x:"), ("trigger_header", ":x"),
        ("max_memory", "0"), ("max_memory", "1000"), ("max_memory", "lots"), ("max_memory", "-5GB"), ("max_memory", ""),
        ("max_disk", "ten"), ("max_disk", "1PB"), ("max_disk", "-1"), ("max_disk", "1e9"),
        ("max_age", "7 fortnights"), ("max_age", "-1d"), ("max_age", "7"), ("max_age", ""), ("max_age", "9" * 30 + "w"),
    ],
)  # fmt: skip
def test_bad_values_are_refused(name: str, text: str) -> None:
    """Each names the variable and shows what may stand there."""
    with pytest.raises(ConfigError, match=f"TIMETRACER_{name.upper()}"):
        settings(**{name: text})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_memory", "256MB", 256 * 1024**2),
        ("max_memory", "1.5 gib", 3 * 512 * 1024**2),
        ("max_disk", "10k", 10 * 1024),
        ("max_disk", "0", 0),
        ("max_age", "90m", 5400),
        ("max_age", "0", 0),
        ("max_age", "7d", 604_800),
        ("trigger_header", "", ()),
        ("trigger_header", " X-Record : a:b ", ("x-record", "a:b")),
        ("rules", " ; ", ()),
        ("rules", "get /a = 0.5;*=1\n/b=0", (("GET", "/a", 0.5), ("", "*", 1.0), ("", "/b", 0.0))),
    ],
)
def test_good_values(name: str, text: str, value: object) -> None:
    """Units, spaces and case as people write them."""
    assert getattr(settings(**{name: text}), name) == value


def test_pyproject_may_list_rules(tmp_path: Path) -> None:
    """A list of rules, and a number where one is meant."""
    (tmp_path / "pyproject.toml").write_text('[tool.timetracer]\nrules = ["GET /a=0", "/b,c=0.5"]\nslow_ms = 250\n')
    loaded = config.load({}, tmp_path)
    assert [str(rule) for rule in loaded.rules] == ["GET /a=0", "/b,c=0.5"]
    assert loaded.slow_ms == 250.0


def test_a_secret_is_not_in_the_error() -> None:
    """A value that is refused may hold the trigger's secret."""
    with pytest.raises(ConfigError) as raised:
        settings(trigger_header="bad name: sesame")
    assert "sesame" not in str(raised.value)
