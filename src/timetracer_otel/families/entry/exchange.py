"""One HTTP exchange at an entry while it passes: what WSGI and ASGI have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from timetracer_otel import spans
from timetracer_otel.families.kinds.http import Left, Request, Response
from timetracer_otel.seams import Headers, Lane, Runtime, faults
from timetracer_otel.seams.handover import handover

__all__ = [
    "MARK",
    "ClientGone",
    "Exchange",
    "expects_body",
    "guarded",
    "held",
    "latin1",
    "open_exchange",
    "origin_form",
    "quoted",
]

MARK = "timetracer.lane"
"""The key in an environ or a scope that says: this request has its lane already."""

_AUTHORITY = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*")
_now = time.time_ns  # as it is now: what the app reads is replayed
_P = ParamSpec("_P")
_R = TypeVar("_R")


def guarded(where: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R | None]]:
    """Make a fault in a capturing function a report instead of an exception in the app.

    Args:
        where: the place, as :func:`faults.report` takes it.
    """

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R | None]:
        def call(*args: _P.args, **kwargs: _P.kwargs) -> _R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - any bug of ours
                faults.report(where, error)
                return None

        return call

    return decorate


def _step(method: Callable[Concatenate[Exchange, _P], None]) -> Callable[Concatenate[Exchange, _P], None]:
    """As :func:`guarded`, the place being that of the exchange."""

    def call(self: Exchange, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - any bug of ours
            faults.report(f"{self.place}.{method.__name__.strip('_')}", error)

    return call


class ClientGone(GeneratorExit):
    """Ends what a replayed app does for a client that has left, where the app waits for a peer in vain.

    The recorded app got a GeneratorExit from its server at its next piece of the response, which a replay cannot make.
    """


class Exchange:
    """A request that an app is answering: what was sent so far, and the end of its lane, once.

    Args:
        place: ``wsgi`` or ``asgi``, for fault reports.
        carrier: the environ or scope that bears :data:`MARK` meanwhile.
        lane: opened for the request.
        request: what is answered.
    """

    __slots__ = ("_carrier", "finished", "lane", "left", "place", "request", "unseen")

    def __init__(self, place: str, carrier: MutableMapping[str, Any], lane: Lane, request: Request) -> None:
        self.place = place
        self.lane = lane
        self.request = request
        self.unseen = False
        """Whether a part of the body went out by a way that shows us no bytes."""
        self.left: int | None = None
        """How many bytes of the announced Content-Length are still to come; None without one."""
        self.finished = False
        self._carrier = carrier
        carrier[MARK] = lane

    @_step
    def start(self, status: str, headers: Headers) -> None:
        """Take the response's head; a later one replaces it (the server has refused it if that was too late)."""
        earlier = self.request.response
        body = [] if earlier is None else earlier.body
        self.request.response = Response(status, headers, body)
        length = next((value for name, value in headers if name.lower() == "content-length"), "")
        self.left = None if (announced := spans.whole_number(length)) is None else announced - sum(map(len, body))
        if not self._holds_back():
            _leaves(status)

    @_step
    def sent(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take a piece of the response's body."""
        response = self.request.response
        if response is not None and chunk:
            if handover.began is not None:
                _leaves(response.status)
            data = held(chunk)
            response.body.append(data)
            if self.left is not None:
                self.left -= len(data)
            self.lane.grew(response, len(data))

    @property
    def is_whole(self) -> bool:
        """Whether the body is as long as its announced length."""
        return self.left is not None and self.left <= 0

    @_step
    def client_left(self) -> None:
        """Take note that the client has left; only the first call counts, and none after the end."""
        request = self.request
        if not self.finished and request.left is None:
            uploading = request.response is None and not request.complete
            request.left = Left("request" if uploading else "response", _now())

    def closed(self, error: BaseException | None = None) -> None:
        """End the lane's entry: the server wants no more of the body.

        Args:
            error: what closing it raised.
        """
        response = self.request.response
        if not self.finished and error is None and not (response and self._needs_no_more(response)):
            self.client_left()
        self.finish(ended=False, error=error)

    def finish(self, *, ended: bool, error: BaseException | None = None) -> None:
        """End the lane's entry; only the first call counts.

        Args:
            ended: whether the end of the body was seen.
            error: what left the app.
        """
        if not self.finished:
            self.finished = True
            self._finish(ended, error)

    @_step
    def _finish(self, ended: bool, error: BaseException | None) -> None:  # noqa: FBT001 - internal half of finish()
        self._carrier.pop(MARK, None)
        if error is not None and self._holds_back():
            self.request.response = None  # the server answers by itself, as if the app had begun none
        response = self.request.response
        if response is not None:
            _leaves(response.status)
            response.complete = error is None and not self.unseen and (ended or self._needs_no_more(response))
        if self.place == "wsgi":  # an ASGI app goes on behind its response: its own seam sees its end
            self.lane.end_code()
        self.lane.finish(error)

    def _holds_back(self) -> bool:
        """Whether the response is with us alone: a server of WSGI sends no head before some of the body (PEP 3333)."""
        response = self.request.response
        return self.place == "wsgi" and response is not None and not response.body

    def _needs_no_more(self, response: Response) -> bool:
        """Whether the body is whole although the app did not say so (RFC 9112, section 6.3)."""
        if self.request.method == "HEAD" or response.code in {204, 304}:
            return True
        return self.is_whole


def _leaves(status: str) -> None:
    """Tell whose request it is that from now on the client sees of the response."""
    began, handover.began = handover.began, None
    if began is not None:
        began(status)


def open_exchange(place: str, runtime: Runtime, carrier: MutableMapping[str, Any], request: Request) -> Exchange | None:
    """Open a lane for a request; None when it is not to be recorded."""
    lane = runtime.open_lane(request)
    return None if lane is None else Exchange(place, carrier, lane, request)


def held(chunk: bytes | bytearray | memoryview) -> bytes:
    """Give a chunk that can be kept: itself, or a copy of what its owner may change."""
    return chunk if type(chunk) is bytes else bytes(memoryview(chunk))


def expects_body(request: Request) -> bool:
    """Whether a request has a body to read (RFC 9112, section 6.3; in HTTP/2 only its frames tell)."""
    length = request.header("content-length")
    if length is not None:
        return length.strip() not in {"", "0"}
    if request.header("transfer-encoding") is not None:
        return True
    return request.http_version[:1] in {"2", "3"} and request.method not in {"GET", "HEAD", "OPTIONS"}


def origin_form(target: str) -> str:
    """Reduce an absolute-form target to path and query (RFC 9112, section 3.2); others stay as they are."""
    authority = _AUTHORITY.match(target)
    if authority is None:
        return target
    rest = target[authority.end() :]
    return rest if rest.startswith("/") else "/" + rest


def quoted(path: bytes) -> str:
    """Give a decoded path as it may have been in a request line."""
    return quote(path, safe="/:@!$&'()*+,;=-._~")


def latin1(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Give header pairs of bytes as text, in order."""
    return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in pairs]
