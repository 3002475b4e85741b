"""From files to lanes and sessions."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from tests.cassette.conftest import START, TRACE, a_span, lane_of, session_span, write
from timetracer_otel import spans as names
from timetracer_otel.cassette import loading
from timetracer_otel.errors import CassetteError


def ids(spans: object) -> list[int]:
    """The spans' ids as numbers."""
    assert isinstance(spans, list)
    return [int(span.span_id, 16) for span in spans]


def test_spans_without_a_lane_are_one_lane_a_trace(tmp_path: Path) -> None:
    """A foreign file: the trace is the lane, and there are no sessions."""
    other = TRACE + 1
    path = write(tmp_path / "a", a_span(1), a_span(2, trace_id=other, start=START - 5), a_span(3, start=START - 1))
    cassette = loading.load([path])
    assert [lane.id for lane in cassette.lanes] == [f"{other:032x}", f"{TRACE:032x}"]
    assert ids(cassette.lanes[1].spans) == [3, 1]
    assert cassette.lanes[0].file == path
    assert cassette.lanes[0].session_id is None
    assert (cassette.sessions, cassette.files) == ({}, [path])


def test_a_lane_may_span_traces_and_a_trace_lanes(tmp_path: Path) -> None:
    """The lane's id decides, across files too; the lane's file is that of its entry."""
    early = write(
        tmp_path / "a",
        a_span(1, trace_id=5, attributes=lane_of("one"), start=START - 9),
        a_span(2, attributes=lane_of("two"), kind=SpanKind.SERVER),
    )
    late = write(tmp_path / "b", a_span(3, attributes=lane_of("one"), kind=SpanKind.SERVER, start=START - 1))
    cassette = loading.load([early, late])
    assert [(lane.id, ids(lane.spans), lane.file) for lane in cassette.lanes] == [
        ("one", [1, 3], late),
        ("two", [2], early),
    ]
    lane = cassette.lane("one")
    assert lane is not None
    assert lane.entry is not None
    assert lane.entry.span_id.endswith("3")
    assert lane.session_id == "5e55"


def test_sessions_are_kept_apart_from_lanes(tmp_path: Path) -> None:
    """A span whose lane is its session belongs to the session."""
    path = write(tmp_path / "a", session_span("5e55"), a_span(1, attributes=lane_of("one")))
    cassette = loading.load([path])
    assert [lane.id for lane in cassette.lanes] == ["one"]
    assert list(cassette.sessions) == ["5e55"]
    assert cassette.sessions["5e55"].is_session
    assert ids(cassette.sessions["5e55"].spans) == [0x5E]


# Parts


def test_an_entrys_part_completes_its_span(tmp_path: Path) -> None:
    """The span's own values stay, the part's payloads win, what only the part has is added; the part is gone."""
    part = {
        names.PART: "entry",
        names.HTTP_REQUEST_BODY: "whole",
        names.HTTP_REQUEST_BODY + ".size": 5,
        names.HTTP_TARGET: "/a?b",
        names.HTTP_STATUS: 200,
        names.HTTP_METHOD: "POST",
    }
    own = {names.HTTP_REQUEST_BODY: "cut", names.HTTP_TARGET: "/a", names.HTTP_STATUS: 204}
    path = write(tmp_path / "a", a_span(2, parent=1, attributes=part), a_span(1, kind=SpanKind.SERVER, attributes=own))
    (lane,) = loading.load([path]).lanes
    (span,) = lane.spans
    assert span.attributes == {
        names.HTTP_REQUEST_BODY: "whole",
        names.HTTP_REQUEST_BODY + ".size": 5,
        names.HTTP_TARGET: "/a?b",
        names.HTTP_STATUS: 204,
        names.HTTP_METHOD: "POST",
    }


def test_a_part_from_another_file_is_folded(tmp_path: Path) -> None:
    """The span came by a collector, or in a later batch."""
    part = write(tmp_path / "a", a_span(2, parent=1, attributes={names.PART: "entry", names.REQUEST: "x"}))
    (lane,) = loading.load([part, write(tmp_path / "b", a_span(1))]).lanes
    assert [(span.span_id[-1], span.attributes) for span in lane.spans] == [("1", {names.REQUEST: "x"})]


@pytest.mark.parametrize(("kind", "parent"), [("entry", 77), ("entry", None), ("chunk", 1), ("unheard of", 1)])
def test_a_part_that_cannot_be_folded_stays(tmp_path: Path, kind: str, parent: int | None) -> None:
    """Its span is missing, or the kind of part is not known here: nothing that was recorded is lost."""
    path = write(tmp_path / "a", a_span(1), a_span(2, parent=parent, attributes={names.PART: kind}))
    (lane,) = loading.load([path]).lanes
    assert ids(lane.spans) == [1, 2]
    assert lane.spans[1].attributes == {names.PART: kind}


# Duplicates and faults


