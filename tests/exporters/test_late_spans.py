"""Spans of a lane that end while its file is being written, or behind that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from timetracer_otel import seams, spans, testing
from timetracer_otel.cassette import storage
from timetracer_otel.cassette.loading import load
from timetracer_otel.exporters.lanes.encoded_span import Ended
from timetracer_otel.families.kinds.http import Request
from timetracer_otel.seams.lanes import Lane


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[Lane]:
    """An open lane of a recording into ``tmp_path``."""
    with testing.record(tmp_path):
        active = seams.active()
        assert active is not None
        opened = active.open_lane(Request("GET", "/", []))
        assert opened is not None
        yield opened


def call_late(lane: Lane) -> None:
    """End a call of a lane, as its background thread does."""
    with lane.entered():
        call = seams.begin("sqlite3", lambda: ("late", {"db.system.name": "sqlite"}))
        assert call is not None
        call.put(spans.REQUEST, b"late")
        call.end()


def calls(folder: Path) -> list[str]:
    """The calls in the files of a folder's lanes."""
    files = [file for file in folder.rglob("*.jsonl") if not file.is_symlink()]
    return [call.name for one in load(files).lanes for call in one.calls]


def test_a_span_that_ends_while_the_file_is_written(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the file, once."""
    write_lane, late = storage.write_lane, threading.Thread(target=call_late, args=(lane,))

    def write(path: Path, data: bytes) -> None:
        if not late.ident:
            late.start()
            late.join(0.1)  # it may have to wait until the file is written
        write_lane(path, data)

    monkeypatch.setattr(storage, "write_lane", write)
    lane.finish(None)
    late.join(60)
    assert calls(tmp_path) == ["late"]


def test_a_lane_that_is_written_while_a_span_ends(lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The span saw the lane open, and finds it written: it is in the file all the same."""
    waiting, finishing = Ended.waiting, threading.Thread(target=lane.finish, args=(None,))

    def take(*args: Any) -> Ended:
        ended = waiting(*args)
        if not finishing.ident:
            finishing.start()
            finishing.join(60)
        return ended

    monkeypatch.setattr(Ended, "waiting", take)
    call_late(lane)
    assert calls(tmp_path) == ["late"]
