"""Names, writing and finding of cassette files."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cassette.conftest import COMPRESSIONS, START, TRACE, a_span, lines, read_data
from timetracer_otel.cassette import naming, storage
from timetracer_otel.config import Compression
from timetracer_otel.errors import CassetteError

HEX_TRACE = f"{TRACE:032x}"


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Runs a test under each umask."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def everything(folder: Path) -> list[str]:
    """The names of all that is in a folder."""
    return sorted(path.name for path in folder.rglob("*"))


# Names


def test_a_lanes_file_is_named_after_its_entry() -> None:
    """Day, hour (UTC), method, route, the end of the trace id and the span id."""
    path = storage.lane_path(Path("c"), START, "get", "/users/<int:id>", HEX_TRACE, "00f067aa0ba902b7", "gzip")
    assert str(path) == "c/2023-11-14/22/GET__users-int-id__8448eb211c80319c-00f067aa0ba902b7.jsonl.gz"


def test_a_sessions_file_is_named_after_its_program() -> None:
    """Its id can be told from the name again."""
    path = storage.session_path(Path("c"), START, "my app.py", "5e55__10n", "zstd")
    assert str(path) == "c/2023-11-14/22/SESSION__my-app.py__5e55-10n.jsonl.zst"
    assert naming.session_file_id(path.name) == naming.safe_session_id("5e55__10n") == "5e55-10n"
    assert naming.session_file_entry(path.name) is None


def test_a_childs_file_names_the_lane_that_started_it() -> None:
    """Both ids can be told from the name; a child of no lane has none."""
    path = storage.session_path(Path("c"), START, "job.py", "5e55", "none", f"{HEX_TRACE}/0/1")
    assert path.name == f"SESSION__job.py__for-{HEX_TRACE}__5e55.jsonl"
    assert (naming.session_file_id(path.name), naming.session_file_entry(path.name)) == ("5e55", HEX_TRACE)
    assert (
        storage.session_path(Path("c"), START, "job.py", "5e55", "none", "/0/1").name == "SESSION__job.py__5e55.jsonl"
    )


@pytest.mark.parametrize("name", ["GET__a__b-c.jsonl", "SESSION__a__b.jsonl.part", "SESSION__a.jsonl", "SESSION__a__b"])
def test_other_names_are_no_sessions(name: str) -> None:
    """Lanes, files that are being written, and files of others."""
    assert naming.session_file_id(name) is None


@given(route=st.text(), method=st.text(), program=st.text(), ident=st.text())
def test_any_route_makes_a_safe_name(route: str, method: str, program: str, ident: str) -> None:
    """Nothing leaves the folder, hides the file, or makes a name too long."""
    for path in (
        storage.lane_path(Path("c"), START, method, route, HEX_TRACE, "00f067aa0ba902b7", "zstd"),
        storage.session_path(Path("c"), START, program, ident),
    ):
        assert path.parent == Path("c/2023-11-14/22")
        assert path.name.isascii()
        assert not set(path.name) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
        assert not path.name.startswith(".")
        assert len(path.name) < 200
    assert naming.session_file_id(path.name) == naming.safe_session_id(ident)


@pytest.mark.parametrize("start", [-1, 0, 2**64 - 1, 2**80])
def test_an_absurd_time_still_makes_a_path(start: int) -> None:
    """A broken clock does not lose the recording."""
    assert len(storage.session_path(Path("c"), start, "p", "i").parts) == 4


# Writing


def test_files_are_0600_and_new_folders_0700(tmp_path: Path, umask: int) -> None:
    """Whatever the umask."""
    directory = tmp_path / "cassettes"
    whole, appended = directory / "day" / "hour" / "a.jsonl", directory / "day" / "other" / "b.jsonl"
    storage.write_whole(whole, b"x\n")
    storage.append(appended, b"x\n")
    assert [mode(path) for path in (whole, appended)] == [0o600, 0o600], oct(umask)
    assert {mode(path) for path in (directory, directory / "day", whole.parent, appended.parent)} == {0o700}


def test_what_is_there_already_keeps_its_mode(tmp_path: Path) -> None:
    """A folder that is not ours, and a file that its owner opened to others."""
    tmp_path.chmod(0o755)
    path = tmp_path / "a.jsonl"
    storage.append(path, b"1\n")
    path.chmod(0o640)
    storage.append(path, b"2\n")
    assert (mode(tmp_path), mode(path)) == (0o755, 0o640)
    assert path.read_bytes() == b"1\n2\n"


def test_a_pipe_stays_one(tmp_path: Path) -> None:
    """What is no file, such as ``/dev/stdout``, is written to: a file does not take its place."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    storage.write_whole(pipe, b"x\n")
    assert (pipe.is_fifo(), os.read(reader, 9), list(tmp_path.iterdir())) == (True, b"x\n", [pipe])
    os.close(reader)


