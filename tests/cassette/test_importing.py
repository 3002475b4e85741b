"""Any source becomes a cassette directory: a file a lane, each span once, nothing lost that is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from tests.cassette.conftest import START, a_span, lane_of, lines, session_span
from tests.cassette.test_collector_files import framed, lane, proto
from timetracer_otel import spans as names
from timetracer_otel.cassette import importing, loading, sniffing
from timetracer_otel.config import Compression
from timetracer_otel.errors import CassetteError
from timetracer_otel.integrations import known_to_version1

VERSION_1 = Path(__file__).parent / "version1"


def import_into(to: Path, *sources: Path, compression: Compression = "none") -> importing.Imported:
    """Import files or directories."""
    return importing.import_all([str(source) for source in sources], to, to, compression, known_to_version1())


def names_in(to: Path) -> list[str]:
    """The files of a cassette directory."""
    return sorted(str(path.relative_to(to)) for path in to.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """A collector's folder: two rotated files with lanes interleaved, one in protobuf, and metrics."""
    folder = tmp_path / "collected"
    folder.mkdir()
    (folder / "traces-2026.json").write_bytes(lines([lane(1)[0], lane(2)[1], session_span("5e55"), lane(2)[0]]))
    (folder / "traces.binpb").write_bytes(framed(proto(lane(2)[2], lane(1)[1]), proto(lane(1)[2], lane(1)[0])))
    (folder / "metrics.json").write_bytes(b'{"resourceMetrics": []}\n')
    return folder


def test_a_file_a_lane_in_our_layout(collected: Path, tmp_path: Path) -> None:
    """Named by the entry; private; with the newest as the latest."""
    to = tmp_path / "to"
    done = import_into(to, collected)
    assert (done.lanes, done.sessions, done.known, done.left_out) == (2, 1, 0, [])
    assert names_in(to) == [
        "2023-11-14/22/GET__users__0000000000000001-0000000000000064.jsonl",
        "2023-11-14/22/GET__users__0000000000000002-00000000000000c8.jsonl",
        "2023-11-14/22/SESSION__python__5e55.jsonl",
    ]
    assert str((to / "latest.jsonl").readlink()) == names_in(to)[1]
    assert {(to / name).stat().st_mode & 0o777 for name in names_in(to)} == {0o600}
    assert to.stat().st_mode & 0o777 == 0o700


def test_nothing_is_changed_on_the_way(collected: Path, tmp_path: Path) -> None:
    """What is loaded from the directory is what was loaded from the collector's files."""
    import_into(tmp_path / "to", collected)
    before = loading.load(path for path in collected.iterdir() if sniffing.holds_traces(path))
    after = loading.load(tmp_path / "to" / name for name in names_in(tmp_path / "to"))
    assert [one.spans for one in after.lanes] == [one.spans for one in before.lanes]
    assert after.sessions.keys() == before.sessions.keys()


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_importing_twice_adds_nothing(collected: Path, tmp_path: Path, compression: Compression) -> None:
    """Not even with another compression."""
    to = tmp_path / "to"
    import_into(to, collected)
    before = {name: ((to / name).stat().st_ino, (to / name).read_bytes()) for name in names_in(to)}
    done = import_into(to, collected, compression=compression)
    assert (done.lanes, done.sessions, done.known) == (0, 0, 3)
    assert {name: ((to / name).stat().st_ino, (to / name).read_bytes()) for name in names_in(to)} == before
    again = import_into(tmp_path / "other", to, compression=compression)
    assert (again.lanes, again.sessions) == (2, 1)


def test_what_comes_later_completes_a_lane(collected: Path, tmp_path: Path) -> None:
    """The file of a lane that was there takes up the spans that were not."""
    to = tmp_path / "to"
    late = tmp_path / "late.json"
    late.write_bytes(lines([a_span(150, trace_id=1, parent=100, kind=SpanKind.CLIENT, attributes=lane_of("lane-1"))]))
    import_into(to, collected)
    done = import_into(to, collected, late)
    assert (done.lanes, done.known) == (1, 2)
    assert len(loading.load([to / names_in(to)[0]]).lanes[0].spans) == 3


