"""The made-up protocol as an integration: what is recorded of its drivers, and what its peer says in a replay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import chain
from typing import Any

from tests.nowhere.parley import Asked
from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.nowhere import END, Dialogue, Reply, Say, Wait
from timetracer_otel.families.nowhere.recorded import replies
from timetracer_otel.families.nowhere.sockets import Socket
from timetracer_otel.families.nowhere.tls import PATCHES
from timetracer_otel.families.nowhere.transports import connection, streams
from timetracer_otel.seams import Answer, Call, Description, Integration, Patch, Responder, Stream

NAME = "parley"
GREETING = "parley.greeting"
_MODULE = "tests.nowhere.parley"


def described(request: bytes) -> Description:
    """What a request asks."""
    return Description((NAME, "ask", request.decode()), hashlib.sha256(request).digest(), (), read=False)


class Parley(Dialogue[bytes]):
    """What the recorded server says on one connection."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._unfinished = b""
        self._streams: list[Stream] = []

    def greet(self, say: Say[bytes]) -> Iterable[Reply[bytes]]:
        """It speaks first."""
        self._say = say
        return ((self._responder.facts(GREETING) or "HI").encode() + b"\n",)

    def feed(self, data: bytes) -> Iterable[Reply[bytes]]:
        """Answer each whole request."""
        *requests, self._unfinished = (self._unfinished + data).split(b"\n\n")
        return chain.from_iterable([self._answered(request + b"\n\n") for request in requests])

    def _answered(self, request: bytes) -> Iterable[Reply[bytes]]:
        if request == b"TLS\n\n":
            return (b"READY\n",)
        answer = self._responder.answer(described(request), request.decode)
        if request.startswith(b"SUB "):
            self._streams.append(self._responder.stream(answer.recorded))
            before = answer.recorded

            def tell(pushed: Answer) -> None:
                nonlocal before
                for reply in replies(self._responder, pushed, before):
                    self._say(reply)
                before = pushed.recorded

            self._streams[-1].watch(tell)
        said = replies(self._responder, answer)
        return chain(said, (END,)) if request.endswith(b"BYE\n\n") else said

    def awaited(self) -> Iterable[Reply[bytes]]:
        """The peer is silent; who waits waits as long as then, where that is wanted."""
        return (Wait(None),) if seams.settings().pace == "recorded" else ()

    def close(self) -> None:
        """Tell nothing more."""
        for stream in self._streams:
            stream.close()


def _begin() -> Call | None:
    return seams.begin(NAME, lambda: ("ask", {"db.system.name": NAME}))


def _end(driver: Any, call: Call | None, asked: Asked, error: BaseException | None = None) -> None:
    if call is None or asked.request == b"TLS\n\n":
        return
    call.attributes[GREETING] = driver.greeting
    call.put(spans.REQUEST, asked.request)
    call.put_replies(asked.replies)
    if error is not None:
        call.fail(error)
    call.end()
    if asked.request.startswith(b"SUB "):
        driver.subscribed = call.span_id


def _exchange(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    call = _begin()
    try:
        told = wrapped(*args, **kwargs)
    except BaseException as error:
        _end(instance, call, args[0], error)
        raise
    _end(instance, call, args[0])
    return told


async def _exchange_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    call = _begin()
    try:
        told = await wrapped(*args, **kwargs)
    except BaseException as error:
        _end(instance, call, args[0], error)
        raise
    _end(instance, call, args[0])
    return told


def _pushed(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    call = seams.start(NAME, lambda: ("message", {"db.system.name": NAME})) if args[0] else None
    if call is not None:
        call.follow(instance.subscribed)
        call.put_replies([args[0]])
        call.end()
    return wrapped(*args, **kwargs)


def _connect(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    return wrapped(*args, **kwargs) if responder is None else Socket(Parley(responder), args[0])


async def _connect_streams(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    return await wrapped(*args, **kwargs) if responder is None else streams(Parley(responder), 2**24)


async def _create(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    return await wrapped(*args, **kwargs) if responder is None else connection(args[0], Parley(responder))


def _describe(recorded: Span) -> Description:
    request = recorded.payload(spans.REQUEST)
    if request is None:
        return Description((NAME, "message"), recorded.payload(spans.RESPONSE) or b"", (), read=True)
    return described(request)


INTEGRATION = Integration(
    name=NAME,
    patches=(
        *PATCHES,
        Patch(_MODULE, "Driver.pushed", _pushed),
        Patch(_MODULE, "Client.connect", _connect),
        Patch(_MODULE, "Client.exchange", _exchange),
        Patch(_MODULE, "AsyncClient.connect", _connect_streams),
        Patch(_MODULE, "AsyncClient.exchange", _exchange_async),
        Patch(_MODULE, "ProtocolClient.create", _create),
    ),
    describe=_describe,
    render=lambda recorded: {"request": recorded.text(spans.REQUEST)},
)
