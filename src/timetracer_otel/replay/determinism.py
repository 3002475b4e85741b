"""What each live lane is given of what the recorded one drew: ids, random values, times."""

from __future__ import annotations

import time
from collections.abc import Iterable

from timetracer_otel import spans
from timetracer_otel.cassette import model
from timetracer_otel.nondeterminism import Given, Index
from timetracer_otel.nondeterminism.sites import Site, shown
from timetracer_otel.replay.journal import Journal

__all__ = ["given_to_lane", "given_to_session"]

_now = time.time_ns


def given_to_lane(recorded: model.Lane | None, journal: Journal) -> Given | None:
    """Give what a live lane draws; None when the recording does not say.

    Args:
        recorded: the lane that it follows.
        journal: where to note draws that the recording does not have.

    Raises:
        CassetteError: what was recorded is damaged.
    """
    if recorded is None:
        return None
    start = recorded.spans[0] if recorded.entry is None else recorded.entry
    return _given(recorded.id, recorded.spans, start.start, journal)


def given_to_session(sessions: Iterable[model.Lane], journal: Journal) -> Given | None:
    """Give what a live process draws outside any entry: of several recorded processes, what the first drew first.

    Args:
        sessions: the recorded ones, first the one that most of the recorded requests came to.
        journal: as above.

    Raises:
        CassetteError: as above.
    """
    merged = [span for session in sessions for span in session.spans]
    return _given(merged[0].lane_id, merged, merged[0].start, journal) if merged else None


def _given(lane_id: str, recorded: Iterable[model.Span], start: int, journal: Journal) -> Given | None:
    payloads: dict[str, list[bytes]] = {}
    for span in recorded:
        if (payload := span.payload(spans.DRAWS)) is not None:
            payloads.setdefault(span.lane_id, []).append(payload)
    index = Index.of(payloads.values())
    if index is None:
        return None

    def fresh(kind: str, site: Site) -> None:
        module, statement = shown(site)
        journal.note("fresh", lane=lane_id, kind=kind, module=module, statement=statement)

    return Given(index, (start - _now()) / 1e9, fresh)
