"""Gives each live lane the draws of the recorded one: ids, random values, times."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from timetracer_otel import spans
from timetracer_otel.cassette import model
from timetracer_otel.nondeterminism import Given, Index
from timetracer_otel.nondeterminism.kinds import Kind
from timetracer_otel.nondeterminism.sites import Site, shown
from timetracer_otel.replay.answering.followed_session import parent_of
from timetracer_otel.replay.journal import Journal
from timetracer_otel.seams import branches

__all__ = ["drawn_by_session", "given_to_lane", "given_to_session", "of_process"]

_now = time.time_ns
_Drawn: TypeAlias = tuple[model.Lane, Index | None]
"""A session, and what it drew."""


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
    index = Index.of([filter(None, map(_draws, recorded.spans))])
    start = recorded.spans[0] if recorded.entry is None else recorded.entry
    return None if index is None else _given(index, recorded.id, start.start, journal)


def drawn_by_session(session: model.Lane) -> Index | None:
    """Give what a recorded process drew; None when the recording does not say. The session then has it no longer.

    Args:
        session: of the process.

    Raises:
        CassetteError: what was recorded is damaged.
    """
    index = Index.of([filter(None, map(_draws, session.spans))])
    for span in session.spans:
        span.attributes.pop(spans.DRAWS, None)
    session.spans[1:] = [span for span in session.spans[1:] if span.is_call or span.name != spans.DRAWS]
    return index


def given_to_session(sessions: Iterable[tuple[model.Lane, Index | None]], journal: Journal) -> Given | None:
    """Give what a live process draws outside any entry: of several recorded processes, what the first drew first.

    Args:
        sessions: the recorded ones and what each drew, first the one that most of the recorded requests came to.
        journal: as above.
    """
    every = list(sessions)
    drawn = [index for _, index in every if index is not None]
    if not drawn:
        return None
    index = Index.joined(drawn) if len(drawn) > 1 else drawn[0]
    return _given(index, every[0][0].id, every[0][0].spans[0].start, journal)


def of_process(own: model.Lane, every: Sequence[_Drawn]) -> list[_Drawn]:
    """Give what a recorded process drew, and what others of its pool drew for work that this one may get.

    Args:
        own: its session.
        every: all sessions and what each drew.
    """
    siblings = [one for one in every if one[0] is not own and parent_of(own) and parent_of(one[0]) == parent_of(own)]
    mine = [one for one in every if one[0] is own]
    return mine + [(session, None if index is None else index.pieces()) for session, index in siblings]


def _branch() -> str:
    lane = branches.current_lane()
    return "" if lane is None else branches.branch_in(lane, branches.here())


def _draws(span: model.Span) -> bytes | None:
    return span.payload(spans.DRAWS)


def _given(index: Index, lane_id: str, start: int, journal: Journal) -> Given:
    def fresh(kind: Kind, site: Site, value: object) -> None:
        module, statement = shown(site)
        told = {"site": site, "branch": _branch(), "value": kind.dump(value)} if journal.accepting else {}
        journal.note("fresh", lane=lane_id, kind=kind.name, module=module, statement=statement, **told)

    return Given(index, (start - _now()) / 1e9, fresh)
