"""Messages that kombu publishes, each a call: those of the app, and those by which Celery starts tasks."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.amqp import asking
from timetracer_otel.families.messaging import publishing
from timetracer_otel.families.messaging.publishing import Published
from timetracer_otel.families.messaging.working import to_json
from timetracer_otel.integrations._celery_broker import BROKER, NAME
from timetracer_otel.integrations._kombu_consumers import AWAITED, RESULTS
from timetracer_otel.seams import Description, Responder, faults
from timetracer_otel.seams.brokering import BrokersWork

__all__ = ["describe", "published", "render"]

_OWN_EXCHANGES: Final = ("celeryev", "celery.pidbox", "reply.celery.pidbox")
"""Where workers talk among themselves: events and remote control."""
_OF_ONE: Final = frozenset({
    "id", "root_id", "parent_id", "origin", "eta", "expires", "argsrepr", "kwargsrepr", "group", "stack",
    "traceparent", "tracestate", "baggage", "replaced_task_nesting",
})  # fmt: skip
"""Headers that say the same as the body, or another thing in each run."""
_OF_PROCESS: Final = re.compile(rb'("reply_to": ?)"[0-9a-f-]{36}"')
"""In the body of a message of JSON, the queue by which the process that sent it could be answered."""


def published(original: Any) -> Any:
    """Around kombu's ``Producer._publish``, below serializing and above retries of the connection."""

    def publish(self: Any, *args: Any, **kwargs: Any) -> Any:
        message = faults.guarded("celery.message", _message, *args)
        if message is None:
            with BrokersWork():
                return original(self, *args, **kwargs)
        responder = seams.responder(NAME)
        asks = _request(message, *args)
        if responder is not None:
            return _answer(responder, message, asks)
        begun = publishing.begin(NAME, message)
        if begun is not None and asks is not None:
            AWAITED.add(*asks, begun)
        try:
            with BrokersWork():  # connections and queues are made at the first message
                result = original(self, *args, **kwargs)
        except BaseException as error:
            publishing.end(NAME, begun, error)
            raise
        publishing.end(NAME, begun, None)
        return result

    return publish


def _message(  # noqa: PLR0913, PLR0917 - as kombu calls it
    body: Any,
    priority: Any,
    content_type: Any,
    content_encoding: Any,
    headers: Mapping[str, Any] | None,
    properties: Mapping[str, Any],
    routing_key: Any,
    _mandatory: Any,
    _immediate: Any,
    exchange: Any,
    *_: Any,
) -> Published | None:
    """Give a message that the app sends; None for what workers tell one another."""
    if seams.active() is None or str(exchange or "").startswith(_OWN_EXCHANGES):
        return None
    told = dict(headers or {})
    counted = {key: value for key, value in told.items() if key not in _OF_ONE}
    return Published(
        system="kombu",
        destination=f"{exchange}/{routing_key}" if exchange else str(routing_key),
        name=str(told.get("task") or ""),
        body=body.encode() if isinstance(body, str) else bytes(body),
        content_type=str(content_type or ""),
        content_encoding=str(content_encoding or ""),
        headers={**counted, "priority": priority},
        others={key: value for key, value in told.items() if key in _OF_ONE}
        | {"properties": to_json(dict(properties))},
    )


def _request(message: Published, *args: Any) -> tuple[str, str] | None:
    """Where a message wants to be answered, and by which id; None of one that does not.

    A task of Celery's names its process, whether or not its result comes by a message.
    """
    properties = args[5]
    if not properties.get("reply_to") or (message.name and RESULTS not in sys.modules):
        return None
    to = properties["reply_to"]
    return str(getattr(to, "name", to)), str(properties.get("correlation_id") or "")


def _compared(message: Published) -> Published:
    """A message without what tells the process that sent it: a chord that a task starts names it in its body."""
    return replace(message, body=_OF_PROCESS.sub(rb"\1null", message.body))


def _answer(responder: Responder, message: Published, asks: tuple[str, str] | None) -> None:
    compared = _compared(message)
    answer = responder.answer(
        publishing.describe(compared),
        lambda: publishing.render(compared),
        recording=lambda: spans.encode_payload(spans.REQUEST, message.encoded()),
    )
    publishing.raise_recorded(answer.recorded)
    if asks is not None:
        BROKER.listen(responder, answer, *asks)


def describe(recorded: Span) -> Description | None:
    """Say what a recorded call asked; None when it does not say.

    Args:
        recorded: its span.
    """
    if spans.FOLLOWS in recorded.attributes:
        return asking.describe_recorded(recorded)
    message = publishing.recorded(recorded)
    return None if message is None else publishing.describe(_compared(message))


def render(recorded: Span) -> dict[str, Any]:
    """Give a recorded call for people.

    Args:
        recorded: its span.
    """
    if spans.FOLLOWS in recorded.attributes:
        return asking.render(recorded)
    message = publishing.recorded(recorded)
    shown: dict[str, Any] = {} if message is None else {"request": publishing.render(_compared(message))}
    if (error := recorded.text(spans.ERROR)) is not None:
        shown["error"] = spans.json_or_text(error)
    return shown
