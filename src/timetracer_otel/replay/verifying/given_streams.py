"""The standard streams that a script is given when it is verified: as they were when it was recorded."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from timetracer_otel import spans
from timetracer_otel.replay.verifying.process import Streams

__all__ = ["given_streams"]

_END: Final = b"\x04" * 8
"""A terminal takes this for the end of its input; it is repeated, because a program may ask again."""
_PIECE: Final = 1 << 16
_JOIN_SECONDS: Final = 5.0


@contextmanager
def given_streams(recorded: Mapping[str, object], stdin: bytes, log: Path) -> Iterator[Streams]:
    """Give a script its standard streams: a terminal where there was one, and what it read from stdin.

    Args:
        recorded: attributes of the session's own span.
        stdin: what it read.
        log: takes what comes out of a terminal.

    Yields:
        The descriptors; what is None goes to the log.
    """
    found = recorded.get(spans.SESSION_TERMINALS)
    terminals = [str(name) for name in found] if isinstance(found, list) else []
    with ExitStack() as stack:
        terminal = stack.enter_context(_terminal(recorded, stdin, log)) if terminals else -1
        given = stack.enter_context(_piped(stdin)) if stdin and "stdin" not in terminals else subprocess.DEVNULL
        yield (
            terminal if "stdin" in terminals else given,
            terminal if "stdout" in terminals else None,
            terminal if "stderr" in terminals else None,
        )


@contextmanager
def _piped(data: bytes) -> Iterator[int]:
    reading, writing = os.pipe()
    writer = threading.Thread(target=_feed, args=(writing, data), daemon=True)
    writer.start()
    try:
        yield reading
    finally:
        os.close(reading)  # if the script left the rest, the writer is told so
        writer.join(_JOIN_SECONDS)


def _feed(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    with suppress(OSError):  # it reads no more
        while rest:
            rest = rest[os.write(descriptor, rest[:_PIECE]) :]
    os.close(descriptor)


@contextmanager
def _terminal(recorded: Mapping[str, object], typed: bytes, log: Path) -> Iterator[int]:
    """A terminal of the recorded size, at which what was typed is typed again."""
    ours, theirs = pty.openpty()
    with suppress(ValueError):
        columns, lines = map(int, str(recorded.get(spans.SESSION_TERMINAL, "")).rpartition(" ")[2].split("x"))
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    reader = threading.Thread(target=_drain, args=(ours, log), daemon=True)
    writer = threading.Thread(target=_type, args=(ours, typed + _END), daemon=True)
    reader.start()
    writer.start()
    try:
        yield theirs
    finally:
        os.close(theirs)
        reader.join(_JOIN_SECONDS)
        os.close(ours)


def _drain(descriptor: int, log: Path) -> None:
    with log.open("ab") as file, suppress(OSError):  # nobody has it open any more
        while data := os.read(descriptor, _PIECE):
            file.write(data)
            file.flush()


def _type(descriptor: int, data: bytes) -> None:
    with suppress(OSError):  # it has ended
        for line in data.splitlines(keepends=True):
            os.write(descriptor, line)
