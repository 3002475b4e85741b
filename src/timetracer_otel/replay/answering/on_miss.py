"""What is done at a call that was not recorded: it is a miss, the closest recorded one answers, or it goes out."""

from __future__ import annotations

from collections.abc import Sequence

from timetracer_otel import seams
from timetracer_otel.config import OnMiss
from timetracer_otel.replay.answering import closest_call, journal_entries
from timetracer_otel.replay.answering.matching import Match, Matcher
from timetracer_otel.replay.journal import Journal
from timetracer_otel.seams import Description, GoesOut

__all__ = ["instead"]


def instead(  # noqa: PLR0913, PLR0917 - what is done, and what is needed for it
    what: OnMiss,
    plugin: str,
    lane_id: str,
    matchers: Sequence[Matcher],
    asked: Description,
    shown: object,
    journal: Journal,
) -> tuple[Match, Matcher] | None:
    """Give another answer to a call that was not recorded; None where it is a miss.

    Args:
        what: the user wants.
        plugin: whose call it is.
        lane_id: the live lane.
        matchers: of the followed lane and of the session.
        asked: the live call.
        shown: it as people see it.
        journal: takes note of it.

    Raises:
        GoesOut: that is what the user wants, and the integration lets a single call out.
    """
    if what == "live" and seams.integrations[plugin].goes_out:
        journal.note("out", lane=lane_id, key=list(asked.key))
        raise GoesOut
    found = closest_call.closest(matchers, asked, shown) if what == "nearest" else None
    if found is None:
        return None
    journal_entries.assumed(journal, lane_id, asked.key, found)
    return found.matcher.nearest(found.call), found.matcher
