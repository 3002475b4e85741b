"""A message that a producer sends, as a call: the message is what it asks, the broker's report what it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Literal, TypeAlias

from opentelemetry.trace import SpanKind

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.http import bodies
from timetracer_otel.families.kafka import errors
from timetracer_otel.families.kafka.asking import SYSTEM
from timetracer_otel.families.kafka.values import Forms
from timetracer_otel.families.kinds import message
from timetracer_otel.families.kinds.message import Record
from timetracer_otel.seams import Call, Description, Responder
from timetracer_otel.seams.calls import CARRIED, pending
from timetracer_otel.seams.values import Blanker

__all__ = ["NOTHING", "Report", "Sending", "answered", "begin", "describe", "hold", "record", "recorded", "render"]

RECORD: Final = "timetracer.kafka.record"
"""All of a sent message but its body, in JSON, as :meth:`Record.encoded` gives it."""
FAILED: Final = "timetracer.kafka.failed"
"""On a call with an error: whether sending raised it (``send``), or the broker's report said it (``report``)."""
OUTLIVED: Final = "timetracer.kafka.flushes"
"""How many flushes of the producer ran out of time between sending and report; absent where none did."""
_TRACING: Final = frozenset({"traceparent", "tracestate", "baggage", "b3", "uber-trace-id", "x-b3-traceid"})
"""Headers that OpenTelemetry adds: they are others in each run."""
Failed: TypeAlias = Literal["send", "report"]


def record(  # noqa: PLR0913, PLR0917 - the parts of a message
    topic: str,
    value: bytes | None,
    key: bytes | None,
    headers: Sequence[tuple[str, Any]] | Mapping[str, Any] | None = None,
    partition: int | None = None,
    timestamp: int | None = None,
) -> Record:
    """Give a message as it leaves the app.

    Args:
        topic: where it goes.
        value: its body.
        key: likewise bytes.
        headers: in order, or by name.
        partition: that the app chose; None for the partitioner's choice.
        timestamp: in milliseconds, that the app gave; None for that of the client.
    """
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers or ())
    chosen = {"partition": partition, "timestamp": timestamp}
    properties = {name: one for name, one in chosen.items() if one is not None}
    return Record(
        topic, None if value is None else bytes(value), None if key is None else bytes(key), pairs, properties
    )


