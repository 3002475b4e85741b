"""Lanes whose spans are replaced in their file."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Recording
from timetracer_otel.cassette.reading import read_spans
from timetracer_otel.cassette.replacing import replace_lanes


def test_large_payloads_do_not_become_one_line(tmp_path: Path) -> None:
    """Who reads the file holds a line at a time; the spans stay, in their order."""
    recording = Recording(1)
    entry = recording.entry()
    for number in range(4):
        recording.call(entry, {"ping": number, "$db": "shop"}, {"ok": 1.0, "text": "x" * 800_000})
    file = recording.write(tmp_path / "lane.jsonl")
    before = list(read_spans(file))
    replace_lanes(file, {before[0].lane_id: before})
    assert list(read_spans(file)) == before
    assert [len(line) // 1_000_000 for line in file.read_bytes().splitlines()] == [1, 1, 1, 1]
