"""Describes what is asked of files, in the form in which recorded and live calls are compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.replies import answer, reply_values
from timetracer_otel.families.showing import both
from timetracer_otel.families.words import plain
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams import values as kinds
from timetracer_otel.seams.values import Blanker

__all__ = ["Asked", "answer", "describe", "describe_recorded", "rebound", "render", "reply_values"]

SYSTEM: Final = "file"
_WRITE: Final = "write"


class Asked:
    """What is asked of one file.

    Args:
        operation: such as ``read``.
        name: of the file, below the folder that the app chose.
        mode: that it is opened in; empty where it is not.
        size: of what is written.
        digest: likewise.
    """

    __slots__ = ("digest", "mode", "name", "operation", "size")

    def __init__(self, operation: str, name: str, mode: str = "", size: int = 0, digest: str = "") -> None:
        self.operation = operation
        self.name = name
        self.mode = mode
        self.size = size
        self.digest = digest

    def shown(self) -> dict[str, object]:
        """Show it, as data for people."""
        shown: dict[str, object] = {self.operation: self.name}
        if self.operation == _WRITE:
            shown |= {"bytes": self.size, "blake2b": self.digest}
        return shown

    def encoded(self) -> bytes:
        """Give it as it is recorded."""
        parts = {"operation": self.operation, "name": self.name, "mode": self.mode}
        if self.operation == _WRITE:
            return json.dumps({**parts, "size": self.size, "digest": self.digest}).encode()
        return json.dumps(parts).encode()

    def watched(self, pieces: Iterable[Any], encoding: str | None) -> Iterator[Any]:
        """Give what is written, and see it.

        Args:
            pieces: bytes or texts.
            encoding: of the texts.
        """
        digest = blake2b(digest_size=16)
        for piece in pieces:
            raw = piece.encode(encoding or "utf-8") if isinstance(piece, str) else piece
            digest.update(raw)
            self.size += len(raw)
            yield piece
        self.digest = digest.hexdigest()


def describe(asked: Asked) -> Description:
    """Say what is asked, so that the same asked in another run compares equal. What is written counts by its digest.

    Args:
        asked: recorded or live.
    """
    blanker = Blanker()
    name = blanker.text(asked.name)
    shape = "\0".join((asked.operation, name, asked.mode, str(asked.size), asked.digest))
    return Description(
        (SYSTEM, asked.operation, name.replace("\0", "~")),
        blake2b(shape.encode("utf-8", "surrogateescape"), digest_size=16).digest(),
        tuple(blanker.values),
        read=asked.operation != _WRITE,
        subjects=((SYSTEM, asked.name),) if asked.name else ((SYSTEM,),),
    )


def _asked(recorded: Span) -> Asked | None:
    request = recorded.payload(spans.REQUEST)
    return None if request is None else Asked(**json.loads(request))


def describe_recorded(recorded: Span) -> Description | None:
    """Say what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.
    """
    asked = None if spans.LOST in recorded.attributes else _asked(recorded)
    return None if asked is None else describe(asked)


def rebound(content: bytes, bindings: Mapping[Value, Value]) -> bytes:
    """Give what a file holds with live values in place of the recorded ones, where it is text.

    Args:
        content: of the file.
        bindings: the live value of each recorded one.
    """
    if not bindings:
        return content
    try:
        return kinds.rebound(content.decode(), bindings).encode()
    except UnicodeDecodeError:
        return content


def render(recorded: Span) -> dict[str, Any]:
    """Show a recorded call: ``{"request": …, "response": …}``.

    Args:
        recorded: its span.
    """
    asked, response = _asked(recorded), recorded.payload(spans.RESPONSE)
    told = None if response is None else plain(response)
    return both(recorded, None if asked is None else asked.shown(), told)
