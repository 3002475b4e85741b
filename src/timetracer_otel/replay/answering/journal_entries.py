"""Notes of a replay on each call, in the detail that ``--verify`` compares by."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from timetracer_otel import seams, spans
from timetracer_otel.cassette import kinds, model
from timetracer_otel.replay.answering import trace
from timetracer_otel.replay.answering.matching import Match, Matcher
from timetracer_otel.replay.answering.peers import renamed
from timetracer_otel.replay.answering.recorded_calls import Recorded
from timetracer_otel.replay.journal import NEAREST, Journal
from timetracer_otel.seams import Description, Entry, Lane, Recording, Value, branches

__all__ = [
    "as_recorded",
    "assumed",
    "bounded",
    "details",
    "identity",
    "imported",
    "missed",
    "of_children",
    "outcome",
    "rendered",
    "served",
    "session_end",
    "unused",
    "without_volatile",
]

_now: Final = time.time_ns  # as it is now: what the app reads is replayed
_AS_IT_WAS: Final = frozenset({"exact", "repeated", "session", "session again", "borrowed"})
"""Answers to calls that asked just what was recorded."""
LONGEST: Final = 256 * 1024
"""Bytes of a rendered call that are noted; of a longer one only its length is."""


def rendered(span: model.Span) -> object:
    """A recorded call's request as people see it, without what no comparison looks at.

    Args:
        span: the call.
    """
    integration = seams.integrations.get(span.text(spans.PLUGIN) or "")
    if integration is None or integration.render is None:
        return {}
    return without_volatile(integration.render(span).get("request"), integration.volatile)


def without_volatile(shown: object, names: frozenset[str]) -> object:
    """A rendered request without some of its fields.

    Args:
        shown: JSON-like.
        names: the fields.
    """
    return {name: value for name, value in shown.items() if name not in names} if isinstance(shown, dict) else shown


def bounded(shown: object) -> object:
    """A rendered request as a journal takes it."""
    try:
        encoded = orjson.dumps(shown, default=str, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, RecursionError):
        return str(shown)[:LONGEST]
    return shown if len(encoded) <= LONGEST else {"(too long to be shown)": len(encoded)}


def details(
    lane: Lane, match: Match, description: Description, asked: Callable[[], object], *, strict: bool
) -> dict[str, Any]:
    """Give the note of a call that was answered, besides what answered it.

    Args:
        lane: the live one.
        match: what answers.
        description: of the live call.
        asked: renders it.
        strict: whether nondeterminism was recorded, so that a value that differs is a change, but for those that show
            by themselves that they are new in each run.
    """
    recorded = match.recorded.span
    facts: dict[str, Any] = {"key": list(match.recorded.description.key), "start": recorded.start}
    if not description.read:
        facts |= {"write": [recorded.start, recorded.end], "branch": recorded.text(spans.BRANCH) or ""}
        facts |= {"at": _now(), "branch_now": branches.trail(lane)}
    if lane.is_session:
        facts["same"] = identity(match.recorded)
    facts |= _how_often(match.recorded)
    if match.changed and (strict or match.how in NEAREST):
        facts["recorded"] = bounded(rendered(recorded))
        shown = without_volatile(asked(), _volatile(recorded))
        if isinstance(shown, dict):
            shown = renamed(shown, description.peer, match.recorded.description.peer)
        facts["asked"] = bounded(shown)
    return facts


def as_recorded(match: Match, bindings: Mapping[Value, Value], peer: str, recording: Recording) -> dict[str, Any]:
    """Give what a new recording of an answered call needs besides what answered it.

    Args:
        match: what answers.
        bindings: live values that stand in the answer for recorded ones, by those.
        peer: that is asked, as the app calls it.
        recording: gives the attributes of the live request.
    """
    facts: dict[str, Any] = {}
    if match.how not in _AS_IT_WAS and (request := recording()):
        facts["request"] = renamed(request, peer, match.recorded.description.peer)
    if bindings:
        facts["bound"] = {recorded.hex(): live.hex() for recorded, live in bindings.items()}
    return facts


def assumed(journal: Journal, lane_id: str, key: Sequence[str], answers: model.Span, difference: str | None) -> None:
    """Note that a call was answered by one that asked something else.

    Args:
        journal: where to.
        lane_id: the live lane.
        key: the call's readable address.
        answers: the recorded call that answers it.
        difference: where that differs first; None where nothing does that people are shown.
    """
    span = answers.span_id
    differs = "asks the same and is used up" if difference is None else f"differs in {difference}"
    message = f"{' '.join(filter(None, key))} was answered by the closest recorded call, span {span}, which {differs}"
    journal.note("assumed", lane=lane_id, key=list(key), span=span, message=message)


def identity(call: Recorded) -> str:
    """The same text for recorded calls that ask the same, in every process.

    Args:
        call: the call.
    """
    asked = call.description
    return hashlib.blake2b(repr((asked.key, asked.shape, asked.values)).encode(), digest_size=16).hexdigest()


def served(journal: Journal, lane_id: str, recorded: model.Span) -> None:
    """Note a recorded call that its integration chose itself.

    Args:
        journal: where to.
        lane_id: the live lane.
        recorded: the call.
    """
    journal.note("answered", how="exact", lane=lane_id, span=recorded.span_id)
    journal.hear(recorded, lambda: None)
    trace.answered(recorded, "exact", dict)


def missed(  # noqa: PLR0913 - the facts of a miss
    journal: Journal, lane_id: str, key: Sequence[str], message: str, asked: object, *, assumed: bool = False
) -> None:
    """Note a call that nothing answers.

    Args:
        journal: where to.
        lane_id: the live lane.
        key: the call's readable address.
        message: what the app is told.
        asked: the rendered call, None when nobody compares it.
        assumed: whether it comes behind an answer that is not the recorded one.
    """
    journal.note("miss", lane=lane_id, key=list(key), message=message, asked=asked, assumed=assumed)
    trace.missed(key, asked)


def _volatile(span: model.Span) -> frozenset[str]:
    integration = seams.integrations.get(span.text(spans.PLUGIN) or "")
    return integration.volatile if integration is not None else frozenset()


def unused(
    calls: Iterable[Recorded], *, detailed: bool, kept: Callable[[Recorded], bool] | None = None
) -> list[dict[str, Any]]:
    """Give the note of recorded calls that were not asked for.

    Args:
        calls: the calls.
        detailed: whether to say what they asked.
        kept: whether the process may know the answer of one already.
    """
    noted: list[dict[str, Any]] = []
    for call in calls:
        facts: dict[str, Any] = {"key": call.description.key, "span": call.span.span_id, "start": call.span.start}
        if detailed:
            facts["shown"] = bounded(rendered(call.span))
        if kept is not None and kept(call):
            facts["kept"] = True
        noted.append(facts | _how_often(call))
    return noted


def _how_often(call: Recorded) -> dict[str, Any]:
    """Say of a recorded call where it may be asked more or less often than it was."""
    facts: dict[str, Any] = {"probe": True} if call.description.probe else {}
    return facts | ({"settles": identity(call)} if call.description.settles else {})


def of_children(calls: Iterable[Recorded]) -> list[dict[str, Any]]:
    """Give the note of calls by processes which an entry had started, whoever may ask them now.

    Args:
        calls: the calls.
    """
    calls = list(calls)
    noted = unused(calls, detailed=True)
    return [{**facts, "same": identity(call)} for facts, call in zip(noted, calls, strict=True)]


def outcome(entry: Entry, error: BaseException | None) -> dict[str, object]:
    """Give the note of an entry's outcome; one that is driven from outside has none, because its outcome shows there.

    Args:
        entry: that has ended.
        error: what left the app.
    """
    kind = kinds.named(entry.kind)
    if kind is None or kind.outcome is None:
        return {}
    return {"outcome": kind.outcome(entry.attributes(error))}


def imported(lane: model.Lane | None) -> str | None:
    """Give the hint for a miss in a lane whose calls were imported without what they sent and received.

    Args:
        lane: the recorded one.
    """
    lacking = [] if lane is None else [call for call in lane.calls if spans.IMPORTED_LACKS in call.attributes]
    if not lacking:
        return None
    tool = lacking[0].text(spans.IMPORTED) or "another tool"
    what = ", ".join(sorted({call.name for call in lacking})[:5])
    return (
        f"The request was imported from {tool}, which did not keep what {len(lacking)} of its calls sent and received "
        f"({what}): record it again"
    )


def session_end(journal: Journal, lane_id: str, matcher: Matcher | None) -> None:
    """Note what the session of this process left unused.

    Args:
        journal: where to.
        lane_id: the session's.
        matcher: its own.
    """
    if matcher is not None:
        journal.note("session_end", lane=lane_id, unused=unused(matcher.unused(), detailed=True))
