"""A recorded call of a Kafka client, whichever kind it is of: how it is compared and shown."""

from __future__ import annotations

from typing import Any

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.kafka import asking, producing
from timetracer_otel.seams import Description

__all__ = ["answer", "describe", "render"]


def describe(span: Span) -> Description | None:
    """Say what a recorded call asked; None of one that was never sent.

    Args:
        span: the call.
    """
    if (sent := producing.recorded(span)) is not None:
        return producing.describe(sent)
    asked = asking.asked_in(span)
    return None if asked is None else asking.describe(asked)


def answer(span: Span) -> bytes:
    """Tell the answers of calls apart: equal for equal ones.

    Args:
        span: the call.
    """
    return asking.digest(span)


def render(span: Span) -> dict[str, Any]:
    """Give a recorded call for people.

    Args:
        span: the call.
    """
    shown: dict[str, Any] = {}
    if (sent := producing.recorded(span)) is not None:
        shown["request"] = producing.render(sent)
    elif (asked := asking.asked_in(span)) is not None:
        shown["request"] = asking.render(asked)
    if (told := span.text(spans.RESPONSE)) is not None:
        shown["response"] = asking.shown(spans.json_or_text(told))
    if (error := span.text(spans.ERROR)) is not None:
        shown["error"] = spans.json_or_text(error)
    return shown
