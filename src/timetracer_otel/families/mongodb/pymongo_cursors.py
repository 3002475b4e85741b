"""The cursors that a replay has open: what is still to come of each, by the id that the app was given."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.mongodb import wire
from timetracer_otel.seams import InStream, Responder

__all__ = ["OpenCursor", "close", "continued", "in_stream", "killed", "opened"]

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
        self._batches = responder.stream(opener, str(recorded_id))
        self.next = self._batches.next
        """Gives the recorded call with the next batch; None behind the last."""

    def patience(self, asked: int | None) -> float:
        """Seconds that the server waits for data before it answers with nothing.

        Args:
            asked: milliseconds that the getMore allows it.
        """
        if not self._awaits:
            return 0.0
        return (_AWAIT_MILLISECONDS if asked is None else asked) / 1000

    def is_asked_in_vain(self) -> bool:
        """Whether the recorded program asked for a batch next, and was told that there is no such cursor."""
        asked = self._batches.upcoming()
        reply = None if asked is None else asked.payload(spans.RESPONSE)
        return reply is not None and not wire.cursor_namespace(reply)


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


def killed(live_ids: Iterable[int]) -> None:
    """Forget cursors that the app has killed, unless it goes on to read them: then it gets the recorded refusal."""
    close([live_id for live_id in live_ids if (cursor := _open.get(live_id)) and not cursor.is_asked_in_vain()])


def in_stream(recorded: Span) -> InStream | None:
    """Where a recorded command stands: which cursor it opened, which it asked more of.

    Args:
        recorded: the call.
    """
    request, reply = recorded.payload(spans.REQUEST), recorded.payload(spans.RESPONSE)
    if request is None:
        return None
    asked = wire.getmore_cursor_id(wire.parse_message(request))
    if asked is not None:
        return InStream(continues=str(asked))
    opened_id = None if reply is None else wire.cursor_id(reply)
    return InStream(opens=str(opened_id)) if opened_id else None
