"""HTTP for every client: how a recorded exchange is described, answered, shown, and declared as an integration."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextvars import copy_context
from hashlib import blake2b
from typing import Any

from timetracer_otel import redaction, seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError, ReplayMiss
from timetracer_otel.families.entry.exchange import ClientGone
from timetracer_otel.families.http import bodies, description, going_out, imported_calls, messages
from timetracer_otel.families.http.messages import Reply, Sent
from timetracer_otel.families.http.recording import suppressed
from timetracer_otel.seams import Answer, Description, GoesOut, Integration, Patch, Responder, Value, exceptions, values

__all__ = [
    "PATIENCE",
    "ask",
    "ask_early",
    "ask_with",
    "declared",
    "error_of",
    "raise_error",
    "raise_from_sending",
    "responder",
    "too_far",
    "wait_for_leaving",
    "wait_to_be_cancelled",
]

_NOT_WHOLE = "the recorded call that answers {} {} {}: record it again"
PATIENCE = 20.0
"""Seconds that an app waits at the end of a response which the recorded one left open together with its own client."""
_GLANCE = 0.02
_SEARCHED = 1024 * 1024
"""Bytes of a reply up to which ids are looked for."""


def declared(name: str, patches: Iterable[Patch], **facts: Any) -> Integration:
    """Declare a client of HTTP.

    Args:
        name: of the integration.
        patches: its seams.
        facts: of the library, as :class:`timetracer_otel.seams.Integration` has them.
    """
    return Integration(
        name=name,
        patches=tuple(patches),
        describe=_describe,
        reply_values=_reply_values,
        answer=_told,
        render=_render,
        goes_out=True,
        **facts,
    )


def responder(plugin: str) -> Responder | None:
    """Give the responder of an integration's calls here; None when they go out."""
    return None if suppressed() else seams.responder(plugin)


def ask(answering: Responder, request: Sent) -> Reply:
    """Give the recorded reply to a live request.

    Args:
        answering: the responder.
        request: all of it.

    Raises:
        ReplayMiss: nothing recorded answers it.
        CassetteError: what was recorded is damaged.
    """
    return ask_with(answering, request, "")[0]


def ask_early(answering: Responder, request: Sent) -> Reply | None:
    """Give what is known before a request is sent: its reply, or what connecting raised; None when neither is.

    Args:
        answering: the responder.
        request: without its body when that is made while it is sent; ``complete`` says so.

    Raises:
        ReplayMiss: nothing recorded answers it.
        CassetteError: what was recorded is damaged.
    """
    if request.complete:
        return ask(answering, request)
    found = answering.next_in_lane(description.describe_unsent(request))
    return None if found is None else messages.reply_of(found.recorded)


def ask_with(answering: Responder, request: Sent, name: str) -> tuple[Reply, str | None]:
    """As :func:`ask`, and a text attribute of the recorded call; of one that went out there is none."""
    try:
        answer = _answer(answering, request)
    except GoesOut:
        return going_out.exchange(request), None
    return _reply(answering, answer), answer.recorded.text(name)


def _answer(answering: Responder, request: Sent) -> Answer:
    described, unsent = description.describe_both(request)
    imported = imported_calls.described(answering, request)
    instead = imported or (*description.describe_blind(request), unsent)
    answer = answering.answer(
        described, lambda: description.shown(request), instead, recording=lambda: messages.sent_attributes(request)
    )
    imported_calls.check(answering, answer.recorded, request)
    if answer.recorded.text(spans.HTTP_STATUS_LINE) is None and answer.recorded.text(spans.ERROR) is None:
        ended = "was under way when the recording ended"
        answering.refuse(_NOT_WHOLE.format(request.method, redaction.url(request.url), ended))
    return answer


def _reply(answering: Responder, answer: Answer) -> Reply:
    reply = messages.reply_of(answer.recorded)
    reply.wait = answering.wait(answer.recorded)
    context = copy_context()  # it may be read where no lane is current
    reply.refuse = lambda message: context.run(answering.refuse, message)
    if not reply.complete and answering.left_open():
        reply.gone = lambda: context.copy().run(answering.client_gone)
    return _rebound(reply, answer.bindings) if answer.bindings and reply.status else reply


def _rebound(reply: Reply, bindings: Mapping[Value, Value]) -> Reply:
    """Put the live run's own ids where the recorded ones stand."""
    headers = [(name, values.rebound(value, bindings)) for name, value in reply.headers]
    coding = reply.header("content-encoding").strip().lower()
    body = _rebound_body(reply, bindings, coding)
    if body != reply.body:
        # Packed anew or of another length: it comes in one piece, and says its length.
        size = str(len(body))
        headers = [(name, size if name.lower() == "content-length" else value) for name, value in headers]
        pieces = reply.pieces if len(body) == len(reply.body) else [len(body)]
        reply.body, reply.pieces = body, pieces
    reply.headers = headers
    return reply


