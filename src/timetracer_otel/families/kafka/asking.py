"""What a client asks its broker beside messages (offsets, partitions), and what it tells it (commits, seeks): calls."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from types import TracebackType
from typing import Any, Final, Self

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.kafka import errors
from timetracer_otel.families.kafka.values import Forms, canonical
from timetracer_otel.seams import Call, Description, Responder

__all__ = ["Asking", "Question", "answered", "asked_in", "describe", "digest", "render", "shown"]

SYSTEM: Final = "kafka"
_SETTLES: Final = frozenset({"commit", "commit_async", "send_offsets_to_transaction"})


@dataclass(frozen=True, slots=True)
class Question:
    """One call of a client's method.

    Attributes:
        operation: the method's name.
        group: of the consumer; empty of others.
        arguments: that count, JSON-like.
        reads: whether it changes nothing.
    """

    operation: str
    group: str
    arguments: Any
    reads: bool

    def encoded(self) -> bytes:
        """As it is recorded."""
        told = {"operation": self.operation, "group": self.group, "arguments": self.arguments, "reads": self.reads}
        return json.dumps(told).encode()

    @classmethod
    def of(  # noqa: PLR0913 - the parts of one call
        cls,
        operation: str,
        forms: Forms,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        group: str = "",
        reads: bool = True,
    ) -> Self:
        """Give the question that a method's call is. Functions, and how long it may take, do not count.

        Args:
            operation: the method's name.
            forms: of the library.
            args: of the call.
            kwargs: likewise.
            group: of the consumer.
            reads: whether it changes nothing.
        """
        named = {name: one for name, one in kwargs.items() if "timeout" not in name and not callable(one)}
        plain = forms.plain([[one for one in args if not callable(one)], named])
        return cls(operation, group, plain, reads)


class Asking:
    """Records one call, for a ``with`` block around it, in plain and in async code.

    Args:
        plugin: the integration's name.
        question: None when it cannot be described: then nothing is recorded.
        forms: of the library.
    """

    def __init__(self, plugin: str, question: Question | None, forms: Forms) -> None:
        self._plugin = plugin
        self._question = question
        self._forms = forms
        self._call: Call | None = None

    def __enter__(self) -> Self:
        if self._question is not None:
            self._call = seams.start(self._plugin, self._named)
        return self

    def _named(self) -> tuple[str, dict[str, spans.Attribute]]:
        assert self._question is not None  # noqa: S101 - else there is no call
        asked = self._question
        told: dict[str, spans.Attribute] = {"messaging.system": SYSTEM, "messaging.operation.name": asked.operation}
        if asked.operation in _SETTLES:
            told["messaging.operation.type"] = "settle"
        if asked.group:
            told["messaging.consumer.group.name"] = asked.group
        return f"{asked.operation} {asked.group}".rstrip(), told

    def told(self, answer: Any) -> None:
        """Take what the method gave."""
        if self._call is not None and self._question is not None:
            try:
                self._call.put(spans.RESPONSE, json.dumps(self._forms.plain(answer)).encode())
            except Exception as error:  # noqa: BLE001 - recording never breaks the app
                self._lose(error)

    def _lose(self, error: Exception) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.lose(f"{self._plugin}.ask", error)

    def __exit__(self, kind: object, error: BaseException | None, frames: TracebackType | None) -> None:
        if self._call is None or self._question is None:
            return
        try:
            self._call.put(spans.REQUEST, self._question.encoded())
            if error is not None:
                errors.note(self._call, error, self._forms)
            self._call.end()
        except Exception as fault:  # noqa: BLE001 - recording never breaks the app
            self._lose(fault)


def answered(responder: Responder, question: Question, forms: Forms) -> Any:
    """Answer a call from the recording.

    Args:
        responder: of the integration.
        question: the live call.
        forms: of the library.

    Raises:
        ReplayMiss: it was not recorded, or its answer was not.
        BaseException: what the method raised then.
    """
    answer = responder.answer(
        describe(question),
        lambda: render(question),
        recording=lambda: spans.encode_payload(spans.REQUEST, question.encoded()),
    )
    if (error := errors.of(responder, answer.recorded, forms)) is not None:
        raise error
    told = answer.recorded.payload(spans.RESPONSE)
    if told is None:
        responder.refuse(f"the answer to {question.operation} was not recorded: record it again")
    return forms.made(json.loads(told))


def asked_in(span: Span) -> Question | None:
    """Give the question of a recorded call; None of another one.

    Args:
        span: the call.
    """
    payload = span.payload(spans.REQUEST) if "messaging.operation.name" in span.attributes else None
    return None if payload is None else Question(**json.loads(payload))


def describe(question: Question) -> Description:
    """Say what a call asks.

    Args:
        question: recorded or live.
    """
    asked = json.dumps(canonical(question.arguments), sort_keys=True).encode()
    shape = blake2b(asked, digest_size=16, person=b"kafka").digest()
    key = (SYSTEM, question.operation, question.group)
    return Description(key, shape, (), read=question.reads, subjects=((SYSTEM,),))


def digest(span: Span) -> bytes:
    """Tell answers apart: equal for equal ones.

    Args:
        span: the recorded call.
    """
    return blake2b(span.payload(spans.RESPONSE) or span.span_id.encode(), digest_size=16).digest()


def render(question: Question) -> dict[str, Any]:
    """Give a call for people, and for the difference in a miss.

    Args:
        question: recorded or live.
    """
    group = {"group": question.group} if question.group else {}
    return {"operation": question.operation, **group, "arguments": shown(question.arguments)}


def shown(told: Any) -> Any:
    """Give a value for people.

    Args:
        told: as :class:`Forms` has it.
    """
    if not isinstance(told, dict):
        return told
    if "bytes" in told:
        return told["bytes"]
    if "type" in told:
        return {name: shown(one) for name, one in told["fields"].items()}
    if "entries" in told:
        return {_key(key): shown(one) for key, one in told["entries"]}
    return [shown(one) for one in (told["set"] if "set" in told else told.get("items", ()))]


def _key(told: Any) -> str:
    key = shown(told)
    return " ".join(str(one) for one in key.values() if one is not None) if isinstance(key, dict) else str(key)
