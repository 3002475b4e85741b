"""The recorded call that is most like the one asked: what a miss says of it, and when it answers instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from timetracer_otel.cassette import model
from timetracer_otel.replay.answering import journal_entries
from timetracer_otel.replay.answering.matching import Matcher, first_difference
from timetracer_otel.replay.answering.recorded_calls import Recorded
from timetracer_otel.replay.comparing.values import differences
from timetracer_otel.seams import Description

__all__ = ["Closest", "closest", "described"]

_NAMED: Final = 10
_COMPARED: Final = 200
"""Recorded calls of one address that a live one is compared with at most."""


_Candidate: TypeAlias = tuple[Matcher, Recorded, bool]
"""Also whether it has answered already."""


class Closest(NamedTuple):
    """A recorded call of the address that was asked.

    Attributes:
        matcher: of the lane or session that it is in; the followed lane's for a call of another lane.
        call: the recorded one.
        difference: where it differs first; None where nothing does that people are shown.
    """

    matcher: Matcher
    call: Recorded
    difference: str | None


def closest(
    matchers: Sequence[Matcher], asked: Description, shown: object, elsewhere: Iterable[Recorded] = ()
) -> Closest | None:
    """Give the recorded call of the same address that differs least; None when there is none of that address.

    Of those that differ alike the one that has not answered yet, the followed lane's, the earliest.

    Args:
        matchers: of the followed lane and of the session.
        asked: the live call.
        shown: it as people see it.
        elsewhere: calls of that address in other lanes, for where these have none.
    """
    here = (one for matcher in matchers for one in islice(_candidates(matcher, asked), _COMPARED))
    others = ((matchers[0], call, True) for call in islice(elsewhere, _COMPARED))
    return _least_different(here, shown) or _least_different(others, shown)


def _least_different(candidates: Iterable[_Candidate], shown: object) -> Closest | None:
    best: tuple[tuple[int, bool], Closest] | None = None
    for matcher, call, used in candidates:
        rendered = journal_entries.rendered(call.span)
        rank = len(list(differences(rendered, shown))), used
        if best is None or rank < best[0]:
            best = rank, Closest(matcher, call, first_difference(rendered, shown))
    return None if best is None else best[1]


def _candidates(matcher: Matcher, asked: Description) -> Iterator[_Candidate]:
    """The calls of an address that have not answered yet, then the others."""
    calls = matcher.index.by_key.get(asked.key, [])
    for used in (False, True):
        yield from ((matcher, call, used) for call in calls if (call.span.span_id in matcher.used) == used)


def described(matchers: Sequence[Matcher], recorded: model.Lane | None, asked: Description, shown: object) -> str:
    """Say which recorded call is closest, and where it differs.

    Args:
        matchers: that had no answer.
        recorded: the lane that is followed.
        asked: the live call.
        shown: it as people see it.
    """
    found = closest(matchers, asked, shown)
    if found is None:
        if (note := journal_entries.imported(recorded)) is not None:
            return note
        return f"Nothing of that kind was recorded here{_at_another_address(matchers, asked, shown)}"
    if found.difference is None:
        times = sum(len(matcher.index.by_key.get(asked.key, [])) for matcher in matchers)
        return f"It was recorded {times} times, and each of these is used up"
    return f"The closest recorded call is span {found.call.span.span_id}, which differs in {found.difference}"


def _at_another_address(matchers: Sequence[Matcher], asked: Description, shown: object) -> str:
    """Say what was recorded instead, first of all the call whose address reads most alike."""
    by_name = {_name(key): calls for m in matchers for key, calls in m.index.by_key.items()}
    same_system = [_name(key) for m in matchers for key in m.index.by_key if key[:1] == asked.key[:1]]
    told = f"; recorded: {', '.join(sorted(by_name)[:_NAMED]) or 'nothing'}"
    if not same_system:
        return told
    name = max(same_system[:_COMPARED], key=lambda one: SequenceMatcher(None, one, _name(asked.key)).ratio())
    call = by_name[name][0]
    difference = first_difference(journal_entries.rendered(call.span), shown)
    differs = "" if difference is None else f", which differs in {difference}"
    return f"; the closest recorded call is span {call.span.span_id}, {name}{differs}{told}"


def _name(key: Sequence[str]) -> str:
    return " ".join(filter(None, key))
