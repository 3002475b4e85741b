"""Which recorded call answers a live one whose values differ: only fresh values bind, one to one, in any order."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timetracer_otel.cassette.model import Kind, Span
from timetracer_otel.families.kinds import http
from timetracer_otel.replay.answering.brought_values import Brought
from timetracer_otel.replay.answering.matching import Match, Matcher
from timetracer_otel.replay.answering.recorded_calls import Index, Recorded
from timetracer_otel.seams import Description, Value
from timetracer_otel.seams.descriptions import Deferred
from timetracer_otel.seams.values import found_in
from timetracer_otel.spans import LANE_ID

Asked = tuple[str, Sequence[int], bool]
"""Name, values and whether their order means nothing."""


def described(name: str, values: Sequence[int], *, listed: bool = False, salt: int = 0) -> Description:
    """A call that asks for some values; ``salt`` makes other values of the same numbers."""
    made = tuple(value_of(number, salt) for number in values)
    places = ((0, len(made), 1),) if listed and made else ()
    return Description(("test", name), name.encode(), made, read=False, unordered=places)


def value_of(number: int, salt: int = 0) -> Value:
    """A value; its order among others depends on the salt."""
    return b"\x02" + random.Random(f"{number} {salt}").randbytes(8).hex().encode()


def recorded(calls: Sequence[Description], replies: Sequence[frozenset[Value]] = ()) -> list[Recorded]:
    """Recorded calls, one after the other."""
    spans = [span(number) for number in range(len(calls))]
    known = [*replies, *[frozenset[Value]()] * (len(calls) - len(replies))]
    replied = {mine.span_id: values for mine, values in zip(spans, known, strict=True)}
    return [Recorded(mine, call, lambda asked: replied[asked.span_id]) for mine, call in zip(spans, calls, strict=True)]


def span(number: int) -> Span:
    """The span of a call."""
    return Span(
        trace_id="0" * 32, span_id=f"{number:016x}", parent_id="", name="call", kind=Kind.CLIENT, start=number * 10,
        end=number * 10 + 5, attributes={}, resource={},
    )  # fmt: skip


def matcher(calls: list[Recorded], brought: Callable[[Value], bool] = lambda _value: False) -> Matcher:
    """A live lane that follows these."""
    return Matcher(Index(calls, brought), brought)


def number_of(match: Match | None) -> int | None:
    """Which recorded call answered."""
    return None if match is None else int(match.recorded.span.span_id, 16)


calls_of_an_app = st.lists(
    st.tuples(st.sampled_from("ab"), st.lists(st.integers(0, 5), max_size=4, unique=True), st.booleans()), max_size=8
)


@settings(deadline=None)
@given(calls_of_an_app, st.randoms(use_true_random=False))
def test_an_unchanged_app_that_draws_other_values_is_answered(calls: list[Asked], chance: Any) -> None:
    """Each call answers itself when all values are new, also where lists of known ones come in another order."""
    told = [("first", [number], False) for number in range(6)]  # each value turns up alone first
    mine = [described(name, values, listed=listed) for name, values, listed in (*told, *calls)]
    live = matcher(recorded(mine))
    for number, (name, values, listed) in enumerate((*told, *calls)):
        order = chance.sample(values, len(values)) if listed else values
        found = live.match(described(name, order, listed=listed, salt=1))
        assert found is not None
        assert found.recorded.description == mine[number]
    assert all(live.to_live[theirs] == ours for ours, theirs in live.to_recorded.items())


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=8, unique=True), st.randoms(use_true_random=False))
def test_a_list_in_another_order_is_the_same(values: list[int], chance: Any) -> None:
    """With equal values nothing is bound to another one."""
    live = matcher(recorded([described("a", values, listed=True)]))
    found = live.match(described("a", chance.sample(values, len(values)), listed=True))
    assert found is not None
    assert found.how == "exact"


def deferred(whole: Description, made: list[Description]) -> Deferred:
    """The same description, made when it is needed."""

    def make() -> Description:
        made.append(whole)
        return whole

    same = (whole.key, repr((whole.shape, whole.values)))
    return Deferred(same=same, whole=make, key=whole.key, read=whole.read)


@settings(deadline=None)
@given(calls_of_an_app, st.lists(st.integers(0, 1), max_size=8), st.randoms(use_true_random=False))
def test_what_is_described_late_is_matched_alike(calls: list[Asked], salts: list[int], chance: Any) -> None:
    """Values that changed or did not, in any order of calls: each gets the answer that it gets otherwise."""
    mine = [described(name, values) for name, values, _ in calls]
    theirs = [
        described(name, values, salt=salt) for (name, values, _), salt in zip(calls, [*salts, *[0] * 8], strict=False)
    ]
    chance.shuffle(theirs)
    eager, late = matcher(recorded(mine)), matcher(recorded([deferred(one, []) for one in mine]))
    for asked in theirs:
        found, found_late = eager.match(asked), late.match(deferred(asked, []))
        assert number_of(found) == number_of(found_late)
        assert (found and found.how) == (found_late and found_late.how)
    assert dict(eager.bindings) == dict(late.bindings)


def test_calls_that_are_the_same_to_the_byte_are_not_described() -> None:
    """Only when one differs is it needed what stands for what; then as if all had been described at once."""
    made = list[Description]()
    live = matcher(recorded([deferred(described("a", [number]), made) for number in range(5)]))
    for number in (0, 3, 1):
        assert number_of(live.match(deferred(described("a", [number]), made))) == number
    assert made == []
    assert live.match(described("a", [3, 1])) is None
    assert number_of(live.match(deferred(described("a", [7]), made))) == 2
    assert live.match(described("a", [7])) is None
    assert live.to_recorded == {value_of(7): value_of(2)}


def test_values_that_were_there_before_never_bind() -> None:
    """A value that the request brought, or an earlier reply, must be equal: else another's document would be served."""
    brought = {value_of(1), value_of(2)}
    live = matcher(recorded([described("find", [1])]), brought.__contains__)
    assert live.match(described("find", [2])) is None
    calls = recorded([described("list", []), described("find", [1])], [frozenset(brought)])
    live = matcher(calls)
    assert number_of(live.match(described("list", []))) == 0
    assert live.match(described("find", [2])) is None
    assert live.match(described("find", [3])) is None
    assert number_of(live.match(described("find", [1]))) == 1