def test_a_whole_file_replaces_the_one_before(tmp_path: Path) -> None:
    """Nothing but the file remains."""
    path = tmp_path / "a.jsonl"
    storage.write_whole(path, b"long before\n")
    storage.write_whole(path, b"after\n")
    assert path.read_bytes() == b"after\n"
    assert everything(tmp_path) == ["a.jsonl"]


def test_a_file_is_absent_until_it_is_whole(tmp_path: Path) -> None:
    """While it is being written it is called .part, and an exception leaves nothing."""

    def interrupted() -> None:
        with storage.whole_file(tmp_path / "a.jsonl") as file:
            os.write(file, b"half")
            assert everything(tmp_path) == ["a.jsonl.part"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert everything(tmp_path) == []


@pytest.mark.parametrize("write", [storage.write_whole, storage.append])
def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path, write: object) -> None:
    """The error says which file, why, and which setting helps."""
    assert callable(write)
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file" / "a.jsonl", tmp_path / "file" / "b" / "a.jsonl", tmp_path / "nul\0" / "a.jsonl"):
        with pytest.raises(CassetteError, match=r"cannot be written \(.*set TIMETRACER_DIR") as caught:
            write(path, b"x\n")
        assert caught.value.file == str(path)
    assert everything(tmp_path) == ["file"]


FULL_DISK = """
import resource, sys
from pathlib import Path
from timetracer_otel.cassette import storage
from timetracer_otel.errors import CassetteError
folder = Path(sys.argv[1])
storage.append(folder / "session.jsonl", b"first line\\n")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
writes = [(storage.write_whole, "lane.jsonl"), (storage.append, "session.jsonl"), (storage.append, "new.jsonl")]
for write, name in writes:
    try:
        write(folder / name, b"x" * 10_000 + b"\\n")
    except CassetteError as error:
        print(error)
"""


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """A new file is absent, a session keeps the lines that it had. A limit on file size stands in for the disk."""
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.count("cannot be written (File too large)") == 3
    assert (tmp_path / "session.jsonl").read_bytes() == b"first line\n"
    assert everything(tmp_path) == ["session.jsonl"]


def test_a_device_that_is_full_is_reported() -> None:
    """/dev/full answers every write with "no space left", and is left as it was."""
    before = mode(Path("/dev/full"))
    with pytest.raises(CassetteError, match=r"/dev/full: cannot be written \(No space left on device\): make room"):
        storage.append(Path("/dev/full"), b"x\n")
    assert mode(Path("/dev/full")) == before


def test_lines_of_several_threads_stay_whole(tmp_path: Path) -> None:
    """Appending is one write each, so lines do not mix."""
    path = tmp_path / "deep" / "a.jsonl"

    def work(letter: str) -> None:
        for _ in range(50):
            storage.append(path, letter.encode() * 5000 + b"\n")

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = path.read_bytes().splitlines()
    assert sorted(line[:1] for line in written) == [letter for letter in (b"a", b"b", b"c", b"d") for _ in range(50)]
    assert {len(line) for line in written} == {5000}
    assert all(len(set(line)) == 1 for line in written)


