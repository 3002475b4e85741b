"""``list`` with filters, ``search``, ``stats`` and ``timeline``: finding the lane that matters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import MS, START, Recording, run
from timetracer_otel.cli import choosing, searching
from timetracer_otel.errors import ConfigError

HOUR = 3_600_000 * MS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four requests: two of orders, one that failed slowly, one an hour later."""
    asked = [
        ("GET", "/orders/1", 200, 5 * MS, 0, 1),
        ("GET", "/orders/2?full=1", 404, 20 * MS, 0, 7),
        ("POST", "/login", 500, 900 * MS, 0, 0),
        ("GET", "/late", 200, 1 * MS, HOUR, 2),
    ]
    for number, (method, target, status, duration, offset, calls) in enumerate(asked, start=1):
        recording = Recording(number)
        entry = recording.entry(
            method, target, status, request=b'{"mail": "ann@shop.test"}', duration=duration, offset=offset
        )
        for call in range(calls):
            command = {"find": "orders", "filter": {"number": call}, "$db": "shop"}
            reply = {"ok": 1.0, "cursor": {"id": 0, "firstBatch": [{"buyer": "Zoe"}]}}
            recording.call(entry, command, reply, offset=offset, duration=MS)
        recording.write(tmp_path / f"{number}.jsonl")
    return tmp_path


def listed(folder: Path, *options: str) -> list[str]:
    """The targets that are listed."""
    done = run("list", folder, "--json", *options)
    assert done.returncode == 0, done.stderr
    return [one["target"] for one in json.loads(done.stdout)]


@pytest.mark.parametrize(
    ("options", "targets"),
    [
        (["--route", "/orders/*"], ["/orders/2?full=1", "/orders/1"]),
        (["--route", "POST /login"], ["/login"]),
        (["--status", "4xx"], ["/orders/2?full=1"]),
        (["--status", "200"], ["/late", "/orders/1"]),
        (["--status", "400-599"], ["/login", "/orders/2?full=1"]),
        (["--error"], ["/login"]),
        (["--slower", "20ms"], ["/login", "/orders/2?full=1"]),
        (["--since", "2026-11-18T11:30"], ["/late"]),
        (["--until", "2026-11-18T11:30:00Z", "--limit", "1"], ["/login"]),
        (["--error", "--limit", "9" * 30], ["/login"]),
        (["--service", "shop", "--sort", "slowest", "--limit", "2"], ["/login", "/orders/2?full=1"]),
        (["--service", "another"], []),
        (["--sort", "calls", "--limit", "1"], ["/orders/2?full=1"]),
    ],
)
def test_only_what_is_wanted_is_listed(folder: Path, options: list[str], targets: list[str]) -> None:
    """Each filter, and what it leaves."""
    assert listed(folder, *options) == targets


def test_nothing_of_the_kind_is_said(folder: Path) -> None:
    """It is not as if nothing had been recorded."""
    assert "none of 4 is of that kind" in run("list", folder, "--status", "302").stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--status", "ok"], "--status ok: give one such as 404"),
        (["--slower", "5"], "--slower 5: give a number and its unit"),
        (["--since", "yesterday"], "--since yesterday: give 2026-11-21T14:00, or how long ago"),
        (["--since", "9999999999d"], "there was no such time"),
    ],
)
def test_a_wrong_filter_is_one_line(folder: Path, options: list[str], told: str) -> None:
    """Status 2."""
    done = run("list", folder, *options)
    assert (done.returncode, len(done.stderr.splitlines()), told in done.stderr) == (2, 1, True), done.stderr


def test_how_long_ago() -> None:
    """Counted back from now."""
    now = datetime(2026, 11, 18, 12, tzinfo=UTC)
    assert choosing.moment("--since", "90m", now) == choosing.moment("--since", "2026-11-18T10:30", now)
    with pytest.raises(ConfigError):
        choosing.moment("--since", "", now)


def test_search_names_the_place(folder: Path) -> None:
    """In bodies and in decoded calls, whatever the case; nowhere is status 1."""
    found = json.loads(run("search", "zoe", folder / "1.jsonl", "--json").stdout)
    assert [(one["span"], one["where"], one["text"]) for one in found] == [
        ("shop.find", "response.cursor.firstBatch[0].buyer", "Zoe")
    ]
    mails = run("search", "ANN@shop", folder)
    assert (mails.returncode, len(mails.stdout.splitlines())) == (0, 4)
    assert "request.body.text: " in mails.stdout
    assert run("search", "nowhere", folder).returncode == 1
    empty = run("search", "", folder)
    assert (empty.returncode, "there is no text" in empty.stderr) == (2, True)


def test_the_instrumentors_name_is_not_searched() -> None:
    """Every lane would hold "pen", in opentelemetry; a field of a call that is called so counts."""
    span = {"name": "find", "scope": "opentelemetry.instrumentation.pymongo", "request": {"scope": "pens"}}
    found = [*searching._in_lane({"lane_id": "a", "spans": [span]}, "pen")]
    assert [(one.where, one.text) for one in found] == [("request.scope", "pens")]


def test_stats_sum_up_routes(folder: Path) -> None:
    """Counts, durations, and the calls that one lane repeats."""
    routes: dict[str, dict[str, Any]] = {one["route"]: one for one in json.loads(run("stats", folder, "--json").stdout)}
    assert (routes["POST /login"]["errors"], routes["POST /login"]["max_ms"]) == (1, 900.0)
    assert routes["GET /orders/2"]["repeated"] == {"shop.find": 7}
    shown = run("stats", folder)
    assert "GET /orders/2 made 7 calls shop.find in one lane" in shown.stdout
    assert run("stats", folder / "none").returncode == 2


def test_timeline(folder: Path, tmp_path: Path) -> None:
    """A line for each span, as long as it took; a page that stands alone."""
    lines = run("timeline", folder / "4.jsonl").stdout.splitlines()
    assert (len(lines), lines[0].startswith("GET /late")) == (4, True)
    assert all("█" in line for line in lines[1:])
    page = tmp_path / "page.html"
    assert run("timeline", folder / "4.jsonl", "--html", page).returncode == 0
    assert page.read_text().count('class="row"') == 3
    several = run("timeline", folder, "--html", page)
    assert (several.returncode, "give --lane ID" in several.stderr) == (2, True)


def test_start_is_in_1970s_terms() -> None:
    """The recordings here began when the tests say."""
    assert datetime.fromtimestamp(START / 1e9, UTC).isoformat() == "2026-11-18T11:06:40+00:00"
