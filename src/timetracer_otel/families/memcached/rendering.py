"""Shows commands and what they were told, as data for people."""

from __future__ import annotations

from typing import Any

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.memcached.wire import Command, commands_in, items_in
from timetracer_otel.families.showing import both
from timetracer_otel.families.words import plain, typed

__all__ = ["render", "shown"]


def render(recorded: Span) -> dict[str, Any]:
    """Show a recorded call: ``{"request": …, "response": …}``.

    Args:
        recorded: its span.
    """
    request = recorded.payload(spans.REQUEST)
    told = [_told(reply) for reply in spans.decode_replies(recorded.attributes)]
    asked = None if request is None else shown(commands_in(request))
    return both(recorded, asked, told[0] if len(told) == 1 else told or None)


def shown(asked: list[Command]) -> Any:
    """Show commands as a person types them, each with its value behind it; several as a list of them.

    Args:
        asked: recorded or live.
    """
    lines = [" ".join(map(typed, _words(command))) for command in asked]
    return lines[0] if len(lines) == 1 else lines


def _words(command: Command) -> list[bytes]:
    return command.words if command.value is None else [*command.words, command.value]


def _told(reply: bytes) -> Any:
    """Show values by their keys, statistics by their names, anything else as it was said."""
    items = list(items_in(reply))
    if len(items) == 1 and not items[0].is_last:
        return plain(items[0].line if items[0].value is None else items[0].value)
    found: dict[str, Any] = {}
    for item in items:
        if not item.is_last:
            kind, name, *rest = [*item.words, b"", b""][:3] if item.value is None else [*item.words[:2], item.value]
            found[str(plain(name if kind in {b"VALUE", b"STAT", b"ITEM"} else item.line))] = plain(rest[0])
    return found
