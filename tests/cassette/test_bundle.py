"""Lanes and their sessions in one file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.cassette.conftest import COMPRESSIONS, a_span, lane_of, session_span, write
from timetracer_otel.cassette import loading, naming
from timetracer_otel.cassette.bundle import bundle
from timetracer_otel.config import Compression
from timetracer_otel.errors import CassetteError


@pytest.fixture
def lanes(tmp_path: Path) -> list[Path]:
    """Two lanes of different compression, and their session with its parent in other folders."""
    root = tmp_path / "cassettes"
    write(root / "2023-11-14/21/SESSION__app__5e55.jsonl", session_span("5e55", "master", span_id=11))
    write(root / "2023-11-13/21/SESSION__app__master.jsonl.gz", session_span("master", span_id=12), compression="gzip")
    first = write(root / "2023-11-14/22/a.jsonl", a_span(1, attributes=lane_of("one")))
    second = write(root / "2023-11-14/22/b.jsonl.zst", a_span(2, attributes=lane_of("two")), compression="zstd")
    return [first, second]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_bundle_holds_lanes_and_their_sessions(tmp_path: Path, lanes: list[Path], compression: Compression) -> None:
    """Carried to another machine it loads as the files did; the output's name says how it is compressed."""
    output = tmp_path / "elsewhere" / f"bundle{naming.ENDINGS[compression]}"
    assert bundle(lanes, output) == 4
    bundled, apart = loading.load([output]), loading.load(lanes)
    assert [(lane.id, lane.spans) for lane in bundled.lanes] == [(lane.id, lane.spans) for lane in apart.lanes]
    assert set(bundled.sessions) == set(apart.sessions) == {"5e55", "master"}
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    magic = {"none": b'{"re', "gzip": b"\x1f\x8b", "zstd": b"\x28\xb5"}[compression]
    assert output.read_bytes().startswith(magic)


def test_lines_are_copied_as_they_are(tmp_path: Path, lanes: list[Path]) -> None:
    """Also fields that we do not read survive; a missing last newline is added."""
    line = lanes[0].read_bytes().replace(b'"resourceSpans"', b'"future": [1,  2], "resourceSpans"')
    lanes[0].write_bytes(line.rstrip())
    bundle(lanes, tmp_path / "bundle.jsonl")
    assert (tmp_path / "bundle.jsonl").read_bytes().startswith(line)
    assert len((tmp_path / "bundle.jsonl").read_bytes().splitlines()) == 4


def test_a_file_that_is_named_twice_is_copied_once(tmp_path: Path, lanes: list[Path]) -> None:
    """By its own name, by a link, and as the session of a lane."""
    link = tmp_path / "link.jsonl"
    link.symlink_to(lanes[0])
    session = tmp_path / "cassettes/2023-11-14/21/SESSION__app__5e55.jsonl"
    assert bundle([session, *lanes, link, lanes[0]], tmp_path / "bundle.jsonl") == 4


def test_a_device_is_no_place_for_a_bundle(tmp_path: Path, lanes: list[Path]) -> None:
    """A bundle takes the place of a file only: a pipe, or a device, stays what it is."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CassetteError, match="not a regular file"):
        bundle(lanes, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_a_damaged_file_leaves_no_bundle(tmp_path: Path, lanes: list[Path]) -> None:
    """Neither the output nor a part of it; a bundle that was there stays."""
    output = tmp_path / "bundle.jsonl"
    for before in (None, b"before"):
        if before:
            output.write_bytes(before)
        for data, cause in ((b"{", "cut short"), (b"{}", "holds no span")):
            lanes[1].write_bytes(data)
            with pytest.raises(CassetteError, match=cause):
                bundle(lanes, output)
        assert [path.read_bytes() for path in tmp_path.glob("bundle*")] == ([before] if before else [])


def test_the_output_cannot_be_one_of_the_files(tmp_path: Path, lanes: list[Path]) -> None:
    """It would be read while it is written."""
    before = lanes[0].read_bytes()
    with pytest.raises(CassetteError, match="choose another name"):
        bundle(lanes, lanes[0])
    assert lanes[0].read_bytes() == before
    assert not list(tmp_path.rglob("*.part"))


def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path, lanes: list[Path]) -> None:
    """A file stands where its folder should be."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CassetteError, match="cannot be written"):
        bundle(lanes, tmp_path / "file" / "bundle.jsonl")
