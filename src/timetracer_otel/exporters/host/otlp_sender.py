"""Large payloads on their way out by the host's exporters: chunk spans, made by a thread, within a budget of bytes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from opentelemetry import trace
from opentelemetry.context import Context

from timetracer_otel import spans
from timetracer_otel.exporters.host.backlog import Waiting
from timetracer_otel.seams import Call, faults

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

__all__ = ["ATTRIBUTE", "BUDGET", "Leaving"]

Attributes: TypeAlias = dict[str, spans.Attribute]

_log = logging.getLogger("timetracer_otel")

ATTRIBUTE: Final = 256 * 1024
"""Bytes of one attribute at most. A message of 4 MiB then holds a dozen of the largest spans, one of Kafka's default
1 MB holds two, and backends that index or keep attributes in one piece are not asked for more than they take."""
BUDGET: Final = 256 * 1024 * 1024
"""Bytes that may wait, here and in the queues of the host's exporters."""
HIGH: Final = 16 * 1024 * 1024
"""Bytes in those queues from which on they are told to send: by themselves they count spans, not bytes."""
SMALL: Final = 4 * 1024
"""Payloads up to here always leave: the queues are bounded by number of spans."""
SOON_SECONDS: Final = 0.1
"""Until a span that has ended is sent, unless the user has set a delay."""
SAY_SECONDS: Final = 60.0
"""Between two log lines about payloads that were left out."""


