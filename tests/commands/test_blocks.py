"""``timetracer_otel.command``: what each block and function leaves behind, and what it does to the program."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import timetracer_otel
from timetracer_otel import spans, testing
from timetracer_otel.cassette import loading, storage
from timetracer_otel.cassette.kinds import known
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.kinds import command as kind

COMMAND = known()["command"]


@contextmanager
def streams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Standard streams of files, as a process has them; not as a fixture, behind which pytest puts its own again."""
    (tmp_path / "in").write_bytes(b"first\nsecond\n")
    with (tmp_path / "in").open() as stdin, (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        for name, stream in (("stdin", stdin), ("stdout", out), ("stderr", err)):
            monkeypatch.setattr(sys, name, stream)
        yield tmp_path
        monkeypatch.undo()


def recorded(folder: Path) -> list[Span]:
    """The commands of a recording, in order."""
    lanes = loading.load(storage.find([str(folder)], folder)).lanes
    return [lane.entry for lane in lanes if lane.entry is not None and COMMAND.reads(lane.entry.attributes)]


def arguments(entry: Span) -> object:
    """What a command was given."""
    return json.loads(entry.text(kind.ARGUMENTS) or "")


def test_a_block_has_its_streams_and_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is read and written inside is its own, what is around it is not."""
    with streams(monkeypatch, tmp_path), testing.record(tmp_path / "one"):
        print("before")
        with timetracer_otel.command("load", "--day", "mon", "--password=hunter2", 7):
            print("loaded", sys.stdin.readline().strip())
            print("careful", file=sys.stderr)
            sys.stdout.flush()
            sys.stdout.buffer.write(b"\xff\x00")
        print("after")
    (entry,) = recorded(tmp_path / "one")
    assert COMMAND.label(entry.attributes) == ("COMMAND", "load")
    assert arguments(entry) == ["--day", "mon", "--password=[redacted]", 7]
    assert entry.payload(spans.SESSION_STDOUT) == b"loaded first\n\xff\x00"
    assert entry.payload(spans.SESSION_STDERR) == b"careful\n"
    assert (entry.payload(spans.SESSION_STDIN) or b"").startswith(b"first\n")
    assert COMMAND.status(entry.attributes) == 0
    assert (tmp_path / "out").read_bytes() == b"before\nloaded first\n\xff\x00after\n"


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (SystemExit(), 0, ""),
        (SystemExit(3), 3, "exit status 3"),
        (SystemExit("gone"), 1, "exit status 1"),
        (ValueError("x"), 1, "exit status 1"),
        (KeyboardInterrupt(), 130, "exit status 130 (SIGINT)"),
    ],
)
def test_an_end_is_a_status(error: BaseException, status: int, told: str, tmp_path: Path) -> None:
    """The exception goes on as it is; the command has the status that it would end a process with."""
    with testing.record(tmp_path / "one"), pytest.raises(type(error)) as raised, timetracer_otel.command("ends"):
        raise error
    (entry,) = recorded(tmp_path / "one")
    assert raised.value is error
    assert COMMAND.status(entry.attributes) == status
    assert COMMAND.told(entry.attributes) == told
    assert (spans.ERROR in entry.attributes) == bool(status)


def test_functions_are_commands(tmp_path: Path) -> None:
    """Plain ones and coroutines, with their arguments by name; they stay what they are."""

    @timetracer_otel.command("sync")
    def sync(day: str, **_secrets: str) -> str:
        """Doc."""
        return day

    @timetracer_otel.command
    async def fetch(number: int) -> int:
        await asyncio.sleep(0)
        return number

    async def both() -> tuple[int, int]:
        return await asyncio.gather(fetch(1), fetch(2))

    with testing.record(tmp_path / "one"):
        assert sync("mon", token="secret") == "mon"
        assert tuple(asyncio.run(both())) == (1, 2)
    assert sync.__doc__ == "Doc."
    found = {(entry.text(kind.NAME), entry.text(kind.ARGUMENTS)) for entry in recorded(tmp_path / "one")}
    assert found == {
        ("sync", '{"_secrets": {"token": "[redacted]"}, "day": "mon"}'),
        ("fetch", '{"number": 1}'),
        ("fetch", '{"number": 2}'),
    }


def test_threads_have_their_own_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two commands that run at once do not mix what they write by bytes."""
    both = threading.Barrier(2, timeout=60)

    def write(name: str) -> None:
        with timetracer_otel.command(name):
            both.wait()
            sys.stdout.buffer.write(name.encode())
            both.wait()

    with streams(monkeypatch, tmp_path), testing.record(tmp_path / "one"):
        threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    written = {entry.text(kind.NAME): entry.payload(spans.SESSION_STDOUT) for entry in recorded(tmp_path / "one")}
    assert written == {"a": b"a", "b": b"b"}


def test_one_inside_another_is_a_part_of_it(tmp_path: Path) -> None:
    """There is one lane."""
    with testing.record(tmp_path / "one"), timetracer_otel.command("outer"), timetracer_otel.command("inner"):
        pass
    assert [entry.text(kind.NAME) for entry in recorded(tmp_path / "one")] == ["outer"]


def test_without_a_recording_it_does_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The streams are not touched, and exceptions pass."""
    with streams(monkeypatch, tmp_path), timetracer_otel.command("off"):
        assert "write" not in sys.stdout.buffer.__dict__
    with pytest.raises(SystemExit), timetracer_otel.command("off"):
        sys.exit(2)


def test_the_streams_are_left_as_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither nested commands nor streams that the program replaces leave anything behind."""
    with streams(monkeypatch, tmp_path), testing.record(tmp_path / "one"):
        before = dict(sys.stdout.buffer.__dict__)
        with timetracer_otel.command("a"):
            pass
        assert dict(sys.stdout.buffer.__dict__) == before
        instead, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO())
        with timetracer_otel.command("b"):
            print("nowhere")
        sys.stdout = instead


def test_a_replayed_one_follows_its_lane(tmp_path: Path) -> None:
    """That of its name and arguments, in recorded order; one that was not recorded is told."""
    with testing.record(tmp_path / "one"):
        for day in ("mon", "tue", "mon"):
            with timetracer_otel.command("sync", day):
                pass
    with testing.replay(tmp_path / "one") as replay:
        for day in ("tue", "mon", "mon", "wed"):
            with timetracer_otel.command("sync", day):
                pass
    outcome = replay.outcome()
    assert (outcome.lanes, outcome.followed) == (4, 3)
    assert [request for request, _ in outcome.strangers] == ["COMMAND sync"]
