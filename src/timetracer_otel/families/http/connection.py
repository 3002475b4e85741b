"""An HTTP/1 exchange while its bytes pass on a connection, for clients that are recorded there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from timetracer_otel import redaction, spans
from timetracer_otel.families.http import messages
from timetracer_otel.families.http.body_stream import MOST_PIECES
from timetracer_otel.families.http.recording import Recording
from timetracer_otel.families.http.wire import INTERIM, Message

__all__ = ["Passing"]


class Passing:
    """What passes on a connection between a request and the end of its response.

    Args:
        recording: takes what is seen.
        method: of the request.
        interim: status codes that the client takes for those of interim responses.
    """

    def __init__(self, recording: Recording, method: str, interim: frozenset[int] = INTERIM) -> None:
        self.recording = recording
        self._request = Message()
        self._response = Message(method, interim)
        self._arrivals: list[int] = []
        self._ended_by_peer = False
        recording.framing = self._framing

    @property
    def has_head(self) -> bool:
        """Whether the response's head has come."""
        return bool(self._response.start)

    def written(self, data: Any) -> None:
        """Take bytes that the client sent."""
        if self._request.complete:
            return
        for piece, _ in self._request.feed(bytes(data)):
            self.recording.sent(piece)
        self._finish_if_sent(self._request)

    def _finish_if_sent(self, request: Message) -> None:
        if request.complete:
            self.recording.sent_all()

    def arrived(self, data: bytes, at: int) -> None:
        """Take bytes that the peer sent.

        Args:
            data: the bytes.
            at: when they came, by the monotonic clock in nanoseconds.
        """
        if self.recording.over:
            return
        response = self._response
        begun, skipped = self.has_head, response.skipped
        pieces = response.feed(data)
        kept = len(data) - (response.skipped - skipped)
        if kept > 0 and len(self._arrivals) < MOST_PIECES:
            self._arrivals.append(kept)
        if response.start and not begun:
            version, status, reason = response.status
            self.recording.head(status, reason, version, response.headers, at)
        for piece, continues in pieces:
            self.recording.received(piece, continues=continues, at=at)
        self._finish_if_complete()

    def accepted(self, status: int, reason: str, version: str, headers: Iterable[tuple[str, str]], at: int) -> None:
        """Take that the client has read a response's head. Mostly it was seen; else the client knows better.

        Args:
            status: code.
            reason: phrase.
            version: such as ``1.1``.
            headers: as the client has them.
            at: when, by the monotonic clock in nanoseconds.
        """
        if self.has_head or self.recording.over:
            return
        came = self._response.accept(status, reason, version)
        self.recording.head(status, reason, version, [] if came else list(headers), at)
        self.recording.received(came, at=at)

    def _framing(self) -> dict[str, spans.Attribute]:
        """How the response was written and arrived, as far as it matters to who reads it."""
        response, arrivals = self._response, self._arrivals
        if not response.start or len(arrivals) >= MOST_PIECES:
            arrivals = []
        elif response.syntax.canonical and not response.is_chunked:
            arrivals = []  # they are the pieces of the body
        attributes = messages.syntax_attributes(response.kept, arrivals)
        if response.trailers:
            trailers = redaction.headers(response.trailers)
            attributes |= spans.encode_headers(spans.HTTP_RESPONSE_TRAILERS, trailers)
        return attributes

    def ended_by_peer(self) -> None:
        """Take the end of the connection: it may be that of the body."""
        self._ended_by_peer = True
        self._response.end()
        self._finish_if_complete()

    def lost(self, error: BaseException | None) -> None:
        """Take what became of the connection before the end of the body.

        Args:
            error: what broke it; None when it was closed, by the peer or by the client.
        """
        if not self.has_head:  # the client raises where it waits for the head, and is seen there
            if error is None and self._ended_by_peer:
                self.recording.call.attributes[messages.CUT] = "end"
            return
        if error is not None:
            self.recording.fail(error, "body")
        elif self._ended_by_peer:
            self.recording.cut()
        else:
            self.let_go()

    def let_go(self) -> None:
        """Take that the client needs the connection no more."""
        self.recording.catch_up()
        if self.has_head:
            self._response.stop()
            if self._response.complete:
                self.recording.done()
            else:
                self.recording.abandoned()

    def _finish_if_complete(self) -> None:
        """End the recording where no reader can disagree; elsewhere the client ends it, who may read on."""
        if self._response.complete and self._response.certain:
            self.recording.done()
