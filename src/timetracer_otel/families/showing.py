"""A recorded call as data for people: what all families give for it."""

from __future__ import annotations

from typing import Any

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span

__all__ = ["both"]


def both(recorded: Span, request: object, response: object) -> dict[str, Any]:
    """Give ``{"request": …, "response": …}``, with the error of a call that failed.

    Args:
        recorded: its span.
        request: as it is shown; None where it is not known.
        response: likewise.
    """
    shown = {"request": request, "response": response}
    if (error := recorded.text(spans.ERROR)) is not None:
        shown["error"] = spans.json_or_text(error)
    return shown
