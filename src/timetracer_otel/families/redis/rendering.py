"""Shows commands and what they were told, as data for people."""

from __future__ import annotations

import json
from typing import Any, Final

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.redis import commands as known
from timetracer_otel.families.redis.wire import Command, commands_in, decoded

__all__ = ["render", "shown"]

_LONGEST: Final = 400


def render(recorded: Span) -> dict[str, Any]:
    """Show a recorded call: ``{"request": …, "response": …}``.

    Args:
        recorded: its span.
    """
    request = recorded.payload(spans.REQUEST)
    replies = spans.decode_replies(recorded.attributes)
    told = [_plain(decoded(reply)) for reply in replies]
    both: dict[str, Any] = {
        "request": None if request is None else shown(commands_in(request)),
        "response": told[0] if len(told) == 1 else told or None,
    }
    if (error := recorded.text(spans.ERROR)) is not None:
        both["error"] = spans.json_or_text(error)
    return both


def shown(asked: list[Command]) -> Any:
    """Show commands as a person types them; a pipeline as a list of them.

    Args:
        asked: recorded or live.
    """
    lines = [" ".join(map(_word, known.without_secrets(command))) for command in asked]
    return lines[0] if len(lines) == 1 else lines


def _word(word: bytes) -> str:
    text = _plain(word)
    if not isinstance(text, str):
        return str(text)
    text = redaction.placeholders(text)
    return json.dumps(text, ensure_ascii=False) if not text or any(one in text for one in " \"'\r\n\t") else text


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"<{len(value)} bytes: {value[:_LONGEST].hex()}{'…' if len(value) > _LONGEST else ''}>"
