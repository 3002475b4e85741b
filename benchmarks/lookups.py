"""Lookups: what the last of many identical recorded calls costs at replay, beside the first."""

from __future__ import annotations

import time

from timetracer_otel.cassette.model import Kind, Span
from timetracer_otel.replay.answering.matching import Index, Matcher, Recorded
from timetracer_otel.seams import Description

CALLS = 40_000
SOME = 2_000
"""Calls at each end whose cost is compared: one alone takes microseconds."""
ROUNDS = 5


def _round() -> tuple[float, float]:
    """CPU seconds of the first and of the last calls of one lane."""
    asked = Description(("mongodb", "shop", "find", "items"), b"shape", (), read=True)
    calls = [
        Recorded(Span("t", f"{number:016x}", None, "find", Kind.CLIENT, number, number, {}, {}), asked, tuple)
        for number in range(CALLS)
    ]
    matcher = Matcher(Index(calls, lambda _value: True), lambda _value: True)
    taken: list[float] = []
    for _ in range(CALLS // SOME):
        began = time.process_time()
        for _ in range(SOME):
            matcher.match(asked)
        taken.append(time.process_time() - began)
    return taken[0], taken[-1]


def measure() -> list[tuple[str, float, str]]:
    """Give rows of name, ratio and bound; the least disturbed round counts."""
    rounds = [_round() for _ in range(ROUNDS)]
    ratio = min(last for _, last in rounds) / min(first for first, _ in rounds)
    return [(f"CPU of the last of {CALLS} identical calls at replay ÷ the first", ratio, "≤ 1.2")]
