"""An HTTP/1 exchange while its bytes pass on a connection, for clients that are recorded there."""

from __future__ import annotations

from typing import Any

from timetracer_otel.families.http_recording import Recording
from timetracer_otel.families.http_wire import Message

__all__ = ["Passing"]


class Passing:
    """What passes on a connection between a request and the end of its response.

    Args:
        recording: takes what is seen.
        method: of the request.
    """

    def __init__(self, recording: Recording, method: str) -> None:
        self.recording = recording
        self._request = Message()
        self._response = Message(answers=method)
        self._ended_by_peer = False

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
        begun = bool(response.start)
        try:
            pieces = response.feed(data)
        except ValueError:  # no HTTP: the library says so where it reads the head, or ends the connection
            return
        if response.start and not begun:
            version, status, reason = response.status
            self.recording.head(status, reason, version, response.headers, at)
        for piece, continues in pieces:
            self.recording.received(piece, continues=continues, at=at)
        self._finish_if_complete()

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
        if not self.has_head:
            return  # the client raises where it waits for the head, and is seen there
        if error is not None:
            self.recording.fail(error, "body")
        elif self._ended_by_peer:
            self.recording.cut(self._response.missing)
        else:
            self.let_go()

    def let_go(self) -> None:
        """Take that the client needs the connection no more."""
        if self.has_head:
            self.recording.abandoned()

    def _finish_if_complete(self) -> None:
        if self._response.complete:
            self.recording.done(self._response.trailers)