def test_a_span_in_several_files_is_taken_once(tmp_path: Path) -> None:
    """From where it has most attributes: beside a collector's copy without payloads, ours counts."""
    bare, full = a_span(1, attributes={"a": 1}), a_span(1, attributes={"a": 1, names.REQUEST: "x"})
    for name, order in (("x", (bare, full)), ("y", (full, bare))):
        paths = [write(tmp_path / f"{name}{number}", span) for number, span in enumerate(order)]
        cassette = loading.load([*paths, paths[0]])
        assert [span.attributes for span in cassette.lanes[0].spans] == [{"a": 1, names.REQUEST: "x"}]
        assert cassette.files == paths


def test_a_file_without_spans_is_refused(tmp_path: Path) -> None:
    """An empty cassette is a fault, not a recording of nothing."""
    good = write(tmp_path / "good", a_span(1))
    for data in (b"", b"{}\n"):
        (tmp_path / "empty").write_bytes(data)
        with pytest.raises(CassetteError, match="empty: holds no span"):
            loading.load([good, tmp_path / "empty"])


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """Nothing of it is loaded."""
    path = write(tmp_path / "a", a_span(1))
    path.write_bytes(path.read_bytes() + b"{")
    with pytest.raises(CassetteError, match="a, line 2: the line is cut short"):
        loading.load([path])


# Sessions that are not among the files


def lane_file(directory: Path, session_id: str = "5e55", parent: str | None = None) -> Path:
    """A lane in the directory's usual layout."""
    resource = {names.SESSION_ID: session_id} | ({names.SESSION_PARENT_ID: parent} if parent else {})
    span = a_span(1, attributes={names.LANE_ID: "one"}, resource=resource)
    return write(directory / "2023-11-14" / "22" / "GET__a__1-2.jsonl", span)


@pytest.mark.parametrize(
    "place",
    [
        "2023-11-14/22/SESSION__app__5e55.jsonl",
        "2023-11-14/21/SESSION__app__5e55.jsonl.gz",
        "2023-11-12/03/SESSION__my__app__5e55.jsonl.zst",
    ],
)
def test_a_lanes_session_is_found(tmp_path: Path, place: str) -> None:
    """Beside the lane, in another hour, on another day; other sessions are left alone."""
    path = lane_file(tmp_path)
    session = write(tmp_path / place, session_span("5e55"))
    write(tmp_path / "2023-11-14/22/SESSION__app__other.jsonl", session_span("other"))
    write(tmp_path / "2023-11-14/22/SESSION__app__x-5e55.jsonl", session_span("x-5e55"))
    cassette = loading.load([path])
    assert list(cassette.sessions) == ["5e55"]
    assert cassette.files == [path, session]


def test_a_session_among_the_files_is_not_looked_for(tmp_path: Path) -> None:
    """What was given counts, even when the lane's folder has a session's file too."""
    path = lane_file(tmp_path)
    (tmp_path / "2023-11-14/22/SESSION__app__5e55.jsonl").write_bytes(b"damaged")
    given = write(tmp_path / "given.jsonl", session_span("5e55"))
    assert loading.load([path, given]).files == [path, given]


def test_a_sessions_parents_are_found(tmp_path: Path) -> None:
    """A worker's session names that of the process that started it, and so on."""
    path = lane_file(tmp_path, "worker", "master")
    write(tmp_path / "2023-11-14/22/SESSION__app__worker.jsonl", session_span("worker", "master", span_id=11))
    write(tmp_path / "2023-11-14/21/SESSION__app__master.jsonl", session_span("master", "shell", span_id=12))
    write(tmp_path / "2023-11-13/21/SESSION__app__shell.jsonl", session_span("shell", "worker", span_id=13))
    assert set(loading.load([path]).sessions) == {"worker", "master", "shell"}


def test_a_session_that_is_nowhere_is_left_out(tmp_path: Path) -> None:
    """The lane was carried away alone: it still loads."""
    cassette = loading.load([lane_file(tmp_path, parent="gone")])
    assert [lane.session_id for lane in cassette.lanes] == ["5e55"]
    assert cassette.sessions == {}


def test_a_copy_above_the_days_finds_its_session(tmp_path: Path) -> None:
    """Where filesystems have no links, latest.jsonl is a copy that stands in the cassette directory."""
    latest = lane_file(tmp_path).rename(tmp_path / "latest.jsonl")
    write(tmp_path / "2023-11-14/21/SESSION__app__5e55.jsonl", session_span("5e55"))
    assert list(loading.load([latest]).sessions) == ["5e55"]


def test_a_damaged_session_is_refused(tmp_path: Path) -> None:
    """A lane whose session cannot be read would replay only in part."""
    path = lane_file(tmp_path)
    (tmp_path / "2023-11-14/22/SESSION__app__5e55.jsonl").write_bytes(b"damaged")
    with pytest.raises(CassetteError, match=r"SESSION__app__5e55\.jsonl, line 1"):
        loading.load([path])


def test_a_relative_path_finds_the_session_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user stands in the folder of the lane."""
    path = lane_file(tmp_path)
    write(tmp_path / "2023-11-12/21/SESSION__app__5e55.jsonl", session_span("5e55"))
    monkeypatch.chdir(path.parent)
    assert list(loading.load([path.name]).sessions) == ["5e55"]