def test_a_write_that_was_cut_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may write less than it was given."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data[:7])))
    storage.append(tmp_path / "a", b"0123456789" * 3)
    storage.write_whole(tmp_path / "b", b"0123456789" * 3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == b"0123456789" * 3


def test_what_a_full_disk_took_piece_by_piece_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a line that was written in several pieces none is left."""
    path = tmp_path / "session.jsonl"
    storage.append(path, b"first line\n")
    write, room = os.write, [7, 5, 3]

    def fills(file: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, bytes(data[: room.pop()]))

    monkeypatch.setattr(os, "write", fills)
    with pytest.raises(CassetteError, match="No space left on device"):
        storage.append(path, b"0123456789" * 3)
    assert path.read_bytes() == b"first line\n"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressed_pieces_can_be_appended(tmp_path: Path, compression: Compression) -> None:
    """Each piece is a gzip member or zstd frame of its own; equal data gives equal bytes."""
    path = tmp_path / "a"
    for number in (1, 2, 3):
        storage.append(path, storage.compress(lines([a_span(number)]), compression))
    assert [span.span_id[-1] for span in read_data(tmp_path / "copy", path.read_bytes())] == ["1", "2", "3"]
    assert storage.compress(b"x" * 999, compression) == storage.compress(b"x" * 999, compression)


# The latest lane


def test_latest_leads_to_the_newest_lane(tmp_path: Path) -> None:
    """A relative link, replaced without a trace; the directory can be moved."""
    directory = tmp_path / "cassettes"
    for name in ("one", "two"):
        path = directory / "2023-11-14" / "22" / f"{name}.jsonl"
        storage.write_whole(path, name.encode())
        storage.point_latest(directory, path)
    moved = directory.rename(tmp_path / "moved")
    assert (moved / "latest.jsonl").read_bytes() == b"two"
    assert everything(moved) == ["2023-11-14", "22", "latest.jsonl", "one.jsonl", "two.jsonl"]


def test_a_link_left_behind_does_not_stop_the_next(tmp_path: Path) -> None:
    """A process was killed between making the link and renaming it."""
    path = tmp_path / "a.jsonl"
    storage.write_whole(path, b"x")
    (tmp_path / ".a.jsonl.link").symlink_to("nowhere")
    storage.point_latest(tmp_path, path)
    assert (tmp_path / "latest.jsonl").read_bytes() == b"x"


def test_without_links_latest_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some filesystems know no symbolic links."""

    def refuse(_target: str, _link: str) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    path = tmp_path / "a" / "b" / "c.jsonl"
    storage.write_whole(path, b"x")
    storage.point_latest(tmp_path, path)
    assert (tmp_path / "latest.jsonl").read_bytes() == b"x"
    assert not (tmp_path / "latest.jsonl").is_symlink()


def test_latest_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """A folder stands in its place; nothing is left behind."""
    (tmp_path / "latest.jsonl").mkdir()
    storage.write_whole(tmp_path / "a.jsonl", b"x")
    with pytest.raises(CassetteError, match=r"latest\.jsonl: cannot be written"):
        storage.point_latest(tmp_path, tmp_path / "a.jsonl")
    assert everything(tmp_path) == ["a.jsonl", "latest.jsonl"]


def test_threads_that_point_latest_at_once_leave_one_link(tmp_path: Path) -> None:
    """One of them wins, and none fails."""
    paths = [tmp_path / f"{number}.jsonl" for number in range(8)]
    failures: list[CassetteError] = []

    def work(path: Path) -> None:
        storage.write_whole(path, b"x")
        for _ in range(30):
            try:
                storage.point_latest(tmp_path, path)
            except CassetteError as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert (tmp_path / "latest.jsonl").resolve() in paths
    assert len(everything(tmp_path)) == 9


def test_latest_leads_to_what_began_last(tmp_path: Path) -> None:
    """A script that has ended is the latest, but for lanes that were written while it ran."""
    lane, script = tmp_path / "lane.jsonl", tmp_path / "script.jsonl"
    for path in (lane, script):
        path.write_bytes(b"{}\n")
    began = lane.stat().st_mtime_ns
    storage.point_latest(tmp_path, script, began=began)
    assert (tmp_path / "latest.jsonl").resolve() == script
    storage.point_latest(tmp_path, lane)
    storage.point_latest(tmp_path, script, began=began)
    assert (tmp_path / "latest.jsonl").resolve() == lane
    storage.point_latest(tmp_path, script, began=began + 1)
    assert (tmp_path / "latest.jsonl").resolve() == script