def _rebound_body(reply: Reply, bindings: Mapping[Value, Value], coding: str) -> bytes:
    plain = bodies.unpacked(reply.body, coding)
    if len(plain) > _SEARCHED or (coding and plain is reply.body):
        return reply.body
    try:
        text = plain.decode("utf-8")
    except UnicodeDecodeError:
        return reply.body
    rebound = values.rebound(text, bindings)
    return reply.body if rebound == text else bodies.packed(rebound.encode("utf-8"), coding)


def error_of(
    reply: Reply, live: Iterable[object] = (), headers: exceptions.Maker | None = None
) -> BaseException | None:
    """Give what ended the recorded exchange, if anything did.

    Args:
        reply: recorded.
        live: the client's objects that the exception may hold.
        headers: makes the client's own headers of pairs.

    Raises:
        ReplayMiss: it cannot be made again.
        CassetteError: likewise, where no lane is known.
    """
    return None if reply.error is None else _rebuilt(reply, reply.error, live, headers)


def _rebuilt(reply: Reply, error: str, live: Iterable[object], headers: exceptions.Maker | None) -> BaseException:
    try:
        return exceptions.rebuilt(error, live, headers)
    except CassetteError as cause:
        if reply.refuse is not None:
            reply.refuse(str(cause))
        raise


def raise_error(reply: Reply, live: Iterable[object] = (), headers: exceptions.Maker | None = None) -> None:
    """Raise what ended the recorded exchange, if anything did.

    Args:
        reply: recorded.
        live: the client's objects that the exception may hold.
        headers: makes the client's own headers of pairs.
    """
    error = error_of(reply, live, headers)
    if error is not None:
        raise error


def raise_from_sending(reply: Reply, live: Iterable[object] = ()) -> None:
    """Raise what sending raised, before the response that the client may read all the same.

    Args:
        reply: recorded.
        live: the client's objects that the exception may hold.
    """
    if reply.send_error is not None:
        raise _rebuilt(reply, reply.send_error, live, None)


def wait_for_leaving(reply: Reply) -> None:
    """Wait as the recorded app did, whose peer had more to say: until its client leaves, or not for ever.

    Args:
        reply: that the app has read as far as it was recorded.

    Raises:
        ClientGone: the live client has left too.
    """
    until = time.monotonic() + PATIENCE
    while reply.gone is not None and time.monotonic() < until:
        if reply.gone():
            raise ClientGone
        time.sleep(_GLANCE)


async def wait_to_be_cancelled(reply: Reply) -> None:
    """As :func:`wait_for_leaving` where the app's server cancels what a client has left."""
    if reply.gone is not None:
        await asyncio.sleep(PATIENCE)


def too_far(reply: Reply) -> ReplayMiss:
    """Count, once, that the app reads further than it did in the recording; give the miss to be raised."""
    message = (
        f"the recorded app stopped reading this response when {len(reply.body)} bytes of it had come: what comes after "
        "them is not in the cassette; record it again with the code that reads on"
    )
    refuse, reply.refuse = reply.refuse, None
    try:
        if refuse is not None:
            refuse(message)
    except ReplayMiss as miss:
        return miss
    return ReplayMiss(message)


def _describe(recorded: Span) -> Description | None:
    request = messages.sent_of(recorded)
    if request is None:
        return None
    if (imported := imported_calls.recorded(recorded, request)) is not None:
        return imported
    whole = request.complete and spans.LOST not in recorded.attributes
    return description.describe(request) if whole else description.describe_unsent(request)


def _reply_values(recorded: Span) -> Iterable[Value]:
    if recorded.text(spans.HTTP_STATUS_LINE) is None:
        return
    reply = messages.reply_of(recorded)
    for _, value in reply.headers:
        yield from values.found_in(value)
    if len(reply.body) <= _SEARCHED:
        plain = bodies.unpacked(reply.body, reply.header("content-encoding"))
        yield from values.found_in(plain.decode("utf-8", "ignore"))


def _told(recorded: Span) -> bytes:
    reply = messages.reply_of(recorded)
    told = blake2b(
        f"{reply.status} {reply.header('content-type')} {reply.header('location')}\0".encode(), digest_size=16
    )
    told.update(bodies.unpacked(reply.body, reply.header("content-encoding")))
    return told.digest() if reply.complete and reply.status else recorded.span_id.encode()


def _render(recorded: Span) -> dict[str, Any]:
    request, reply = messages.sent_of(recorded), messages.reply_of(recorded)
    shown: dict[str, Any] = {"request": None, "response": None}
    if request is not None:
        shown["request"] = description.shown(request)
        shown["request_headers"] = [list(pair) for pair in redaction.headers(request.headers)]
    if reply.status:
        body = bodies.shown(reply.body, reply.header("content-type"), reply.header("content-encoding"))
        line = {"status": reply.status, "reason": reply.reason, "version": reply.version}
        shown["response"] = {**line, "headers": [list(pair) for pair in reply.headers], "body": body}
        if reply.trailers:
            shown["response"]["trailers"] = [list(pair) for pair in reply.trailers]
        if not reply.complete:
            shown["response"]["note"] = "not read to its end"
    if reply.error is not None:
        shown["error"] = {"phase": reply.phase, "raised": reply.error}
    return shown