def test_known_values_of_a_list_must_be_among_the_recorded() -> None:
    """Of a list without order only what is fresh binds."""
    calls = recorded([described("list", []), described("find", [1, 2, 7], listed=True)], [frozenset({value_of(1)})])
    live = matcher(calls)
    live.match(described("list", []))
    assert live.match(described("find", [1, 1, 7], listed=True)) is None
    found = live.match(described("find", [8, 9, 1], listed=True))
    assert number_of(found) == 1
    assert live.to_recorded.get(value_of(1), value_of(1)) == value_of(1)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6))
def test_binding_is_one_to_one(pairs: list[tuple[int, int]]) -> None:
    """However calls come, no recorded value stands for two live ones, nor the other way round."""
    live = matcher(recorded([described("a", [mine, 10 + mine]) for mine, _ in pairs]))
    for _, theirs in pairs:
        live.match(described("a", [theirs, theirs + 10], salt=1))
    assert len(set(live.to_recorded.values())) == len(live.to_recorded)
    assert {theirs: mine for mine, theirs in live.to_recorded.items()} == live.to_live


def test_bindings_that_an_answer_was_given_stay_as_they_were() -> None:
    """A call's answer is put together while other threads of its lane bind more values."""
    live = matcher(recorded([described("a", [1]), described("b", [2])]))
    live.match(described("a", [1], salt=1))
    given = live.bindings
    before = dict(given)
    live.match(described("b", [2], salt=1))
    assert before == given == {value_of(1): value_of(1, 1)}
    assert live.bindings == {value_of(1): value_of(1, 1), value_of(2): value_of(2, 1)}


def test_what_did_not_change_is_not_bound_for_an_answer() -> None:
    """A value that is the same in both runs needs no exchange in a reply."""
    live = matcher(recorded([described("a", [1])]))
    live.match(described("a", [1]))
    assert live.bindings == {}


@pytest.mark.parametrize("size", [0, 400_000])
@pytest.mark.parametrize(
    "place",
    [
        lambda made, pad: http.Request("GET", f"/items/{made}", [], body=[pad]),
        lambda made, pad: http.Request("GET", f"/items?id={quote(made)}", [], body=[pad]),
        lambda made, pad: http.Request("GET", "/", [("x-id", made)], body=[pad]),
        lambda made, pad: http.Request("POST", "/", [], body=[pad, json.dumps({"id": made}).encode()]),
        lambda made, pad: http.Request("POST", "/", [], body=[b"pad=", pad, b"&id=" + quote(made).encode()]),
    ],
    ids=["path", "query", "header", "JSON", "form"],
)
@pytest.mark.parametrize("kind", ["uuid", "ObjectId", "digest", "nonce"])
def test_what_a_request_brings(kind: str, place: Callable[[str, bytes], http.Request], size: int) -> None:
    """A value that came with the request is found, however it is written there and however long the request is."""
    made, other = (
        {
            "uuid": str(uuid.UUID(int=number)),
            "ObjectId": f"{number:024x}",
            "digest": hashlib.sha256(bytes([number])).hexdigest(),
            "nonce": f"q{number}+GPRXX/hoYSGW1g7DCj{number}V2k7L7gBEizXT1VRp6==",
        }[kind]
        for number in (3, 4)
    )
    texts = Brought(place(made, b"x y " * (size // 4)).texts)
    assert next(found_in(made)) in texts
    assert next(found_in(other)) not in texts


def test_what_comes_unasked_waits_for_its_own_process() -> None:
    """Of two recorded processes the one that is told of something does not wait for what the other asked."""
    calls = recorded([described(name, ()) for name in ("subscribe", "publish", "publish")])
    calls[1].span.attributes[LANE_ID] = calls[2].span.attributes[LANE_ID] = "f" * 32
    live, message = matcher(calls), span(3)
    assert not live.has_reached(message)
    live.match(described("subscribe", ()))
    assert live.has_reached(message)
