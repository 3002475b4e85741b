"""``timetracer search``: a text in what lanes hold, decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from timetracer_otel.cli import describing
from timetracer_otel.cli.output import console, one_line
from timetracer_otel.cli.progress import with_progress
from timetracer_otel.errors import CassetteError

__all__ = ["Found", "print_found", "search"]

_AROUND: Final = 40
"""Characters that are shown on either side of what was found."""
_NOT_SEARCHED: Final = frozenset({"file", "offset_ms", "duration_ms", "scope", "start"})


@dataclass(frozen=True, slots=True)
class Found:
    """One place where the text stands.

    Attributes:
        lane: what was recorded, as :func:`describing.describe` gives it.
        span: the name of the span; empty when it is the request or the response of the lane itself.
        where: which part of it, such as ``request.filter.email``.
        text: what stands around it there.
    """

    lane: dict[str, Any]
    span: str
    where: str
    text: str

    def as_json(self) -> dict[str, Any]:
        """The place as data."""
        lane = {name: self.lane[name] for name in ("lane_id", "method", "target", "status", "start", "file")}
        return {**lane, "span": self.span, "where": self.where, "text": self.text}


def search(files: list[Path], wanted: str, left_out: list[CassetteError]) -> Iterator[Found]:
    """Look for a text, in any case of its letters, a file at a time.

    Args:
        files: the cassettes.
        wanted: the text; it may not be empty.
        left_out: gets the errors of files that cannot be read.
    """
    wanted = wanted.casefold()
    for file in with_progress(files, len(files), "searching"):
        try:
            lanes = describing.describe([file])["lanes"]
        except CassetteError as error:
            left_out.append(error.with_traceback(None))
            continue
        for lane in lanes:
            yield from _in_lane(lane, wanted)


def _in_lane(lane: dict[str, Any], wanted: str) -> Iterator[Found]:
    spans = lane["spans"]
    own = {name: value for name, value in lane.items() if name not in {"spans", "resource"}}
    for name, holder in [("", own), *((str(span["name"]), span) for span in spans)]:
        for where, text in _texts(holder, ""):
            if (at := text.casefold().find(wanted)) >= 0:
                yield Found(lane, name, where, _around(text, at, len(wanted)))


def _texts(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text and number in JSON-like data, and where it stands."""
    waiting = [(where, value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, dict):
            items = [(f"{path}.{name}" if path else str(name), held) for name, held in one.items()]
            waiting += [item for item in reversed(items) if item[0] not in _NOT_SEARCHED]
        elif isinstance(one, list):
            waiting += [(f"{path}[{number}]", held) for number, held in reversed(list(enumerate(one)))]
        elif isinstance(one, str):
            yield path, one
        elif one is not None:
            yield path, json.dumps(one)


def _around(text: str, at: int, length: int) -> str:
    start, end = max(at - _AROUND, 0), at + length + _AROUND
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def print_found(found: Found) -> None:
    """Print a place, a line of its own.

    Args:
        found: from :func:`search`.
    """
    lane = found.lane
    line = Text.assemble((one_line(describing.title(lane)), "bold"), "  ", (lane["lane_id"], "dim"), "  ")
    if found.span:
        line.append(one_line(found.span), "cyan").append("  ")
    line.append(f"{one_line(found.where)}: ", "dim").append(one_line(found.text))
    console().print(line, soft_wrap=True)
