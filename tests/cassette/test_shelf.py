"""Many lanes in little memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from tests.cli.conftest import Recording
from timetracer_otel import spans
from timetracer_otel.cassette import shelf
from timetracer_otel.cassette.shelf import Catalog, Shelf, catalog, read_catalog
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.kinds import task


def recorded(folder: Path, count: int) -> list[Path]:
    """Write lanes of one session, each in a file of its own."""
    files = []
    for number in range(1, count + 1):
        recording = Recording(number)
        entry = recording.entry(
            target=f"/users?id={number}", request=b"x" * number, headers=[("Cookie", f"s={number % 2}")]
        )
        recording.call(entry, {"find": "users", "$db": "shop"}, {"ok": 1.0})
        files.append(recording.write(folder / f"lane-{number}.jsonl"))
    session = Recording(99, of_session=True)
    session.call(1, {"ping": 1, "$db": "admin"}, {"ok": 1.0})
    session.write(folder / f"SESSION__app__{'5' * 32}.jsonl")
    return files


def test_outline_says_what_a_request_asked(tmp_path: Path) -> None:
    """Method, target, cookies and whether there was a body are known without payloads, in order of start."""
    found = catalog(reversed(recorded(tmp_path, 3)))
    assert [lane.name for lane in found.lanes] == [f"GET /users?id={n}" for n in (1, 2, 3)]
    assert [(lane.group, lane.has_body, lane.calls) for lane in found.lanes[:2]] == [
        ("s=1", True, 1),
        ("s=0", True, 1),
    ]
    assert found.lanes[0].service == "shop"


def test_lane_is_read_whole_when_wanted(tmp_path: Path) -> None:
    """By its id or its trace; with its payloads; its session is found beside it."""
    own = Shelf.of(recorded(tmp_path, 2))
    lane = own.lane(f"{2:032x}")
    assert lane is not None
    assert lane.entry is not None
    assert lane.entry.payload("http.request.body.content") == b"xx"
    assert own.lane("nothing") is None
    assert [len(session.calls) for session in own.sessions.values()] == [1]


def test_few_lanes_are_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lanes with files of their own are let go again, and read again."""
    monkeypatch.setattr(shelf, "LANES_KEPT", 2)
    own = Shelf.of(recorded(tmp_path, 5))
    first = own.lane(f"{1:032x}")
    assert own.lane(f"{1:032x}") is first
    assert [lane.id for lane in own.lanes] == [f"{n:032x}" for n in range(1, 6)]
    again = own.lane(f"{1:032x}")
    assert again is not first
    assert again == first


def test_catalog_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What a replayed program reads is what the launcher found."""
    found = catalog(recorded(tmp_path, 2))
    found.write(tmp_path / "catalog.json")
    assert read_catalog(tmp_path / "catalog.json") == found


def test_one_service_of_several(tmp_path: Path) -> None:
    """Only its lanes and spans are left."""
    found = catalog(recorded(tmp_path, 2))
    assert found.only("shop").lanes == found.lanes
    assert found.only("other") == Catalog((), found.sessions, "other")
    assert Shelf(found.only("other")).sessions == {}


def test_lane_that_is_gone_meanwhile(tmp_path: Path) -> None:
    """A file that was removed is named."""
    files = recorded(tmp_path, 1)
    own = Shelf.of(files)
    files[0].unlink()
    with pytest.raises(CassetteError, match=r"lane-1\.jsonl"):
        own.lane(f"{1:032x}")


def test_a_task_whose_message_left_in_chunks_is_driven(tmp_path: Path) -> None:
    """A message of a megabyte and more is no reason to leave its task out of a verification."""
    recording = Recording()
    facts = {spans.ENTRY_KIND: "task", task.NAME: "shop.resize", task.BODY + spans.PARTS: 2}
    recording.span("run/shop.resize", SpanKind.CONSUMER, facts)
    (outline,) = catalog([recording.write(tmp_path / "lane.jsonl")]).lanes
    assert outline.has_body
    assert outline.is_drivable
