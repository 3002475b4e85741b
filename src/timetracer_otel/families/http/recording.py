"""One HTTP exchange while it is recorded: its span, and what passes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Concatenate, Final, ParamSpec
from urllib.parse import urlsplit

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Status, StatusCode

from timetracer_otel import redaction, seams, spans
from timetracer_otel.families.http import messages
from timetracer_otel.families.http.body_stream import Body
from timetracer_otel.families.http.messages import Sent
from timetracer_otel.families.http.process_needs import is_process_need
from timetracer_otel.seams import Call, exceptions, faults, first_needs

__all__ = ["Recording", "begin", "in_exchange", "suppressed", "within"]

_P = ParamSpec("_P")

_FIRST: Final = 4
"""These may pass before the app has its first byte: a request's head and body, a response's head and first piece."""

in_exchange: ContextVar[bool] = ContextVar("timetracer_in_exchange", default=False)
"""Set while a seam's own I/O runs, so that a seam below it is not a second exchange."""


@contextmanager
def within() -> Iterator[None]:
    """Mark what runs inside as the I/O of one exchange."""
    token = in_exchange.set(True)
    try:
        yield
    finally:
        in_exchange.reset(token)


def suppressed() -> bool:
    """Whether calls here are nobody's business: an exporter's own, or below a seam that has them."""
    return in_exchange.get() or not is_instrumentation_enabled()


def begin(plugin: str, request: Sent) -> Recording | None:
    """Begin to record an exchange; None when nothing is recorded here. A fault of ours is reported, not raised.

    Args:
        plugin: the integration's name.
        request: without its body.
    """
    try:
        if seams.active() is None or suppressed():
            return None
        call = seams.begin(plugin, lambda: (request.method, _span_attributes(request)))
        return None if call is None else Recording(call, plugin, request)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"{plugin}.begin", error)
        return None


def _span_attributes(request: Sent) -> dict[str, spans.Attribute]:
    attributes: dict[str, spans.Attribute] = {
        spans.HTTP_METHOD: request.method,
        messages.URL: redaction.url(request.url),
    }
    try:
        parts = urlsplit(request.url)
        attributes["server.address"] = parts.hostname or ""
        if parts.port is not None:
            attributes["server.port"] = parts.port
    except ValueError:  # no URL, or a port that is no number: the client says so itself
        return attributes
    return attributes


