"""The index beside the cassettes, by which ``timetracer list`` knows what it has read before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Command, Recording
from timetracer_otel.cassette import storage
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cli import index, listing


@pytest.fixture(autouse=True)
def _always_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index is written for a single file already."""
    monkeypatch.setattr(index, "_WORTH", 1)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the cassettes that are read."""
    names: list[str] = []
    lanes = listing._lanes

    def noted(path: Path) -> Iterator[Lane]:
        names.append(path.name)
        return lanes(path)

    monkeypatch.setattr(listing, "_lanes", noted)
    return names


def written(folder: Path, number: int, target: str = "/a", name: str = "", method: str = "GET") -> Path:
    """Write a lane."""
    recording = Recording(number)
    recording.call(recording.entry(method, target), {"ping": 1, "$db": "shop"}, {"ok": 1.0})
    return recording.write(folder / "2026-11-18" / "11" / f"{name or number}.jsonl")


def targets(folder: Path) -> list[str]:
    """The listed lanes, newest first."""
    return [summary.target for summary in listing.collect(str(folder)).summaries()]


def test_what_is_known_is_not_read_again(tmp_path: Path, reads: list[str]) -> None:
    """A second list reads the index only, and says the same."""
    for number in (1, 2, 3):
        written(tmp_path, number, f"/{number}")
    first = [summary.as_json() for summary in listing.collect(str(tmp_path)).summaries()]
    assert sorted(reads) == ["1.jsonl", "2.jsonl", "3.jsonl"]
    assert (tmp_path / index.NAME).stat().st_mode & 0o777 == 0o600
    reads.clear()
    again = listing.collect(str(tmp_path))
    assert ([summary.as_json() for summary in again.summaries()], reads) == (first, [])


def test_what_has_changed_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    """A new file, one that was replaced, appended to or removed; and another one in its place with the same size."""
    for number in (1, 2, 3):
        written(tmp_path, number, f"/{number}")
    targets(tmp_path)
    reads.clear()
    written(tmp_path, 2, "/X")
    written(tmp_path, 4, "/4")
    (tmp_path / "2026-11-18" / "11" / "3.jsonl").unlink()
    assert targets(tmp_path) == ["/4", "/X", "/1"]
    assert reads == ["2.jsonl", "4.jsonl"]
    reads.clear()
    later = Recording(4)
    later.call(later.entry(), {"find": "x", "$db": "shop"}, {"ok": 1.0})
    later.spans = later.spans[1:]
    storage.append(tmp_path / "2026-11-18" / "11" / "4.jsonl", later.line())
    targets(tmp_path)
    assert reads == ["4.jsonl"]


@pytest.mark.parametrize("damage", [b"", b"{}\n{}\n", b"\xff\xfe", b"[1,2"])
def test_a_damaged_index_is_made_again(tmp_path: Path, reads: list[str], damage: bytes) -> None:
    """Whatever stands in it, the list is right, and the next one is fast again."""
    written(tmp_path, 1)
    targets(tmp_path)
    (tmp_path / index.NAME).write_bytes(damage)
    assert targets(tmp_path) == ["/a"]
    reads.clear()
    assert (targets(tmp_path), reads) == (["/a"], [])


def test_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """The content has a checksum."""
    written(tmp_path, 1, "/abcdef")
    targets(tmp_path)
    data = (tmp_path / index.NAME).read_bytes()
    (tmp_path / index.NAME).write_bytes(data.replace(b"/abcdef", b"/abcdeF"))
    assert targets(tmp_path) == ["/abcdef"]


def test_an_index_of_another_version_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a later version has written is not trusted."""
    written(tmp_path, 1)
    monkeypatch.setattr(index, "_FORMAT", 99)
    targets(tmp_path)
    monkeypatch.undo()
    assert targets(tmp_path) == ["/a"]


