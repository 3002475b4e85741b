"""Compares what came of an entry in two runs, whatever its kind."""

from __future__ import annotations

from collections.abc import Iterator

from timetracer_otel import spans
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.model import Span
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.responses import compare_response, recorded_reply
from timetracer_otel.replay.comparing.values import differences

__all__ = ["compare_ends", "compare_outcomes"]


def compare_ends(first: Span, second: Span) -> Iterator[Difference]:
    """Say what differs in what came of two recorded entries.

    Args:
        first: the entry's span in one recording.
        second: that in the other.

    Raises:
        CassetteError: one of them was cut or damaged.
    """
    kind = kinds.of(first.attributes)
    if kind is not None and kind.outcome is not None:
        yield from compare_outcomes(kind.outcome(first.attributes), kind.outcome(second.attributes))
        return
    mine, theirs = recorded_reply(first), recorded_reply(second)
    if mine != theirs:  # two that raised are equal
        yield from compare_response(first.text(spans.HTTP_METHOD) or "", mine, theirs)


def compare_outcomes(recorded: object, live: object) -> Iterator[Difference]:
    """Say what differs in two outcomes, as a kind's ``outcome`` gives them.

    Args:
        recorded: of the recorded entry.
        live: of the live one.
    """
    if fields := tuple(differences(recorded, live)):
        yield Difference("outcome", "", fields)
