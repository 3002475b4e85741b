"""The standard streams, watched: what a script reads from stdin, and writes to stdout and stderr.

A recording and a verification look at the same places, so that they see the same: what goes through Python's streams,
and ``os.read`` and ``os.write``. What another program writes to the same terminal or pipe is seen by neither.

The streams stay the objects that they are, with the descriptors that they have: methods of the binary layer are
shadowed, which text passes too. Output is looked at above the buffer's lock, where a signal handler may print. Input
is looked at below its buffer, because ``for line in sys.stdin.buffer`` calls no method; nothing is read that the
program does not read.
"""

from __future__ import annotations

import builtins
import errno
import hashlib
import io
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import partial, wraps
from typing import Any, Final, TypeAlias

from timetracer_otel import spans
from timetracer_otel.seams import faults

__all__ = ["KEPT_BYTES", "Passed", "Reader", "Seen", "flush", "watch"]

Seen: TypeAlias = Callable[[str, bytes], None]
"""Takes the attribute that the bytes of a stream go into, and bytes that passed. It may not raise."""

KEPT_BYTES: Final = {
    spans.SESSION_STDIN: 64 * 1024 * 1024,  # a replay cannot do without it
    spans.SESSION_STDOUT: 8 * 1024 * 1024,
    spans.SESSION_STDERR: 8 * 1024 * 1024,
}
"""How much of each stream is kept; of more, the length and a hash of all."""

_STREAMS: Final = (spans.SESSION_STDIN, spans.SESSION_STDOUT, spans.SESSION_STDERR)
"""By their descriptor."""


