"""What is shown while a command reads for long."""

from __future__ import annotations

import gzip
import io
import sys
import time
from pathlib import Path

import pytest

from timetracer_otel.cassette import files
from timetracer_otel.cli import progress


class Terminal(io.StringIO):
    """A stderr that somebody looks at."""

    def isatty(self) -> bool:
        """As it is."""
        return True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of 1,000 bytes."""
    file = tmp_path / "x"
    file.write_bytes(b"x" * 1000)
    return file


def until_shown(terminal: Terminal, text: str) -> None:
    """Wait for a text on the terminal."""
    end = time.monotonic() + 60
    while text not in terminal.getvalue():
        assert time.monotonic() < end, terminal.getvalue()
        time.sleep(0.01)


def test_a_bar_tells_how_much_was_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First of the files' sizes; behind their end that something is done still; nothing stays."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    with progress.while_reading([file, file.parent / "gone"]):
        until_shown(terminal, "reading")
        until_shown(terminal, "/1.0 kB")
        with files.opened(file) as stream:
            stream.read()
        until_shown(terminal, "working")
    assert "\x1b[2K" in terminal.getvalue()


def test_nothing_is_drawn_for_a_pipe(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread is started either."""
    nobody = io.StringIO()
    monkeypatch.setattr(sys, "stderr", nobody)
    monkeypatch.setattr(progress, "_draw", None)
    with progress.while_reading([file]):
        pass
    assert not nobody.getvalue()


def test_what_was_read_is_counted_as_it_lies_there(file: Path, tmp_path: Path) -> None:
    """Compressed bytes, those of files that are open and those of files that are closed, also when the reader fails."""
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    before = files.bytes_read()
    with files.opened(packed) as stream:
        assert stream.read() == file.read_bytes()
        inside = files.bytes_read() - before
    assert inside == packed.stat().st_size == files.bytes_read() - before
    with pytest.raises(ZeroDivisionError), files.opened(file) as stream:
        stream.read(1 // 0)
    assert not files._being_read


def test_what_is_quickly_done_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a cursor is hidden; what takes longer has a bar that is gone at the end."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.with_progress("ab", 2, "reading")) == ["a", "b"]
    assert not terminal.getvalue()
    monkeypatch.setattr(progress, "_PATIENCE", 0)
    monkeypatch.setattr(progress, "_LOOK", 0)
    assert list(progress.with_progress("ab", 2, "reading")) == ["a", "b"]
    assert "reading" in terminal.getvalue()
    assert "\x1b[2K" in terminal.getvalue()