def test_a_large_file_is_worth_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]) -> None:
    """As many small ones are: what counts is how long it takes to read them again."""
    monkeypatch.setattr(index, "_WORTH", 5)
    monkeypatch.setattr(index, "_AS_MUCH", 100)
    written(tmp_path, 1)
    assert [targets(tmp_path), targets(tmp_path), reads] == [["/a"], ["/a"], ["1.jsonl"]]


def test_a_lane_in_several_known_files_is_one_row(tmp_path: Path) -> None:
    """Its calls count once, whether the files were read now or before."""
    written(tmp_path, 1, name="a")
    written(tmp_path, 1, name="b")
    for _ in range(2):
        (summary,) = listing.collect(str(tmp_path)).summaries()
        assert (Path(summary.file).name, summary.calls) == ("a.jsonl", 1)


def test_a_directory_that_takes_no_index_is_listed(tmp_path: Path) -> None:
    """It stays without one."""
    written(tmp_path, 1)
    (tmp_path / index.NAME).mkdir()
    assert targets(tmp_path) == ["/a"]
    assert targets(tmp_path) == ["/a"]


def test_a_damaged_cassette_is_told_each_time(tmp_path: Path) -> None:
    """It is no part of the index."""
    written(tmp_path, 1)
    (tmp_path / "bad.jsonl").write_bytes(b'{"resourceSpans": [')
    for _ in range(2):
        found = listing.collect(str(tmp_path))
        assert ([str(error.file) for error in found.errors], len(found.rows)) == ([str(tmp_path / "bad.jsonl")], 1)


def test_few_files_get_no_index(tmp_path: Path, timetracer: Command) -> None:
    """A folder of a test's cassettes, kept under version control, stays as it is."""
    written(tmp_path, 1)
    timetracer("list", tmp_path)
    assert not (tmp_path / index.NAME).exists()


def test_text_in_payloads_chooses(tmp_path: Path, timetracer: Command) -> None:
    """``--text`` looks into bodies and decoded calls, in any case of letters, and goes with the other filters."""
    for number, name in ((1, "Ada"), (2, "bob"), (3, "ADA")):
        recording = Recording(number)
        call = {"find": "users", "filter": {"name": name}, "$db": "shop"}
        recording.call(recording.entry(target=f"/{number}"), call, {"ok": 1.0})
        recording.write(tmp_path / f"{number}.jsonl")
    rows = json.loads(timetracer("list", tmp_path, "--text", "ada", "--json").stdout)
    assert [row["target"] for row in rows] == ["/3", "/1"]
    rows = json.loads(timetracer("list", tmp_path, "--text", "ada", "--limit", "1", "--json").stdout)
    assert [row["target"] for row in rows] == ["/3"]
    assert timetracer("list", tmp_path, "--text", "eve").stdout == f"{tmp_path}: none of 3 is of that kind\n"


def test_a_link_that_leads_nowhere_hides_no_other(tmp_path: Path) -> None:
    """A file that is gone when it is looked at is left out, alone."""
    for number in range(1, 6):
        written(tmp_path, number, f"/{number}")
        (tmp_path / "2026-11-18" / "11" / f"0{number}.jsonl").symlink_to(tmp_path / "gone")
    for _ in range(2):
        assert targets(tmp_path) == ["/5", "/4", "/3", "/2", "/1"]


def test_columns_come_back_as_they_were(tmp_path: Path) -> None:
    """Also those of one value, those of few, of which each row has a number, and names of several files in one."""
    for number in range(1, 10):
        written(tmp_path, number, f"/{number}", method="GET" if number % 2 else "POST")
    first = [(one.as_json(), one.whole, one.end) for one in listing.collect(str(tmp_path)).summaries()]
    again = [(one.as_json(), one.whole, one.end) for one in listing.collect(str(tmp_path)).summaries()]
    known = (tmp_path / index.NAME).read_bytes()
    assert b'"numbers":[' in known
    assert b'"kind":{"all":["lane"]}' in known
    assert again == first
