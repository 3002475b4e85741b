"""What a miss says of the recorded call that is most like the one asked."""

from __future__ import annotations

from collections.abc import Sequence

from timetracer_otel.cassette import model
from timetracer_otel.replay.answering import journal_entries
from timetracer_otel.replay.answering.matching import Matcher, first_difference
from timetracer_otel.seams import Description

__all__ = ["described"]


def described(matchers: Sequence[Matcher], recorded: model.Lane | None, asked: Description, shown: object) -> str:
    """Say which recorded call is closest, and where it differs.

    Args:
        matchers: that had no answer.
        recorded: the lane that is followed.
        asked: the live call.
        shown: it as people see it.
    """
    candidates = [(m, call) for m in matchers for call in m.index.by_key.get(asked.key, [])[:50]]
    if not candidates:
        if (note := journal_entries.imported(recorded)) is not None:
            return note
        known = sorted({" ".join(filter(None, key)) for m in matchers for key in m.index.by_key})
        return f"Nothing of that kind was recorded here; recorded: {', '.join(known[:10]) or 'nothing'}"
    compared = [
        (first_difference(journal_entries.rendered(call.span), shown), call.span.span_id in m.used, call)
        for m, call in candidates
    ]
    same = [used for difference, used, _ in compared if difference is None]
    if same:
        return f"It was recorded {len(same)} times, and each of these is used up"
    difference, _, call = min(compared, key=lambda one: one[1])
    return f"The closest recorded call is span {call.span.span_id}, which differs in {difference}"
