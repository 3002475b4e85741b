"""Recorded calls as their integrations describe them, ready to be matched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from timetracer_otel import seams, spans
from timetracer_otel.cassette import model
from timetracer_otel.replay.answering.recorded_calls import Recorded, Unheld
from timetracer_otel.seams import Description
from timetracer_otel.seams.branches import path_of

__all__ = ["answer", "at_address", "descriptions", "matchable", "unheld"]


def matchable(calls: Iterable[model.Span]) -> Iterator[Recorded]:
    """Give recorded calls as a matcher takes them; those that never count are left out.

    Args:
        calls: in order of start.
    """
    for span, description in descriptions(calls):
        integration = seams.integrations[span.text(spans.PLUGIN) or ""]
        yield Recorded(span, description, integration.reply_values, path_of(span.text(spans.BRANCH) or ""))


def unheld(lanes: Iterable[model.Lane]) -> Unheld:
    """Give the calls of lanes that are left in a file.

    Args:
        lanes: or sessions.
    """
    return Unheld({opener: stream for lane in lanes for opener, stream in lane.followers.items()}, matchable)


def at_address(lanes: Iterable[model.Lane], key: tuple[str, ...]) -> Iterator[Recorded]:
    """Give the calls of lanes that ask one address.

    Args:
        lanes: that made them.
        key: the address, see :attr:`Description.key`.
    """
    return (call for lane in lanes for call in matchable(lane.calls) if call.description.key == key)


def descriptions(calls: Iterable[model.Span]) -> Iterator[tuple[model.Span, Description]]:
    """Give recorded calls with what they ask; those that never count are left out.

    Args:
        calls: in order of start.
    """
    for span in calls:
        integration = seams.integrations.get(span.text(spans.PLUGIN) or "")
        if integration is None or integration.describe is None:
            continue
        description = integration.describe(span)
        if description is not None:
            yield span, replace(description, settles=True) if spans.FIRST_NEED in span.attributes else description


def answer(span: model.Span) -> bytes:
    """Give the digest of what a recorded call was told.

    Args:
        span: the call.
    """
    return seams.integrations[span.text(spans.PLUGIN) or ""].answer(span)
