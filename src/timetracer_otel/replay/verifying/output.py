"""The output of a script's processes, recorded and now."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from timetracer_otel import spans
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.replay.accepting.outcomes import OF_CHILDREN
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.values import FieldDifference
from timetracer_otel.replay.journal import Children

__all__ = ["Printed", "compare_printed"]


class Printed:
    """The output of each process of a replay, from the notes.

    Attributes:
        children: that were started.
    """

    def __init__(self) -> None:
        self.children = Children()
        self._roots: list[int] = []
        self._ended: set[int] = set()
        self._pieces: dict[int, list[bytes]] = {}
        self._errors: dict[int, list[bytes]] = {}
        self._follows: dict[int, str] = {}

    def take(self, note: Mapping[str, Any]) -> None:
        """Take a note of any kind."""
        self.children.take(note)
        match note["what"]:
            case "process":
                self._roots += [note["pid"]] if note["root"] else []
                self._follows[note["pid"]] = note["follows"]
            case "process_end":
                self._ended.add(note["pid"])
            case "printed":
                pieces = self._pieces if note["stream"] == spans.SESSION_STDOUT else self._errors
                pieces.setdefault(note["pid"], []).append(note["data"].encode("latin-1"))

    def of_root(self) -> bytes:
        """Give the output of the command's own process."""
        return b"".join(self._pieces.get(self._roots[0], ())) if self._roots else b""

    def errors_of_root(self) -> bytes:
        """Give what the command's own process wrote to stderr."""
        return b"".join(self._errors.get(self._roots[0], ())) if self._roots else b""

    def by_session(self) -> dict[str, bytes]:
        """Give the output of each process that came to its end, by the recorded session that it follows."""
        return {self._follows.get(pid, ""): b"".join(self._pieces.get(pid, ())) for pid in self._ended}

    def some_were_killed(self) -> bool:
        """Whether one of the others had printed something and did not come to its end, as when its pool ends it."""
        return any(pid not in self._roots[:1] and pid not in self._ended for pid in self._pieces)

    def of_children(self) -> Iterator[bytes]:
        """Give the output of each other process that came to its end: a recording knows nothing of killed ones."""
        for pid, pieces in self._pieces.items():
            if pid not in self._roots[:1] and pid in self._ended:
                yield b"".join(pieces)


def compare_printed(family: Sequence[Lane], own: Callable[[Lane], Span | None], now: Printed) -> Iterator[Difference]:
    """Compare stdout: of the script's own process as it is; of its children each line, whichever printed it.

    Not where one was killed. Of a command that is an entry stderr is compared, too: of its own process.

    Args:
        family: the sessions of the recorded processes, the script's own first.
        own: gives the span that says it.
        now: what was printed now.

    Raises:
        CassetteError: what was recorded is damaged.
    """
    ends = list(map(own, family))
    mains, root = [span for span in ends if span is not None], ends[0]
    if root is not None:
        yield from _compared(root, now.of_root(), spans.SESSION_STDOUT)
        if root.is_process:
            yield from _compared(root, now.errors_of_root(), spans.SESSION_STDERR)
    if any(spans.SESSION_STDOUT + spans.TOTAL in span.attributes for span in mains):
        return  # of what was not kept, lines cannot be told apart
    if None in ends[1:] or now.some_were_killed():
        return  # which of them is killed in time not to say what it printed is chance
    recorded = _lines(span.payload(spans.SESSION_STDOUT) or b"" for span in mains if span is not root)
    live = _lines(now.of_children())
    if recorded != live:
        yield Difference("output", OF_CHILDREN, (_first_of(recorded, live),))


def _lines(texts: Iterator[bytes]) -> Counter[bytes]:
    return Counter(line for text in texts for line in text.splitlines(keepends=True))


def _first_of(recorded: Counter[bytes], live: Counter[bytes]) -> FieldDifference:
    gone, new = (
        next(iter(one - other), b"").decode("utf-8", "replace") for one, other in ((recorded, live), (live, recorded))
    )
    return FieldDifference("a line", gone or None, new or None)


def _compared(recorded: Span, now: bytes, stream: str) -> Iterator[Difference]:
    written, name = recorded.payload(stream), stream.rpartition(".")[2]
    if written is None:
        return
    total = recorded.attributes.get(stream + spans.TOTAL)
    if total is None:
        if written != now:
            yield Difference("output", name, (_first_difference(written, now),))
    elif written != now[: len(written)]:
        yield Difference("output", name, (_first_difference(written, now[: len(written)]),))
    elif (total, recorded.text(stream + spans.SHA256)) != (len(now), hashlib.sha256(now).hexdigest()):
        yield Difference(
            "output", f"{name} behind its first {len(written)} bytes", (FieldDifference("bytes", total, len(now)),)
        )


def _first_difference(recorded: bytes, live: bytes) -> FieldDifference:
    mine, theirs = (side.decode("utf-8", "backslashreplace").splitlines(keepends=True) for side in (recorded, live))
    for number, (one, other) in enumerate(zip(mine, theirs, strict=False), start=1):
        if one != other:
            ends = one.splitlines() != other.splitlines()
            return FieldDifference(f"line {number}", *(text.splitlines()[0] if ends else text for text in (one, other)))
    return FieldDifference("lines", len(mine), len(theirs))
