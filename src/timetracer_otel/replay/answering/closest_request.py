"""What is said of an entry that follows no recorded one: which recorded entry is most like it, and what differs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any, Final

from timetracer_otel import redaction
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.shelf import Outline, Shelf
from timetracer_otel.replay.answering.matching import first_difference
from timetracer_otel.seams import Entry

__all__ = ["described", "same_target"]

_COMPARED: Final = 500
"""Recorded entries whose addresses a live one is compared with at most."""


def described(entry: Entry, shelf: Shelf) -> str:
    """Say which recorded entry of its kind is closest, and where it differs first.

    Args:
        entry: that nothing follows, as far as it has come in.
        shelf: the recorded lanes.
    """
    same_kind = [one for one in shelf.catalog.lanes if one.kind == entry.kind][:_COMPARED]
    if not same_kind:
        return f"no entry of the kind {entry.kind} was recorded"
    live, is_call = b"".join(piece for message in entry.messages[:1] for piece in message.body), False
    if not live and (name := _arguments_of(entry.kind)):  # a plain call brings no message
        live, is_call = str(entry.attributes(None).get(name) or "").encode(), True
    shown = _shown(entry.method, entry.target, live, is_call=is_call)
    difference, closest = min(
        ((_difference(one, shown, shelf, is_call=is_call), one) for one in _same_address(entry, same_kind)),
        key=lambda found: found[0] is not None,
    )
    differs = f"which differs in {difference}" if difference is not None else "which asks the same for somebody else"
    return f"the closest recorded one is {closest.name} (lane {closest.id}), {differs}"


def same_target(entry: Entry, shelf: Shelf) -> bool:
    """Whether an entry with the address of a live one was recorded, whatever it asked.

    Args:
        entry: that nothing follows.
        shelf: the recorded lanes.
    """
    live = _address(entry.method, entry.target)
    return any(one.kind == entry.kind and _address(one.method, one.target) == live for one in shelf.catalog.lanes)


def _same_address(entry: Entry, outlines: Sequence[Outline]) -> list[Outline]:
    """The entries with the address that is most alike; several are looked at only where it is the same."""
    live = _address(entry.method, entry.target)
    same = [one for one in outlines if _address(one.method, one.target) == live]
    return same[:10] or [
        max(outlines, key=lambda one: SequenceMatcher(None, _address(one.method, one.target), live).ratio())
    ]


def _address(method: str, target: str) -> str:
    return f"{method} {redaction.blanked_url(target)}"


def _arguments_of(name: str) -> str:
    """The attribute that holds the arguments of an entry of a kind; empty where it has none."""
    kind = kinds.named(name)
    return "" if kind is None else kind.request.facts.get("arguments", "")


def _difference(recorded: Outline, shown: dict[str, Any], shelf: Shelf, *, is_call: bool) -> str | None:
    lane, kind = shelf.lane(recorded.id), kinds.named(recorded.kind)
    entry = None if lane is None else lane.entry
    if entry is None or kind is None:
        body = b""
    else:
        body = (entry.text(_arguments_of(kind.name)) or "").encode() if is_call else kind.texts(entry).body
    return first_difference(_shown(recorded.method, recorded.target, body, is_call=is_call), shown)


def _shown(method: str, target: str, body: bytes, *, is_call: bool) -> dict[str, Any]:
    path, _, query = redaction.url(target).partition("?")
    shown: dict[str, Any] = {"method": method, "path": path, "query": query}
    name = "arguments" if is_call else "body"
    try:
        shown[name] = json.loads(body)
    except ValueError:
        shown[name] = body.decode("utf-8", "replace")
    return shown
