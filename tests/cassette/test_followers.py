"""Long streams wait in a file, in order; where they came in disorder they are held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from timetracer_otel import spans
from timetracer_otel.cassette.followers import Sieve
from timetracer_otel.cassette.model import Kind, Span

HELD = 2


def message(number: int, **more: object) -> Span:
    """The so-many-th message of a stream."""
    attributes: dict[str, object] = {spans.FOLLOWS: "opener", "text": f"message {number}", **more}
    resource = {"service.name": "shop"}
    return Span("1" * 32, f"{number:016x}", None, "message", Kind.CLIENT, number, number, attributes, resource)


def sifted(told: Iterable[Span], seen: list[str]) -> tuple[list[Span], Mapping[str, list[Span]]]:
    """What is held, and what waits."""
    sieve = Sieve(HELD, lambda span: seen.append(span.span_id))
    held = list(sieve.pass_on(told))
    return held, {opener: list(rest) for opener, rest in sieve.settle().items()}


def test_all_but_the_first_wait_in_a_file() -> None:
    """Each is read as it was, and prepared when it is read; what somebody asked for is held."""
    told = [message(number) for number in range(1, 6)]
    asked = replace(message(9), attributes={})
    seen: list[str] = []
    held, rests = sifted([*told, asked], seen)
    assert held == [*told[:HELD], asked]
    assert rests == {"opener": told[HELD:]}
    assert seen == [span.span_id for span in told[HELD:]]


def test_what_others_complete_is_held() -> None:
    """A message that was so large that it left in pieces, and one of which a part comes later."""
    whole = [message(3, **{spans.RESPONSE + spans.PARTS: 2}), message(4, **{spans.INCOMPLETE: "response"})]
    held, rests = sifted([message(1), message(2), *whole, message(5)], [])
    assert held == [message(1), message(2), *whole]
    assert rests == {"opener": [message(5)]}


def test_a_stream_in_disorder_is_held() -> None:
    """A collector sent some twice, or later: they are sorted, and taken once, where the lane is put together."""
    told = [message(number) for number in (1, 2, 3, 4, 2, 5)]
    held, rests = sifted(told, [])
    assert sorted(span.start for span in held) == [1, 2, 2, 3, 4, 5]
    assert rests == {}