def _step(method: Callable[Concatenate[Recording, _P], None]) -> Callable[Concatenate[Recording, _P], None]:
    """Let a fault of ours be reported, and only then be the end of this recording."""

    def call(self: Recording, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        if self._unseen:
            self.catch_up()
        if self.over:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            self.over = True
            self.call.lose(f"{self.plugin}.{method.__name__}", error)

    return call


class Recording:
    """Records one request, to the end of its response.

    Args:
        call: the span, and what waits beside it.
        plugin: the integration's name.
        request: without its body.
    """

    __slots__ = (
        "_head",
        "_late",
        "_lock",
        "_request_body",
        "_response_body",
        "_unseen",
        "call",
        "framing",
        "over",
        "plugin",
        "request",
        "streamed",
    )

    def __init__(self, call: Call, plugin: str, request: Sent) -> None:
        self.call = call
        self.plugin = plugin
        self.request = request
        self.over = False
        self._lock = threading.Lock()
        self._request_body: Body | None = None
        self._response_body: Body | None = None
        self._head: tuple[int, str, str, Iterable[tuple[str, str]]] | None = None
        self._unseen: list[Callable[[], None]] = []
        self.framing: Callable[[], dict[str, spans.Attribute]] | None = None
        """Gives how the response was written and arrived, where the connection is seen."""
        self.streamed: list[bytes] = []
        """Pieces of the body that came before the head is known."""
        # What an instrumentor's span is to carry must be seen before the instrumentor ends it.
        self._late = 0 if call.on_span and not call.own else _FIRST
        call.under_way = self
        call.payloads.append((self._encode_heads, "", b""))
        call.attributes[spans.INCOMPLETE] = "request,response"

    def later(self, look: Callable[[], None]) -> None:
        """Look at what has passed when the app has had it, while it waits for its first byte; after that at once.

        Args:
            look: does it, before the next step of this recording and before any of it is encoded.
        """
        self._unseen.append(look)
        if self._late:
            self._late -= 1
        else:
            self.catch_up()

    def catch_up(self) -> None:
        """Look at what was put off."""
        with self._lock:
            unseen, self._unseen = self._unseen, []
        for look in unseen:
            try:
                look()
            except Exception as error:  # noqa: BLE001 - recording never breaks the app
                self.call.attributes[spans.LOST] = True
                faults.report(f"{self.plugin}.look", error)

    @_step
    def sent(self, piece: bytes | memoryview) -> None:
        """Take a piece of the request's body."""
        if self._request_body is None:
            self._request_body = Body(self.call, spans.HTTP_REQUEST_BODY)
        self._request_body.add(piece)

    @_step
    def sent_all(self) -> None:
        """The request went out to its end."""
        if self._request_body is not None:
            self._request_body.end()
        if self.call.attributes.get(spans.INCOMPLETE) == "request,response":
            self.call.attributes[spans.INCOMPLETE] = "response"

    @_step
    def head(
        self,
        status: int,
        reason: str,
        version: str,
        headers: Iterable[tuple[str, str]],
        since: int | None,
    ) -> None:
        """Take the response's head; what comes after it is its body.

        Args:
            status: code.
            reason: phrase, empty in HTTP/2.
            version: such as ``1.1``.
            headers: in order.
            since: when it came, by the monotonic clock in nanoseconds; None when the pieces of the body will not be as
                they came from the peer, and so are not kept.
        """
        self._head = (status, reason, version, headers)
        if self.call.own:
            self.call.attributes[spans.HTTP_STATUS] = status
            if status >= 400:  # noqa: PLR2004 - the semantic conventions: of a client's span, 4xx and 5xx are errors
                self.call.span.set_status(Status(StatusCode.ERROR))
        self._response_body = Body(self.call, spans.HTTP_RESPONSE_BODY, since)
        if not self.call.own:
            self.call.complete()  # the instrumentor may end its span now; of the body it then gets a part

    @_step
    def received(self, piece: bytes | memoryview, *, continues: bool = False, at: int | None = None) -> None:
        """Take a piece of the response's body.

        Args:
            piece: before content decoding, without transfer coding.
            continues: whether it belongs to the piece before it.
            at: when it came, by the same clock; None for now.
        """
        if self._response_body is not None:
            self._response_body.add(piece, continues=continues, at=at)

    @_step
    def done(self) -> None:
        """The response came to its end."""
        self._finish(response=True)

    @_step
    def cut(self) -> None:
        """The peer ended the connection, before the response's end as far as we can tell."""
        self.call.attributes[messages.CUT] = "end"
        self._finish(response=False)

    @_step
    def abandoned(self) -> None:
        """The app stopped reading before the response's end."""
        self._finish(response=False)

    @_step
    def fail(self, error: BaseException, phase: str) -> None:
        """Take the exception that ended the exchange.

        Args:
            error: as the seam raised it.
            phase: ``connect``, ``head`` or ``body``.
        """
        self.call.attributes[messages.PHASE] = phase
        self.call.fail(error)
        self._finish(response=False)

    @_step
    def fail_sending(self, error: BaseException) -> None:
        """Take the exception that sending raised, after which the client may still read a response.

        Args:
            error: as the seam raised it.
        """
        self.call.attributes[messages.SEND_ERROR] = exceptions.encoded(error)

    def fail_unsent(self, error: BaseException) -> None:
        """Take the exception that came before anything was sent; what is known of the body counts as sent.

        Args:
            error: as the seam raised it.
        """
        if self.request.complete:
            if self.request.body:
                self.sent(self.request.body)
            self.sent_all()
        self.fail(error, "connect")

    def _encode_heads(self, _name: str, _payload: object) -> dict[str, spans.Attribute]:
        """Encode what is known of both heads; late, because the app waits for its first byte before."""
        try:
            attributes = messages.request_attributes(self.plugin, self.request)
            if self._head is not None:
                attributes |= messages.head_attributes(*self._head)
            return attributes if self.framing is None else attributes | self.framing()
        except Exception as error:  # noqa: BLE001 - one call is lost, not all that are written with it
            faults.report(f"{self.plugin}.encode", error)
            return {spans.PLUGIN: self.plugin, spans.LOST: True}

    def _finish(self, *, response: bool) -> None:
        with self._lock:
            if self.over:
                return
            self.over = True
        call = self.call
        if response:
            missing = call.attributes.pop(spans.INCOMPLETE, "")
            if missing == "request,response":
                call.attributes[spans.INCOMPLETE] = "request"
        for body in (self._request_body, self._response_body):
            if body is not None and not body.complete:
                body.end(failed=not response)
        if response and spans.INCOMPLETE not in call.attributes:
            self._keep_for_others()
        call.end()

    def _keep_for_others(self) -> None:
        """Keep in the session, too, what other requests of the process know from this one."""
        request, sent = self.request, self._request_body
        if any(body is not None and body.has_left for body in (sent, self._response_body)):
            return
        asked = request.method, request.url, request.body if sent is None else sent.held()
        if is_process_need(*asked):
            first_needs.keep(self.call, lambda: (request.method, _span_attributes(request)), asked)