class Leaving:
    """Sends large payloads beside the spans that they belong to.

    Args:
        tracer: makes the spans of the chunks.
        waiting: what the host's exporters hold.
        flush: has them send what they hold; blocks meanwhile.
        longest: characters that an attribute may have, when the host limits them.
        budget: bytes that may wait; what comes on top is left out whole and counted.
    """

    def __init__(
        self,
        tracer: Tracer,
        waiting: Waiting,
        flush: Callable[[], None],
        longest: int | None = None,
        budget: int = BUDGET,
    ) -> None:
        self._tracer = tracer
        self._waiting = waiting
        self._flush = flush
        # A multiple of four characters of base64 is whole bytes.
        self._limit = None if longest is None else max(4, longest - longest % 4)
        self._longest = ATTRIBUTE if self._limit is None else min(ATTRIBUTE, self._limit)
        self._budget = budget
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self.left_out = 0
        """Payloads that there was no room for."""
        self._said = -SAY_SECONDS
        self._work: deque[tuple[int, Callable[[], None]]] = deque()
        self._bytes = 0
        self._awake = False
        self._due: float | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def lighten(self, parent: Span, attributes: Attributes) -> Attributes:
        """Take what is too large for one attribute out; it leaves in chunk spans.

        Args:
            parent: the span that the reader folds them into.
            attributes: to be put on a span, encoded by :func:`spans.encode_payload`.

        Returns:
            What remains to be put on the span: the same mapping when nothing is large.
        """
        sized = [name for name, value in attributes.items() if type(value) is str and len(value) > SMALL]
        for name in sized:
            if name + ".size" in attributes:
                attributes = self._lightened(parent, attributes, name)
        return attributes

    def _lightened(self, parent: Span, attributes: Attributes, name: str) -> Attributes:
        size = len(cast("str", attributes[name]))
        if size <= self._longest:
            if self._has_room(size):
                return attributes
            return {**_without(attributes, name), spans.LOST: True}
        rest, chunks = _parted(attributes, name, self._longest)
        return rest if self.submit(parent, chunks, size) else {**_without(attributes, name), spans.LOST: True}

    def complete(self, call: Call) -> None:
        """Put the payloads of a call on its span, which is open still.

        Args:
            call: that has them all, or all that there are so far.
        """
        attributes = call.encoded()
        if spans.INCOMPLETE in (call.span.attributes or ()):
            attributes.setdefault(spans.INCOMPLETE, "")  # set while the payload was on its way; none can be removed
        call.span.set_attributes(dict(self.lighten(call.span, attributes)))

    def send_entry(self, entry: Span, attributes: Attributes) -> None:
        """Send what an entry's seam saw: in a child span, because the entry's may have ended.

        Args:
            entry: the entry's span.
            attributes: encoded.
        """
        part = self._tracer.start_span("timetracer.entry", context=trace.set_span_in_context(entry))
        part.set_attributes({**self.lighten(entry, attributes), spans.PART: "entry"})
        part.end()

    def submit(self, parent: Span, chunks: Callable[[], Iterable[Attributes]], size: int) -> bool:
        """Send chunks of a payload, by the thread.

        Args:
            parent: the span that the reader folds them into.
            chunks: gives the attributes of one chunk span after the other.
            size: bytes that wait meanwhile.

        Returns:
            False when there is no room for them; that is counted.
        """
        now = time.time_ns()
        with self._changed:
            if not self._has_room(size):
                return False
            self._bytes += size
            self._work.append((size, partial(self._send, parent, chunks, now)))
            self._notify()
        self._start()
        return True

    def wake(self) -> None:
        """Have the thread look at what the host's exporters hold."""
        if self._waiting.total() > HIGH:
            with self._changed:
                self._notify()
            self._start()

    def soon(self) -> None:
        """Have what the host's exporters hold sent soon: they wait for five seconds, and a process can be killed."""
        if self._due is None:
            with self._changed:
                self._due = time.monotonic() + SOON_SECONDS
                self._changed.notify_all()
            self._start()

    def send_all(self, timeout: float) -> None:
        """Have everything sent, chunks that wait included.

        Args:
            timeout: seconds to wait for the chunks.
        """
        self.drain(timeout)
        self._flush()

    def drain(self, timeout: float) -> bool:
        """Wait until all chunks are in the hands of the host's exporters.

        Args:
            timeout: seconds.

        Returns:
            Whether they were in time.
        """
        with self._changed:
            return self._changed.wait_for(lambda: not self._bytes, timeout)

    def _has_room(self, size: int) -> bool:
        if self._bytes + self._waiting.total() + size <= self._budget:
            return True
        self.left_out += 1
        if time.monotonic() - self._said >= SAY_SECONDS:
            self._said = time.monotonic()
            _log.warning(
                "timetracer left the payload out of %d span(s): %d MB wait for the exporters of this process, which "
                "do not keep up. Those calls cannot be replayed; this is said once a minute",
                self.left_out,
                self._budget >> 20,
            )
        return False

    def _notify(self) -> None:
        self._awake = True
        self._changed.notify_all()

    def _start(self) -> None:
        """Start the thread, without the lock, as :class:`Sink` does."""
        with self._changed:
            if self._thread is not None:
                return
            thread = self._thread = threading.Thread(target=self._run, name="timetracer-chunks", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no memory for its stack: the next payload tries again
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._changed:
                size, send = self._next()
            try:
                send()
            except Exception as error:  # noqa: BLE001 - recording never breaks the app
                faults.report("leaving.send", error)
            finally:
                with self._changed:
                    self._bytes -= size
                    self._changed.notify_all()

    def _next(self) -> tuple[int, Callable[[], None]]:
        """Wait for what is to be done next, and take it: what is due, a payload, a look at what waits."""
        while True:
            left = None if self._due is None else self._due - time.monotonic()
            if left is not None and left <= 0:
                self._due = None
                return 0, self._flush
            if self._work or self._awake:
                self._awake = False
                return self._work.popleft() if self._work else (0, self._relieve)
            self._changed.wait(left)

    def _send(self, parent: Span, chunks: Callable[[], Iterable[Attributes]], now: int) -> None:
        context = trace.set_span_in_context(parent, Context())
        for attributes in chunks():
            span = self._tracer.start_span("timetracer.chunk", context=context, start_time=now)
            name, pieces = str(attributes[spans.PART_OF]), None
            # A body that streams is cut without a look at the host's limit.
            if self._limit is not None and len(str(attributes[name])) > self._limit:
                attributes, pieces = _parted(attributes, name, self._limit)  # noqa: PLW2901 - what remains of it
            span.set_attributes({spans.PART: "chunk", **attributes})
            span.end(now)
            self._relieve()
            if pieces is not None:
                self._send(span, pieces, now)

    def _relieve(self) -> None:
        if self._waiting.total() > HIGH:
            self._flush()


def _without(attributes: Attributes, name: str) -> Attributes:
    return {key: value for key, value in attributes.items() if key not in {name, name + ".codec", name + ".size"}}


def _parted(attributes: Attributes, name: str, longest: int) -> tuple[Attributes, Callable[[], Iterator[Attributes]]]:
    """Part a payload: what remains of the attributes, and what gives its chunks."""
    text, codec = cast("str", attributes[name]), str(attributes[name + ".codec"])
    step = longest if text.isascii() else longest // 4  # of UTF-8, four bytes a character at most
    rest = {**_without(attributes, name), name + spans.PARTS: -(-len(text) // step)}
    return rest, partial(_chunks, name, text, codec, step)


def _chunks(name: str, text: str, codec: str, step: int) -> Iterator[Attributes]:
    for number, start in enumerate(range(0, len(text), step)):
        piece = text[start : start + step]
        yield {
            spans.PART_OF: name,
            spans.PART_INDEX: number,
            name: piece,
            name + ".codec": codec,
            name + ".size": _bytes_of(piece, codec),
        }


def _bytes_of(piece: str, codec: str) -> int:
    """How many bytes a piece of an encoded payload stands for; base64 is cut at multiples of four characters."""
    if codec == "base64":
        return len(piece) // 4 * 3 - piece[-2:].count("=")
    return len(piece) if piece.isascii() else len(piece.encode("utf-8"))