class Sending:
    """One message from when the app sends it until the broker reports. A fault of ours is reported, not raised.

    The span ends when the app goes on. The report comes later, from any thread, and completes the call.

    Args:
        plugin: the integration's name.
        call: None when nothing is recorded.
        forms: of the library.
    """

    def __init__(self, plugin: str, call: Call | None, forms: Forms) -> None:
        self._plugin = plugin
        self._call = call
        self._forms = forms

    def sent(self, sent: Record) -> None:
        """Take the message: it is on its way."""
        call = self._call
        if call is None:
            return
        try:
            call.attributes[RECORD] = json.dumps(sent.encoded())
            if sent.body is not None:
                call.put(spans.REQUEST, sent.body)
            call.under_way = self
            if call.own:
                call.span.end()
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            self._lose(error)

    def refused(self, sent: Record | None, error: BaseException) -> None:
        """Take what sending raised.

        Args:
            sent: the message; None where the app's own functions could not make one: then it was no call.
            error: it.
        """
        if sent is not None:
            self.sent(sent)
            self.failed(error, "send")
        elif self._call is not None:
            self._end()

    def reported(self, report: object, outlived: int = 0) -> None:
        """Take what the broker reported.

        Args:
            report: of the library's classes.
            outlived: how many flushes ran out of time meanwhile.
        """
        if self._call is not None:
            try:
                if outlived:
                    self._call.attributes[OUTLIVED] = outlived
                self._call.put(spans.RESPONSE, json.dumps(self._forms.plain(report)).encode())
                self._end()
            except Exception as error:  # noqa: BLE001 - recording never breaks the app
                self._lose(error)

    def failed(self, error: BaseException, how: Failed) -> None:
        """Take what sending raised, or what the report said.

        Args:
            error: it.
            how: which of the two.
        """
        if self._call is not None:
            try:
                self._call.attributes[FAILED] = how
                errors.note(self._call, error, self._forms)
                self._end()
            except Exception as fault:  # noqa: BLE001 - recording never breaks the app
                self._lose(fault)

    def _end(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.end()

    def _lose(self, error: Exception) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.lose(f"{self._plugin}.send", error)

    def catch_up(self) -> None:
        """A report is there or not."""

    def abandoned(self) -> None:
        """The process ends before the report."""
        self._end()


class _Held:
    """Holds a call open whose span the instrumentor ends before the message is sent."""

    def catch_up(self) -> None:
        """Nothing passes."""

    def abandoned(self) -> None:
        """It was never sent."""


_held: Final = _Held()


def hold(span: object) -> None:
    """Keep the call of a span that its instrumentor is about to end, for :func:`begin`.

    Args:
        span: of the message that is sent next.
    """
    call: Call | None = getattr(span, CARRIED, None)
    if call is not None and not call.taken:
        call.under_way = _held


def begin(plugin: str, topic: str, forms: Forms) -> Sending:
    """Begin to record a message, on the instrumentor's span where it makes one.

    Args:
        plugin: the integration's name.
        topic: where it goes.
        forms: of the library.
    """
    call = pending.get()
    if call is not None and call.under_way is _held and not call.taken and plugin not in seams.switched_off:
        call.taken = True
        call.attributes[spans.PLUGIN] = plugin
    else:
        call = seams.begin(plugin, lambda: (f"{topic} send", _attributes(topic)), SpanKind.PRODUCER)
    return Sending(plugin, call, forms)


def _attributes(topic: str) -> dict[str, spans.Attribute]:
    return {
        "messaging.system": SYSTEM,
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": topic,
    }


NOTHING: Final = object()
"""No report."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a sent message.

    Attributes:
        told: what the broker reported; :data:`NOTHING` when no report had come when the recording ended.
        error: that it reported.
        outlived: how many flushes ran out of time before it came.
    """

    told: Any = NOTHING
    error: BaseException | None = None
    outlived: int = 0


def answered(responder: Responder, sent: Record, forms: Forms) -> Report:
    """Answer a message that is sent from the recording.

    Args:
        responder: of the integration.
        sent: the live message.
        forms: of the library.

    Raises:
        ReplayMiss: it was not recorded.
        BaseException: what sending raised then.
    """
    answer = responder.answer(describe(sent), lambda: render(sent), recording=lambda: _encoded(sent))
    if (error := errors.of(responder, answer.recorded, forms)) is not None:
        if answer.recorded.text(FAILED) == "send":
            raise error
        return Report(error=error)
    told = answer.recorded.payload(spans.RESPONSE)
    outlived = answer.recorded.attributes.get(OUTLIVED)
    return Report() if told is None else Report(forms.made(json.loads(told)), outlived=int(str(outlived or 0)))


def _encoded(sent: Record) -> dict[str, spans.Attribute]:
    body = {} if sent.body is None else spans.encode_payload(spans.REQUEST, sent.body)
    return {RECORD: json.dumps(sent.encoded()), **body}


def recorded(span: Span) -> Record | None:
    """Give the message of a recorded call; None of another call.

    Args:
        span: the call.
    """
    head = span.text(RECORD)
    return None if head is None else message.decoded(json.loads(head), span.payload(spans.REQUEST))


def describe(sent: Record) -> Description:
    """Say what a message asks, so that the same one of another run compares equal.

    Args:
        sent: recorded or live.
    """
    blank, ignored = Blanker(), frozenset(seams.settings().ignore_fields)
    parts = [json.dumps(_counted(sent), sort_keys=True).encode(), *((b"-",) if sent.body is None else ())]
    bodies_of = [
        bodies.canonical(part, "", "", blank, ignored)
        for part in (sent.key or b"", *_header_bytes(sent), sent.body or b"")
    ]
    digest = blake2b(digest_size=16, person=b"kafka send")
    for part in (*parts, *bodies_of):
        digest.update(b"%d:" % len(part) + part)
    key = (SYSTEM, "send", sent.destination)
    return Description(key, digest.digest(), tuple(blank.values), read=False, subjects=((SYSTEM, sent.destination),))


def _counted(sent: Record) -> dict[str, Any]:
    """What is compared as it is."""
    told = {name: one for name, one in sent.properties.items() if name != "timestamp"}
    return {**told, "has_key": sent.key is not None, "headers": [name for name, _value in _own(sent)]}


def _own(sent: Record) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in message.redacted(sent.headers) if name.lower() not in _TRACING]


def _header_bytes(sent: Record) -> list[bytes]:
    return [value if isinstance(value, bytes) else str(value).encode() for _name, value in _own(sent)]


def render(sent: Record) -> dict[str, Any]:
    """Give a message for people, and for the difference in a miss.

    Args:
        sent: recorded or live.
    """
    key = {} if sent.key is None else {"key": _text(sent.key)}
    headers = [[name, _text(value)] for name, value in _own(sent)]
    told = {name: one for name, one in sent.properties.items() if name != "timestamp"}
    head = {"topic": sent.destination, **key, **({"headers": headers} if headers else {}), **told}
    return {**head, "body": _text(sent.body)}


def _text(value: Any) -> Any:
    """Give bytes for people; none at all are not the same as an empty text."""
    return bodies.shown(value, "", "") if isinstance(value, bytes) and value else "" if value == b"" else value