def test_of_a_damaged_file_what_is_whole_is_taken(tmp_path: Path) -> None:
    """A collector that was killed: every message before its last, and after a bad one; each is named."""
    cut, bad = tmp_path / "cut.binpb", tmp_path / "bad.json"
    cut.write_bytes(framed(proto(*lane(1)), proto(*lane(2)))[:-5])
    bad.write_bytes(lines(lane(3)) + b'{"resourceSpans": 5}\n' + lines(lane(4))[:-100])
    nothing = tmp_path / "nothing.json"
    nothing.write_bytes(b"x")
    done = import_into(tmp_path / "to", cut, bad, nothing)
    assert done.lanes == 3
    first, second, third, fourth = map(str, done.left_out)
    assert "cut.binpb: message 2, at byte" in first
    assert "bad.json, line 4: resourceSpans is 5" in second
    assert "bad.json, line 7: the line is cut short" in third
    assert "nothing.json, line 1: is not JSON" in fourth


def test_a_file_without_spans_is_named(tmp_path: Path) -> None:
    """An empty one too, when it was named."""
    (tmp_path / "f.json").write_bytes(b"{}\n")
    (tmp_path / "e.json").write_bytes(b"")
    done = import_into(tmp_path / "to", tmp_path / "f.json", tmp_path / "e.json")
    assert [str(error).partition(": ")[2] for error in done.left_out] == ["holds no span"] * 2
    assert not (tmp_path / "to").exists()


def test_traces_of_other_tools_are_taken(tmp_path: Path) -> None:
    """A trace without our attributes is a lane; without an entry it is named by its first span."""
    source = tmp_path / "f.json"
    source.write_bytes(lines([a_span(1, trace_id=7, name="nightly job", start=START)]))
    import_into(tmp_path / "to", source)
    assert names_in(tmp_path / "to") == ["2023-11-14/22/TRACE__nightly-job__0000000000000007-0000000000000001.jsonl"]


def test_old_cassettes_are_found_in_directories(tmp_path: Path) -> None:
    """Beside new ones, and beside what is neither."""
    source = tmp_path / "source"
    shutil.copytree(VERSION_1, source)
    (source / "report.json").write_bytes(b'{"exit_status": 0}')
    (source / "broken.json").write_text('{"schema_version": "1.0", "session": {"timetracer_version": "1.4.0"}}')
    done = import_into(tmp_path / "to", source)
    assert done.lanes == len(list(VERSION_1.iterdir()))
    assert [error.file for error in done.left_out] == [str(source / "broken.json")]


def test_a_directory_that_cannot_be_written(collected: Path, tmp_path: Path) -> None:
    """Is an error of ours."""
    (tmp_path / "to").write_bytes(b"a file")
    with pytest.raises(CassetteError, match="cannot be written"):
        import_into(tmp_path / "to", collected)


def test_a_session_is_completed_where_it_is(tmp_path: Path) -> None:
    """Its first span may come late, and tell another hour; its program is that of its command line."""
    to, source = tmp_path / "to", tmp_path / "f.json"
    attributes = {names.LANE_ID: "5e55"}
    resource = {names.SESSION_ID: "5e55", "process.command_args": ("python", "-m", "shop.worker", "-v")}
    hour = 3_600_000_000_000
    source.write_bytes(lines([a_span(1, attributes=attributes, resource=resource, start=START)]))
    import_into(to, source)
    source.write_bytes(lines([a_span(2, attributes=attributes, resource=resource, start=START - hour)]))
    done = import_into(to, source)
    assert (done.sessions, names_in(to)) == (1, ["2023-11-14/22/SESSION__worker__5e55.jsonl"])
    (session,) = loading.load([to / names_in(to)[0]]).sessions.values()
    assert [span.span_id[-1] for span in session.spans] == ["2", "1"]
