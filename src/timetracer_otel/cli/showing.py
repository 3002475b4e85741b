"""``timetracer show`` for people: what :mod:`describing` found, as headings and a tree of spans."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from timetracer_otel.cassette.skeletons import Bone
from timetracer_otel.cli.describing import DescribedLane
from timetracer_otel.cli.layout import laid_out
from timetracer_otel.cli.output import console, one_line, paragraph
from timetracer_otel.cli.plumbing import without_plumbing
from timetracer_otel.cli.style import milliseconds, size, status_style
from timetracer_otel.cli.styled import Printer, Styled
from timetracer_otel.integrations import named

__all__ = ["LONGEST", "print_call", "print_lanes"]

Json = dict[str, Any]

LONGEST: Final = 4_000_000
"""Bytes of a payload up to which it is read whole and decoded, to show its beginning."""
_LONGEST_TEXT: Final = 4000
_MOST_LINES: Final = 60
_LONGEST_PRETTY: Final = 1_000_000
"""Characters of a body up to which it is parsed to be laid out: beyond, only its beginning is shown anyway."""
_GLANCE: Final = 60
_INDENT: Final = "  "
_DEEPEST: Final = 24
"""Levels of the tree that are indented: a terminal has no room for more."""
_NARROWEST: Final = 20
"""Columns that a line of the tree has at least."""
_SHORTEST_ID: Final = 8
_HIDDEN: Final = ("timetracer.lane.id", "timetracer.plugin", "timetracer.error", "timetracer.incomplete")


def print_lanes(lanes: Sequence[DescribedLane], *, full: bool = False) -> None:
    """Print lanes and sessions.

    Args:
        lanes: from :func:`describing.lanes`.
        full: whether also what says how things travelled, and long payloads.
    """
    out, look = Printer(console()), _Look(full=full)
    for number, lane in enumerate(lanes):
        if number:
            out.print(Styled())
        _print_lane(out, lane, look)


def print_call(span: Json) -> None:
    """Print one span with everything that is known of it.

    Args:
        span: as :func:`describing.describe` gives it.
    """
    out, look = Printer(console()), _Look(full=True)
    for line in look.label(span, span["span_id"]):
        out.print(line)
    facts = {name: span[name] for name in ("start", "scope", "trace_id", "parent_id", "status")} | span["attributes"]
    for name, value in facts.items():
        if value not in (None, ""):
            out.print(Styled("  ", (f"{one_line(name)} ", "dim"), one_line(str(value))))
    for event in span["events"]:
        out.print(Styled("  ", ("event ", "dim"), f"{event['time']} {one_line(event['name'])}"))
        for name, value in event["attributes"].items():
            out.print(Styled(f"  {one_line(name)} {paragraph(str(value))}"), _INDENT)


def _print_lane(out: Printer, lane: DescribedLane, look: _Look) -> None:
    head = lane.head
    out.print(_title(head))
    for name, value in _facts(head):
        out.print(Styled((f"  {name:<11}", "dim"), one_line(str(value))))
    if head["kind"] == "session":
        for stream, payload in head["output"].items():
            look.print_section(out, stream, {"headers": [], "body": payload})
    else:
        for title in ("request", "response"):
            look.print_section(out, title, head[title])
    out.print(Styled(("spans", "bold")))
    ids = _short_ids(lane.bones)
    for bone, first, rest in _tree(lane.bones):
        lines = look.label(lane.span(bone), bone.span_id[:ids] if bone.is_call else "")
        _print_under(out, lines, first, rest)


def _print_under(out: Printer, lines: Iterator[Styled], first: str, rest: str) -> None:
    """Print the lines of a span behind the branches of the tree, those that are too long on several."""
    room = max(out.width - len(rest), _NARROWEST)
    before = first
    for line in lines:
        for part in out.wrapped(line, room):
            out.write(Styled((before, "dim")).extend(part))
            before = rest


def _short_ids(bones: Sequence[Bone]) -> int:
    """How many digits tell the calls of a lane from one another."""
    ids = [bone.span_id for bone in bones if bone.is_call]
    for digits in range(_SHORTEST_ID, max(map(len, ids), default=0)):
        if len({one[:digits] for one in ids}) == len(ids):
            return digits
    return max(map(len, ids), default=0)


def _title(lane: Json) -> Styled:
    words = Styled((one_line(lane["method"] or lane["kind"]), "bold"), " ", (one_line(lane["target"]), "bold cyan"))
    if lane["status"] is not None:
        words.append(f"  {lane['status']}", status_style(lane["kind"], lane["status"]))
    calls = f"{lane['calls']} {'call' if lane['calls'] == 1 else 'calls'}"
    return words.append(f"  {milliseconds(lane['duration_ms'])}  {calls}")


def _facts(lane: Json) -> Iterator[tuple[str, object]]:
    yield "start", lane["start"]
    yield "file", lane["file"]
    ids = ("session_id",) if lane["kind"] == "session" else ("lane_id", "trace_id", "session_id")
    for name in (*ids, "error", "incomplete"):
        if lane[name] is not None:
            yield name.removesuffix("_id"), lane[name]
    command = lane["resource"].get("process.command_args")
    if isinstance(command, list):
        yield "command", " ".join(map(str, command))


def _tree(bones: Sequence[Bone]) -> Iterator[tuple[Bone, str, str]]:
    """Spans under their parents, in order of start, each with what stands before its first line and before the others.

    One whose parent is not here, or is below itself, is at the top.
    """
    known = {bone.span_id for bone in bones}
    children: dict[str | None, list[Bone]] = {}
    for bone in bones:
        children.setdefault(bone.parent_id if bone.parent_id in known else None, []).append(bone)
    done: set[str] = set()
    for top in [*children.get(None, []), *bones]:
        waiting = [(top, "", "", 0)]
        while waiting:
            bone, first, rest, depth = waiting.pop()
            if bone.span_id in done:
                continue
            done.add(bone.span_id)
            yield bone, first, rest
            below = children.get(bone.span_id, [])
            indent = rest if 0 < depth < _DEEPEST or not depth else rest[:-4]
            for number, child in enumerate(reversed(below)):
                branch, line = ("├── ", "│   ") if number else ("└── ", "    ")
                waiting.append((child, indent + branch, indent + line, depth + 1))


class _Look:
    """How much is shown of what.

    Args:
        full: whether everything.
    """

    def __init__(self, *, full: bool) -> None:
        self._full = full

    def print_section(self, out: Printer, title: str, side: Json) -> None:
        hidden = 0
        if not self._full:
            side, hidden = without_plumbing(side)
        facts = [(name, str(value)) for name, value in side.items() if isinstance(value, str | int) and value != ""]
        pairs = [*facts, *side["headers"], *side.get("trailers", ())]
        body = side["body"]
        if not pairs and not body and not hidden:
            return
        out.print(_with_hidden(Styled((title, "bold")), hidden))
        for name, value in pairs:
            shown = Styled((one_line(name), "dim"), ": ").extend(self._shortened(one_line(value)))
            out.print(shown, _INDENT, wrap=True)
        if body and body.get("size") != 0:
            out.print(self._payload(body), _INDENT, wrap=True)

    def label(self, span: Json, short_id: str) -> Iterator[Styled]:
        """Give the lines of a span: what it is, then what was asked and told."""
        line = Styled((f"+{milliseconds(span['offset_ms'])} ", "dim"), (one_line(span["name"]), "bold"))
        line.append(f"  {milliseconds(span['duration_ms'])}  {span['kind']}", "dim")
        for mark, side in (("→", "request_size"), ("←", "response_size")):
            if span.get(side) is not None:
                line.append(f"  {mark} {size(span[side])}", "dim")
        if short_id:
            line.append(f"  {short_id}", "dim")
        if span["incomplete"]:
            line.append(f"  incomplete: {one_line(span['incomplete'])}", "yellow")
        if span["error"]:
            line.append(f"  {one_line(span['error'])}", "red")
        yield line
        for text in self._details(span):
            for part in text.lines():
                yield Styled(_INDENT).extend(part)

    def _details(self, span: Json) -> Iterator[Styled]:
        """A call's payloads; of a call without any, its attributes."""
        sides = [(side, span[side]) for side in ("request", "response") if span.get(side) is not None]
        for side, value in sides:
            yield self._side(side, value, span)
        if "note" in span:
            yield Styled((one_line(span["note"]), "yellow"))
        if not sides and "plugin" in span:
            for name, value in span["attributes"].items():
                if name not in _HIDDEN:
                    yield Styled((f"{one_line(name)} ", "dim")).extend(self._shortened(one_line(str(value))))

    def _side(self, side: str, value: Any, span: Json) -> Styled:
        hidden = 0
        if not span["decoded"]:
            return Styled((f"{side} ", "dim")).extend(self._payload(value))
        integration = named(span["plugin"])
        if not self._full and isinstance(value, dict) and integration is not None:
            value, hidden = without_plumbing(value, integration)
        text = Styled((f"{side} ", "dim")).extend(self._shortened(paragraph(laid_out(value))))
        return _with_hidden(text, hidden)

    def _payload(self, payload: Mapping[str, Any]) -> Styled:
        """Bytes that nothing decoded: text as it is or laid out, else the beginning of their base64."""
        if "damaged" in payload:
            return Styled((f"<{one_line(payload['damaged'])}>", "red"))
        if "text" in payload:
            return self._shortened(paragraph(_pretty(payload["text"])), payload.get("cut") and payload["size"])
        start = payload["base64"] if self._full else payload["base64"][:_GLANCE]
        return Styled((f"<{payload['size']} bytes base64: {start}{'…' if len(start) == _GLANCE else ''}>", "dim"))

    def _shortened(self, text: str, whole: int | None = None) -> Styled:
        """The beginning of a text that is long, saying how much is left out.

        Args:
            text: or its beginning.
            whole: then the length of the whole.
        """
        head = text if self._full else "\n".join(text[:_LONGEST_TEXT].split("\n")[:_MOST_LINES])
        if len(head) == len(text) and not whole:
            return Styled(text)
        left_out = f"{(whole or len(text)) - len(head):,} more characters; --json shows all"
        return Styled(head, (f" … ({left_out})", "yellow"))


def _with_hidden(text: Styled, count: int) -> Styled:
    return text.append(f"  (+{count}: --full)", "dim") if count else text


def _pretty(text: str) -> str:
    """A body laid out when it is a JSON object or list, else as it is."""
    if len(text) > _LONGEST_PRETTY or text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        return laid_out(json.loads(text))
    except (ValueError, RecursionError):
        return text
