"""What a server of Memcached that is not there says on one connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from timetracer_otel import spans
from timetracer_otel.families import failures
from timetracer_otel.families.memcached import commands as known
from timetracer_otel.families.memcached.matching import describe_sent, rebound
from timetracer_otel.families.memcached.recording import CLOSED, UNSENT
from timetracer_otel.families.memcached.rendering import shown
from timetracer_otel.families.memcached.wire import commands_in
from timetracer_otel.families.nowhere import END, Reply
from timetracer_otel.families.nowhere.left_socket import Limited
from timetracer_otel.families.nowhere.recorded import replies
from timetracer_otel.seams import Answer

__all__ = ["Server"]


class Server(Limited):
    """Answers from the cassette what an app asks.

    Args:
        plugin: the integration's name.
        responder: of that.
    """

    def feed(self, data: bytes) -> Iterable[Reply[bytes]]:
        """Answer commands that are sent together."""
        self.refuse_if_over()
        asked = commands_in(data)
        if all(map(known.is_setup, asked)):
            return (END,)
        answer = self._responder.answer(
            describe_sent(data),
            lambda: shown(asked),
            recording=lambda: spans.encode_payload(spans.REQUEST, data),
        )
        recorded = answer.recorded
        if recorded.attributes.get(UNSENT):
            raise failures.error_of(self._responder, recorded.text(spans.ERROR) or "")
        if not answer.replies and spans.ERROR not in recorded.attributes and not any(map(known.replies, asked)):
            return ()
        return self._said(answer)

    def _said(self, answer: Answer) -> Iterator[Reply[bytes]]:
        if answer.recorded.attributes.get(CLOSED):
            yield from answer.replies
            yield END
            return
        for reply in replies(self._responder, answer):
            yield rebound(reply, answer.bindings) if isinstance(reply, bytes) else reply
