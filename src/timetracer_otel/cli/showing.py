"""``timetracer show`` for people: what :mod:`describing` found, as headings and a tree of spans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from timetracer_otel.cli.layout import laid_out
from timetracer_otel.cli.output import console, one_line, paragraph
from timetracer_otel.cli.style import milliseconds, size, status_style

__all__ = ["print_lanes"]

Json = dict[str, Any]

_LONGEST_TEXT: Final = 4000
_MOST_LINES: Final = 60
_LONGEST_PRETTY: Final = 1_000_000
"""Characters of a body up to which it is parsed to be laid out: beyond, only its beginning is shown anyway."""
_GLANCE: Final = 60
_DEEPEST: Final = 24
"""Levels of the tree that are indented: a terminal has no room for more."""
_HIDDEN: Final = ("timetracer.lane.id", "timetracer.plugin", "timetracer.error", "timetracer.incomplete")


def print_lanes(lanes: list[Json]) -> None:
    """Print lanes and sessions.

    Args:
        lanes: as :func:`describing.describe` gives them.
    """
    out = console()
    for number, lane in enumerate(lanes):
        if number:
            out.print()
        _print_lane(out, lane)


def _print_lane(out: Console, lane: Json) -> None:
    out.print(_title(lane))
    for name, value in _facts(lane):
        out.print(Text.assemble((f"  {name:<11}", "dim"), one_line(str(value))))
    if lane["kind"] == "session":
        for stream, payload in lane["output"].items():
            _print_section(out, stream, {"headers": [], "body": payload})
    else:
        for title in ("request", "response"):
            _print_section(out, title, lane[title])
    out.print(Text("spans", "bold"))
    out.print(_tree(lane["spans"]))


def _title(lane: Json) -> Text:
    words = (
        Text(one_line(lane["method"] or lane["kind"]), "bold").append(" ").append(one_line(lane["target"]), "bold cyan")
    )
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


def _print_section(out: Console, title: str, side: Json) -> None:
    facts = [(name, str(value)) for name, value in side.items() if isinstance(value, str | int) and value != ""]
    pairs = [*facts, *side["headers"], *side.get("trailers", ())]
    body = side["body"]
    if not pairs and not body:
        return
    out.print(Text(title, "bold"))
    for name, value in pairs:
        out.print(Text.assemble("  ", (one_line(name), "dim"), ": ", _shortened(one_line(value))))
    if body and body.get("size") != 0:
        out.print(_indented(_payload(body)))


def _tree(spans: list[Json]) -> Tree:
    """Spans under their parents, in order of start. One whose parent is not here, or is below itself, is at the top."""
    tree = Tree(Text("·", "dim"), hide_root=True)
    known = {span["span_id"] for span in spans}
    children: dict[str | None, list[Json]] = {}
    for span in spans:
        children.setdefault(span["parent_id"] if span["parent_id"] in known else None, []).append(span)
    done: set[int] = set()
    for top in [*children.get(None, []), *spans]:
        waiting = [(top, [tree])]
        while waiting:
            span, branches = waiting.pop()
            if id(span) in done:
                continue
            done.add(id(span))
            branch = branches[-1].add(_label(span))
            below = [*branches, branch] if len(branches) < _DEEPEST else branches
            waiting += [(child, below) for child in reversed(children.get(span["span_id"], []))]
    return tree


def _label(span: Json) -> RenderableType:
    line = Text(f"+{milliseconds(span['offset_ms'])} ", "dim").append(one_line(span["name"]), "bold")
    line.append(f"  {milliseconds(span['duration_ms'])}  {span['kind']}", "dim")
    for mark, side in (("→", "request_size"), ("←", "response_size")):
        if span.get(side) is not None:
            line.append(f"  {mark} {size(span[side])}", "dim")
    if span["incomplete"]:
        line.append(f"  incomplete: {one_line(span['incomplete'])}", "yellow")
    if span["error"]:
        line.append(f"  {one_line(span['error'])}", "red")
    return Group(line, *_details(span))


def _details(span: Json) -> Iterator[RenderableType]:
    """A call's payloads; of a call without any, its attributes."""
    sides = [(side, span[side]) for side in ("request", "response") if span.get(side) is not None]
    for side, value in sides:
        shown = _shortened(paragraph(laid_out(value))) if span["decoded"] else _payload(value)
        yield _indented(Text.assemble((f"{side} ", "dim"), shown))
    if "note" in span:
        yield _indented(Text(one_line(span["note"]), "yellow"))
    if not sides and "plugin" in span:
        for name, value in span["attributes"].items():
            if name not in _HIDDEN:
                yield _indented(Text.assemble((f"{one_line(name)} ", "dim"), _shortened(one_line(str(value)))))


def _indented(text: Text) -> Text:
    return Text("  ") + Text("\n  ").join(text.split("\n"))


def _payload(payload: Json) -> Text:
    """Bytes that nothing decoded: text as it is or laid out, else the beginning of their base64."""
    if "damaged" in payload:
        return Text(f"<{one_line(payload['damaged'])}>", "red")
    if "text" in payload:
        return _shortened(paragraph(_pretty(payload["text"])))
    start = payload["base64"][:_GLANCE]
    return Text(f"<{payload['size']} bytes base64: {start}{'…' if len(start) == _GLANCE else ''}>", "dim")


def _pretty(text: str) -> str:
    """A body laid out when it is a JSON object or list, else as it is."""
    if len(text) > _LONGEST_PRETTY or text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        return laid_out(json.loads(text))
    except (ValueError, RecursionError):
        return text


def _shortened(text: str) -> Text:
    """The beginning of a text that is long, saying how much is left out."""
    head = "\n".join(text[:_LONGEST_TEXT].split("\n")[:_MOST_LINES])
    if len(head) == len(text):
        return Text(text)
    left_out = f"{len(text) - len(head):,} more characters; --json shows all"
    return Text.assemble(head, (f" … ({left_out})", "yellow"))
