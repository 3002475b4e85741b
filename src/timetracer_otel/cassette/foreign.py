"""Messages for files that hold no OTLP traces: what the file probably is, and what to do."""

from __future__ import annotations

from itertools import islice
from os import PathLike
from typing import Any, Final

from timetracer_otel.cassette.framing import TracesMessage, read_messages
from timetracer_otel.errors import CassetteError

__all__ = ["not_json", "not_traces"]

_HEAD: Final = 40
"""How many lines of a file tell what it is."""
_TIMETRACER_1: Final = "looks like a cassette of timetracer 1.x, which is not OTLP: `timetracer import` converts it"


def not_json(message: TracesMessage, path: str | PathLike[str], error: ValueError) -> str:
    """Say why a message that should be is not JSON.

    Args:
        message: the line or message.
        path: its file.
        error: what the JSON parser said.
    """
    line = message.data
    if not _is_text(line):
        return (
            "is binary, and neither OTLP JSON lines nor what a collector's file exporter writes with `format: proto`: "
            "the file is damaged, or is no cassette"
        )
    if _spread(line, path, message.number):
        return _spread_over_lines(path)
    if line.startswith(b"{") and not line.endswith(b"}"):
        return (
            f"the line is cut short ({error}): its writer was stopped in the middle, or the copy is incomplete. "
            "Copy the file again, or delete this line to read the others; `timetracer import` takes the whole ones"
        )
    return f"is not JSON ({error}): the file is damaged, or is no cassette"


def not_traces(document: dict[str, Any]) -> str:
    """Say what a JSON object without spans looks like.

    Args:
        document: the object of one line.
    """
    for signal in ("Metrics", "Logs", "Profiles"):
        if f"resource{signal}" in document or f"resource_{signal.lower()}" in document:
            return f"holds OTLP {signal.lower()}, and a cassette is OTLP traces: export traces to a file of their own"
    if "schema_version" in document and "session" in document:
        return _TIMETRACER_1
    names = ", ".join(list(document)[:5])
    return f"is JSON without resourceSpans (it has {names[:200]}): this is no OTLP traces file"


def _is_text(line: bytes) -> bool:
    try:
        return "\0" not in line.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and b"\0" not in line  # text that is cut within a character


def _spread(line: bytes, path: str | PathLike[str], number: int) -> bool:
    """Whether the file is one JSON document over many lines."""
    return number == 1 and line in (b"{", b"[") and len(_head(path)) > 1


def _spread_over_lines(path: str | PathLike[str]) -> str:
    head = b"".join(_head(path))
    if b'"schema_version"' in head:
        return _TIMETRACER_1
    return "is one JSON document over several lines, and a cassette has one in each line: `jq -c .` makes it so"


def _head(path: str | PathLike[str]) -> list[bytes]:
    try:
        return [line.data for line in islice(read_messages(path), _HEAD)]
    except CassetteError:  # the caller reports what is wrong with the first line; this was a second look
        return []
