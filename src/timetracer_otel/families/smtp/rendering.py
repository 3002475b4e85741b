"""Shows mails and commands, and what they were told, as data for people."""

from __future__ import annotations

from typing import Any

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.showing import both
from timetracer_otel.families.smtp import content, wire
from timetracer_otel.families.smtp.matching import CLOSED, Asked, asked_in

__all__ = ["render", "shown"]


def render(recorded: Span) -> dict[str, Any]:
    """Show a recorded call: ``{"request": …, "response": …}``.

    Args:
        recorded: its span.
    """
    asked = asked_in(recorded)
    told = [_told(reply) for reply in spans.decode_replies(recorded.attributes)]
    if recorded.attributes.get(CLOSED):
        told.append("(the connection was closed)")
    return both(recorded, None if asked is None else shown(asked), told[0] if len(told) == 1 else told or None)


def shown(asked: Asked) -> Any:
    """Show a mail by its sender, its recipients and what is in it; a command as it is typed.

    Args:
        asked: recorded or live.
    """
    if asked.verb != wire.SEND:
        return _typed(asked)
    found: dict[str, Any] = {"from": "", "to": []}
    for command in asked.commands:
        verb, line = wire.verb_of(command), _line(command)
        if verb == wire.MAIL:
            found["from"] = _path(line)
        elif verb == "RCPT":
            found["to"].append(_path(line))
        elif verb != "DATA" or asked.content is None:
            found.setdefault("commands", []).append(line)
    return found if asked.content is None else found | content.shown(asked.content)


def _typed(asked: Asked) -> str:
    """Show a command. Which name the client has for its own machine does not count."""
    line = _line(b" ".join(asked.commands))
    return asked.verb if wire.is_hello(asked.verb) else line or asked.verb


def _line(command: bytes) -> str:
    return redaction.placeholders(wire.without_size(command).decode("utf-8", "replace").rstrip())


def _path(line: str) -> str:
    """Give the address in ``MAIL FROM:<address> …`` with what is asked for it."""
    path, _, options = line.partition(":")[2].strip().partition(" ")
    address = path[1:-1] if path.startswith("<") and path.endswith(">") else path
    return f"{address} {options}" if options else address


def _told(reply: bytes) -> str:
    return reply.decode("utf-8", "replace").rstrip().replace("\r\n", "\n")
