"""``timetracer diff``: two recordings side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind

from tests.cli.conftest import MS, Command, Recording
from timetracer_otel.families.kinds.task import BODY, Outcome, Payload, Task

INSERT = {"insert": "orders", "documents": [{"_id": "a", "total": 5}], "$db": "shop"}
UPDATE = {"update": "stock", "updates": [{"q": {"_id": "tea"}, "u": {"$inc": {"left": -1}}}], "$db": "shop"}
FIND = {"find": "users", "filter": {"_id": 1}, "$db": "shop"}


def written(path: Path, number: int, *commands: Mapping[str, Any], response: bytes = b"{}", **entry: Any) -> Path:
    """Write a lane with calls one after the other."""
    recording = Recording(number)
    parent = recording.entry(response=response, **entry)
    for place, command in enumerate(commands):
        recording.call(parent, command, {"ok": 1.0}, offset=place * 20 * MS)
    return recording.write(path)


def test_equal_recordings_are_status_0(timetracer: Command, tmp_path: Path) -> None:
    """Ids and times of the recordings do not count; reads may come in another order."""
    first = written(tmp_path / "a.jsonl", 1, INSERT, FIND, response=b'{"a": 1}')
    second = written(tmp_path / "b.jsonl", 2, FIND, INSERT, response=b'{"a":1}')
    ended = timetracer("diff", first, second)
    assert (ended.returncode, ended.stdout) == (0, "1 compared, 0 differ, 0 without a counterpart\n")


def test_every_kind_of_difference_is_told(timetracer: Command, tmp_path: Path) -> None:
    """Changed, missing and extra calls, another order of writes, another response: exit status 1."""
    changed = {**INSERT, "documents": [{"_id": "a", "total": 6}]}
    other = {"delete": "carts", "deletes": [], "$db": "shop"}
    first = written(tmp_path / "a.jsonl", 1, INSERT, UPDATE, FIND, response=b'{"a": 1}')
    second = written(tmp_path / "b.jsonl", 2, UPDATE, changed, other, response=b'{"a": 2}', status=500)
    ended = timetracer("diff", first, second, "--json")
    (lane,) = json.loads(ended.stdout)["differing"]
    kinds = {(one["kind"], one["what"]) for one in lane["differences"]}
    assert kinds == {
        ("changed", "mongodb shop insert orders"),
        ("reordered", "mongodb shop update stock before mongodb shop insert orders"),
        ("extra", "mongodb shop delete carts"),
        ("missing", "mongodb shop find users"),
        ("status", ""),
        ("body", ""),
    }
    assert ended.returncode == 1
    assert "total: 5 recorded, 6 now" in timetracer("diff", first, second).stdout


def ran(path: Path, number: int, outcome: Outcome) -> Path:
    """Write the lane of a task."""
    entry = Task("shop.pay", "1", {"order": 7}, "celery", came=Payload(BODY, [b"[]"]), outcome=outcome)
    recording = Recording(number)
    recording.span("TASK shop.pay", SpanKind.CONSUMER, entry.attributes(None))
    return recording.write(path)


def test_what_came_of_tasks_is_compared(timetracer: Command, tmp_path: Path) -> None:
    """Another value, another end: exit status 1. The same one is equal, whenever it ran."""
    paid, same, more, failed = (
        ran(tmp_path / f"{number}.jsonl", number, outcome)
        for number, outcome in enumerate(
            [Outcome("SUCCESS", 5), Outcome("SUCCESS", 5), Outcome("SUCCESS", 6), Outcome("FAILURE", error=KeyError(1))]
        )
    )
    assert timetracer("diff", paid, same).returncode == 0
    ended = timetracer("diff", paid, more)
    assert (ended.returncode, "$.value: 5 recorded, 6 now" in ended.stdout) == (1, True), ended.stdout
    ended = timetracer("diff", paid, failed, "--json")
    ((told,),) = (one["differences"] for one in json.loads(ended.stdout)["differing"])
    assert (ended.returncode, told["kind"]) == (1, "outcome")
    assert "$.state" in {field["path"] for field in told["fields"]}


def test_requests_without_a_counterpart_are_named(timetracer: Command, tmp_path: Path) -> None:
    """What only one of the two has is a difference."""
    first, second = written(tmp_path / "a.jsonl", 1), written(tmp_path / "b.jsonl", 2, target="/other")
    ended = timetracer("diff", first, second)
    assert ended.returncode == 1
    assert "only in the first: GET /users?id=1" in ended.stdout
    assert "only in the second: GET /other" in ended.stdout


def test_recording_that_is_not_there_is_status_2(timetracer: Command, tmp_path: Path) -> None:
    """It is named in one line."""
    ended = timetracer("diff", written(tmp_path / "a.jsonl", 1), tmp_path / "none.jsonl")
    assert ended.returncode == 2
    assert "none.jsonl" in ended.stderr


def test_spans_stand_side_by_side(timetracer: Command, tmp_path: Path) -> None:
    """What was added, removed, changed and what took longer, with the times of both, in order of start."""
    first, second = Recording(1), Recording(2)
    parent = first.entry(duration=50 * MS)
    first.span("work", SpanKind.INTERNAL, {}, parent=parent, offset=MS, duration=3 * MS)
    for place, command in enumerate[Mapping[str, Any]]((INSERT, FIND, UPDATE)):
        first.call(parent, command, {"ok": 1.0}, offset=(5 + place * 10) * MS, duration=2 * MS)
    parent = second.entry(duration=52 * MS)
    second.span("work", SpanKind.INTERNAL, {}, parent=parent, offset=MS, duration=30 * MS)
    changed = {**INSERT, "documents": [{"_id": "a", "total": 6}]}
    delete = {"delete": "carts", "deletes": [], "$db": "shop"}
    for place, command in enumerate[Mapping[str, Any]]((changed, UPDATE, delete)):
        second.call(parent, command, {"ok": 1.0}, offset=(32 + place * 5) * MS, duration=2 * MS)
    files = first.write(tmp_path / "a.jsonl"), second.write(tmp_path / "b.jsonl")
    ended = timetracer("diff", *files, "--slower", "20ms")
    assert ended.returncode == 1
    assert [line.split() for line in ended.stdout.splitlines()[1:7]] == [
        ["50.0", "ms", "52.0", "ms", "GET", "/users"],
        [">", "3.0", "ms", "30.0", "ms", "work"],
        ["~", "2.0", "ms", "2.0", "ms", "shop.insert"],
        ["-", "2.0", "ms", "-", "shop.find"],
        ["2.0", "ms", "2.0", "ms", "shop.update"],
        ["+", "-", "2.0", "ms", "shop.delete"],
    ]
    assert "slower work: 3.0 ms recorded, 30.0 ms now" in ended.stdout
    (pair,) = json.loads(timetracer("diff", *files, "--json").stdout)["differing"]
    assert [(row["kind"], row["name"]) for row in pair["spans"]] == [
        ("same", "GET /users"),
        ("same", "work"),
        ("changed", "shop.insert"),
        ("removed", "shop.find"),
        ("same", "shop.update"),
        ("added", "shop.delete"),
    ]


@pytest.mark.system
def test_slower_alone_is_a_difference_when_it_is_asked_for(timetracer: Command, tmp_path: Path) -> None:
    """By a time or by a share; without the option times do not count; what is neither is exit status 2."""
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for number, duration in ((1, 10), (2, 14)):
        recording = Recording(number)
        recording.entry(duration=duration * MS)
        recording.write(files[number - 1])
    statuses = {
        limit: timetracer("diff", *files, *(["--slower", limit] if limit else [])).returncode
        for limit in ("", "3ms", "5ms", "30%", "50%", "soon", "x%")
    }
    assert statuses == {"": 0, "3ms": 1, "5ms": 0, "30%": 1, "50%": 0, "soon": 2, "x%": 2}
