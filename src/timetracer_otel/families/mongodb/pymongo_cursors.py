"""The cursors that a replay has open: what is still to come of each, by the id that the app was given."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from weakref import WeakKeyDictionary

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.mongodb import wire
from timetracer_otel.seams import Responder

__all__ = ["CONTINUES", "OpenCursor", "close", "continued", "opened"]

CONTINUES = "timetracer.mongodb.continues"
"""On a reply that nothing asked for: the span whose reply came before it on the connection (exhaust cursors)."""

_PLUGIN = "pymongo"
_AWAIT_MILLISECONDS = 1000  # how long a server waits for data by default (getMore's maxTimeMS for awaitData cursors)
_ids = count(1 << 40)
_open: dict[int, OpenCursor] = {}


class OpenCursor:
    """A cursor that the recorded server had open.

    Args:
        responder: gives the recorded calls.
        opener: the recorded call whose reply opened it.
        recorded_id: its id in the recording.
        namespace: as the recorded reply says it.
    """

    def __init__(self, responder: Responder, opener: Span, recorded_id: int, namespace: str) -> None:
        self.id = next(_ids)
        self.namespace = namespace
        body = wire.parse_message(opener.payload(spans.REQUEST) or b"").body
        self._awaits = b"$changeStream\0" in body or b"\x08awaitData\0\1" in body
        self.tailable = self._awaits or b"\x08tailable\0\1" in body
        self._batches = _history(responder, opener).batches(opener, recorded_id)

    def next(self) -> Span | None:
        """The recorded call with the next batch; None behind the last."""
        return next(self._batches, None)

    def patience(self, asked: int | None) -> float:
        """Seconds that the server waits for data before it answers with nothing.

        Args:
            asked: milliseconds that the getMore allows it.
        """
        if not self._awaits:
            return 0.0
        return (_AWAIT_MILLISECONDS if asked is None else asked) / 1000


def opened(responder: Responder, opener: Span, recorded_id: int, namespace: str) -> OpenCursor:
    """Keep a cursor that a reply opens.

    Args:
        responder: gives the recorded calls.
        opener: the recorded call whose reply it is.
        recorded_id: the cursor's id in it.
        namespace: as that reply says it.
    """
    cursor = OpenCursor(responder, opener, recorded_id, namespace)
    _open[cursor.id] = cursor
    return cursor


def continued(live_id: int | None) -> OpenCursor | None:
    """The open cursor of an id that the app was given; None when no reply opened it."""
    return None if live_id is None else _open.get(live_id)


def close(live_ids: Iterable[int]) -> None:
    """Forget cursors that the app has closed or read to their end."""
    for live_id in live_ids:
        _open.pop(live_id, None)


class _History:
    """The recorded calls of one lane or session by the cursors that they open and continue.

    Args:
        calls: in order of start.
    """

    def __init__(self, calls: Sequence[Span]) -> None:
        self._place: dict[str, int] = {}
        self._openers: dict[int, list[int]] = defaultdict(list)
        self._asked: dict[int, list[tuple[int, Span]]] = defaultdict(list)
        self._followers: dict[str, Span] = {}
        for place, call in enumerate(calls):
            if call.text(spans.PLUGIN) == _PLUGIN:
                self._add(place, call)

    def _add(self, place: int, call: Span) -> None:
        self._place[call.span_id] = place
        if (last := call.text(CONTINUES)) is not None:
            self._followers[last] = call
        elif (request := call.payload(spans.REQUEST)) is not None:
            asked = wire.getmore_cursor_id(wire.parse_message(request))
            if asked is not None:
                self._asked[asked].append((place, call))
            elif (reply := call.payload(spans.RESPONSE)) is not None and (cursor := wire.cursor_id(reply)):
                self._openers[cursor].append(place)

    def batches(self, opener: Span, cursor: int) -> Iterator[Span]:
        """The calls with a cursor's batches, up to where another call opens the same id."""
        start = self._place[opener.span_id]
        openers = self._openers[cursor]
        later = bisect_right(openers, start)
        stop = openers[later] if later < len(openers) else None
        for place, call in self._asked[cursor]:
            if place > start and (stop is None or place < stop):
                yield call
                last = call
                while (follower := self._followers.get(last.span_id)) is not None:
                    last = follower
                    yield follower


_histories: WeakKeyDictionary[Responder, dict[str, _History]] = WeakKeyDictionary()


def _history(responder: Responder, call: Span) -> _History:
    known = _histories.setdefault(responder, {})
    if call.lane_id not in known:
        known[call.lane_id] = _History(responder.siblings(call))
    return known[call.lane_id]
