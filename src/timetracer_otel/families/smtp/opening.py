"""How a connection was made ready for mails, kept with those that other lanes send by it.

A program may keep a connection over many requests. The first one has the calls that opened it; replayed alone, any
other one opens it, too, and is told what the first one was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

import orjson

from timetracer_otel import encoding
from timetracer_otel.seams import Responder

__all__ = ["OPENED", "Step", "encoded", "recorded_steps"]

OPENED: Final = "timetracer.smtp.opened"
"""On the calls of another lane than that which opened the connection: JSON, the server and the steps."""

Step: TypeAlias = tuple[str, bool, str]
"""A command's name, whether it was sent behind ``STARTTLS``, and the reply."""


def encoded(peer: str, steps: Iterable[Step]) -> str:
    """Give the attribute.

    Args:
        peer: the server's host and port, or path.
        steps: in order.
    """
    return encoding.dumps([peer, list(steps)]).decode()


def recorded_steps(responder: Responder, peer: str) -> list[Step]:
    """Give how a connection was opened whose own calls are not in the recording; nothing where none says it.

    Args:
        responder: gives what the recorded calls say.
        peer: the server; where it has another name now, any may be meant.
    """
    known = [orjson.loads(text) for text in responder.all_facts(OPENED)]
    found = [steps for name, steps in known if name == peer] or [steps for _, steps in known]
    return [(verb, secure, reply) for verb, secure, reply in found[0]] if found else []