class Reader:
    """The reader of stdout, such as ``head``: it may leave before the script has printed all. A recording keeps when.

    Args:
        leaves: where it left then, as :attr:`left` gives it; empty when it stayed.
    """

    def __init__(self, leaves: str = "") -> None:
        self.left = ""
        """The method that failed, and how many bytes had passed, such as ``write 8192``."""
        self._leaves = leaves
        self._passed = 0

    def around(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Look at a method of the stream, which fails where it did then.

        Args:
            name: of the method.
            method: it.
        """

        def looking(*arguments: Any) -> Any:
            if self._leaves == f"{name} {self._passed}":
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
            try:
                result = method(*arguments)
            except BrokenPipeError:
                self.left = self.left or f"{name} {self._passed}"
                raise
            if name == "write":
                self._passed += result or 0
            return result

        return looking


class Passed:
    """Keeps the bytes that passed through the streams of one process, up to a limit."""

    def __init__(self) -> None:
        self._kept: dict[str, list[bytes]] = {name: [] for name in _STREAMS}
        self._sizes = dict.fromkeys(_STREAMS, 0)
        self._hashes = {name: hashlib.sha256() for name in _STREAMS}
        self.reader = Reader()
        self._terminals = _terminals()  # now: a program may close its streams
        self._terminal = _terminal() if self._terminals else ""

    def add(self, name: str, data: bytes) -> None:
        """Take bytes that passed.

        Args:
            name: the stream's attribute.
            data: the bytes.
        """
        room = KEPT_BYTES[name] - self._sizes[name]
        if room > 0:
            self._kept[name].append(data[:room])
        self._sizes[name] += len(data)
        self._hashes[name].update(data)

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return sum(min(size, KEPT_BYTES[name]) for name, size in self._sizes.items())

    def kept(self, name: str) -> bytes:
        """Give what is kept of a stream.

        Args:
            name: the stream's attribute.
        """
        return b"".join(self._kept[name])

    def attributes(self) -> dict[str, spans.Attribute]:
        """Give the attributes for the span of a session or a command; stdin has none when nothing was read."""
        told: dict[str, spans.Attribute] = {}
        if self._terminals:
            told[spans.SESSION_TERMINALS] = self._terminals
            told[spans.SESSION_TERMINAL] = self._terminal
        if self.reader.left:
            told[spans.SESSION_READER_LEFT] = self.reader.left
        for name, kept in self._kept.items():
            if name == spans.SESSION_STDIN and not self._sizes[name]:
                continue
            told |= spans.encode_payload(name, kept)
            if self._sizes[name] > KEPT_BYTES[name]:
                told[name + spans.TOTAL] = self._sizes[name]
                told[name + spans.SHA256] = self._hashes[name].hexdigest()
        return told


def _terminals() -> list[str]:
    return [name.rpartition(".")[2] for number, name in enumerate(_STREAMS) if _is_terminal(number)]


def _terminal() -> str:
    number = next((number for number in (1, 2, 0) if _is_terminal(number)), 0)
    size = os.get_terminal_size(number)
    return f"{os.environ.get('TERM', 'dumb')} {size.columns}x{size.lines}"


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _is_open(descriptor: int) -> bool:
    """Whether a descriptor is a stream's: one that was closed before we came is soon that of another file."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def flush() -> bool:
    """Let text that waits in the streams pass, at the end: Python would flush them in a moment, unseen.

    Returns:
        Whether it could; where not, Python ends with a status of its own.
    """
    flushed = True
    for stream in (sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__):
        if type(stream) is io.TextIOWrapper:  # what the app put there may do anything when it is flushed
            try:
                stream.flush()
            except OSError:  # its reader has left: Python finds that again, and says it
                flushed = False
            except ValueError:  # it is closed
                continue
    return flushed


def watch(seen: Seen, reader: Reader) -> Callable[[], None]:
    """Look at what passes, from now on.

    Args:
        seen: gets it. Of what failed it gets nothing.
        reader: of stdout.

    Returns:
        What ends it.
    """
    undo = ExitStack()
    for name, stream in zip(_STREAMS, (sys.stdin, sys.stdout, sys.stderr), strict=True):
        buffer = getattr(stream, "buffer", None)
        if buffer is None:
            continue
        if name == spans.SESSION_STDIN:
            raw = getattr(buffer, "raw", buffer)
            _shadow(undo, raw, "readinto", partial(_reading_into, seen=seen))
            for method in ("read", "readall"):
                _shadow(undo, raw, method, partial(_reading, seen=seen))
        else:
            _shadow(undo, buffer, "write", partial(_writing, seen=seen, name=name))
        if name == spans.SESSION_STDOUT:
            for method in ("write", "flush"):
                _shadow(undo, buffer, method, partial(reader.around, method))
    names = {number: name for number, name in enumerate(_STREAMS) if _is_open(number)}
    _replace(undo, os, "write", lambda write: _writing_descriptor(write, seen, names))
    if 0 in names:
        _replace(undo, os, "read", lambda read: _reading_descriptor(read, seen))
    if _is_terminal(0):
        _replace(undo, builtins, "input", lambda typed: _typing(typed, seen))
    return undo.close


def _shadow(undo: ExitStack, stream: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Let an object's own attribute stand before the method of its class."""
    method = getattr(stream, name, None)
    if method is None or not hasattr(stream, "__dict__"):  # such as the buffer that an app put in its place
        return
    below = stream.__dict__.get(name)  # of another watch
    shadow = make(method)
    try:
        setattr(stream, name, shadow)
    except AttributeError as error:
        faults.report("session.streams", error)
        return
    undo.callback(_unshadow, stream, name, shadow, below)


def _unshadow(stream: object, name: str, shadow: object, below: object) -> None:
    if getattr(stream, "__dict__", {}).get(name) is shadow:
        if below is not None:
            setattr(stream, name, below)
            return
        with suppress(AttributeError):  # by another thread meanwhile
            delattr(stream, name)


def _replace(undo: ExitStack, module: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(module, name)
    replacement = wraps(original)(make(original))
    setattr(module, name, replacement)

    def restore() -> None:
        if getattr(module, name) is replacement:
            setattr(module, name, original)

    undo.callback(restore)


def _writing(write: Callable[[Any], Any], seen: Seen, name: str) -> Callable[[Any], Any]:
    def writing(data: Any, /) -> Any:
        written = write(data)
        if written:
            seen(name, bytes(data)[:written])
        return written

    return writing


def _reading(read: Callable[..., Any], seen: Seen) -> Callable[..., Any]:
    def reading(*size: Any) -> Any:
        data = read(*size)
        if data:
            seen(spans.SESSION_STDIN, data)
        return data

    return reading


def _reading_into(readinto: Callable[[Any], Any], seen: Seen) -> Callable[[Any], Any]:
    def reading(buffer: Any, /) -> Any:
        count = readinto(buffer)
        if count:
            seen(spans.SESSION_STDIN, bytes(memoryview(buffer).cast("B")[:count]))
        return count

    return reading


def _writing_descriptor(
    write: Callable[[int, Any], int], seen: Seen, names: Mapping[int, str]
) -> Callable[[int, Any], int]:
    def writing(descriptor: int, data: Any, /) -> int:
        written = write(descriptor, data)
        if descriptor in names:
            seen(names[descriptor], bytes(data)[:written])
        return written

    return writing


def _reading_descriptor(read: Callable[[int, int], bytes], seen: Seen) -> Callable[[int, int], bytes]:
    def reading(descriptor: int, length: int, /) -> bytes:
        data = read(descriptor, length)
        if descriptor == 0 and data:
            seen(spans.SESSION_STDIN, data)
        return data

    return reading


def _typing(typed: Callable[..., str], seen: Seen) -> Callable[..., str]:
    """At a terminal ``input`` goes past the streams, to the line editor."""

    def typing(*prompt: object) -> str:
        past = _is_past_streams()
        line = typed(*prompt)
        if past:
            seen(spans.SESSION_STDIN, f"{line}\n".encode("utf-8", "surrogateescape"))
        return line

    return typing


def _is_past_streams() -> bool:
    """Whether ``input`` uses the line editor: both streams are what they were, and terminals (builtin_input_impl)."""
    try:
        return sys.stdin.fileno() == 0 and sys.stdout.fileno() == 1 and _is_terminal(0) and _is_terminal(1)
    except (AttributeError, OSError, ValueError):
        return False
