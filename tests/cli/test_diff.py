"""``timetracer diff``: two recordings side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
