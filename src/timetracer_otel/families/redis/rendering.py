"""Shows commands and what they were told, as data for people."""

from __future__ import annotations

from typing import Any

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.redis import commands as known
from timetracer_otel.families.redis.wire import Command, commands_in, decoded
from timetracer_otel.families.showing import both
from timetracer_otel.families.words import plain, typed

__all__ = ["render", "shown"]


def render(recorded: Span) -> dict[str, Any]:
    """Show a recorded call: ``{"request": …, "response": …}``.

    Args:
        recorded: its span.
    """
    request = recorded.payload(spans.REQUEST)
    replies = spans.decode_replies(recorded.attributes)
    told = [plain(decoded(reply)) for reply in replies]
    asked = None if request is None else shown(commands_in(request))
    return both(recorded, asked, told[0] if len(told) == 1 else told or None)


def shown(asked: list[Command]) -> Any:
    """Show commands as a person types them; a pipeline as a list of them.

    Args:
        asked: recorded or live.
    """
    lines = [" ".join(map(typed, known.without_secrets(command))) for command in asked]
    return lines[0] if len(lines) == 1 else lines
