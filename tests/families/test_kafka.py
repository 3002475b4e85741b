"""What Kafka's clients have in common, on made-up messages: no client and no broker."""

from __future__ import annotations

import importlib
from collections import namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest

from timetracer_otel.errors import CassetteError
from timetracer_otel.families.kafka import asking, producing, raw, records
from timetracer_otel.families.kafka.asking import Question
from timetracer_otel.families.kafka.raw import Bytes, Kept
from timetracer_otel.families.kafka.values import Forms, canonical
from timetracer_otel.families.kinds import message
from timetracer_otel.families.kinds.message import Record

Partition = namedtuple("Partition", ["topic", "partition"])  # noqa: PYI024 - as the clients have it
FORMS = Forms({"Partition": Partition})


@dataclass
class Came:
    """A message, as a client makes it."""

    topic: str
    partition: int
    offset: int
    key: Any
    value: Any
    headers: Any = field(default_factory=list)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 3, 1.5, "text", b"\xff\x00", Partition("a", 1), {Partition("a", 1): None}, {Partition("b", 0)},
        frozenset({1, 2}), [Partition("a", 0)], ("a", 1), {}, set(),
    ],
)  # fmt: skip
def test_values_come_back_as_what_they_were(value: object) -> None:
    """Partitions, offsets, and collections of them."""
    made = FORMS.made(FORMS.plain(value))
    assert (made, type(made)) == (value, type(value))


def test_sets_are_equal_in_any_order() -> None:
    """What a set gives first is chance."""
    several = [Partition("topic", number) for number in range(20)]
    assert FORMS.plain({*several}) == FORMS.plain({*several[::-1]})
    backwards = FORMS.plain(dict.fromkeys(reversed(several)))
    assert canonical(FORMS.plain(dict.fromkeys(several))) == canonical(backwards)
    assert list(FORMS.made(backwards)) == several[::-1]


def test_messages_of_the_protocol_come_back() -> None:
    """As their bytes, by their class; a class that a cassette names beside them is none."""
    admin, struct = (
        importlib.import_module("aiokafka.protocol.admin"),
        importlib.import_module("aiokafka.protocol.struct"),
    )
    forms = Forms({}, struct=struct.Struct)
    response = admin.DeleteTopicsResponse_v1(throttle_time_ms=3, topic_error_codes=[("topic", 36)])
    told = forms.plain([response])
    assert forms.made(told) == [response]
    for name in ({"of": "subprocess", "struct": "Popen"}, {"struct": "annotations"}):
        with pytest.raises(CassetteError, match="no message of Kafka's protocol"):
            forms.made({**told["items"][0], **name})


def test_what_no_client_uses_is_no_value() -> None:
    """It is not written down as text, from which nobody could make it again."""
    with pytest.raises(TypeError, match="object"):
        FORMS.plain(object())


def asked(operation: str, *args: Any, **kwargs: Any) -> Question:
    """A question of a consumer."""
    return Question.of(operation, FORMS, args, kwargs, group="shop")


def test_how_long_an_answer_may_take_does_not_count() -> None:
    """Nor does a callback; what is asked for does."""
    one = asking.describe(asked("committed", Partition("a", 1), timeout_ms=5, callback=print))
    assert one == asking.describe(asked("committed", Partition("a", 1), timeout_ms=7))
    assert one != asking.describe(asked("committed", Partition("a", 2)))
    assert one != asking.describe(asked("position", Partition("a", 1)))


def test_a_question_is_shown() -> None:
    """By the names of its parts."""
    shown = asking.render(asked("seek", Partition("a", 1), 7))
    assert shown == {"operation": "seek", "group": "shop", "arguments": [[{"topic": "a", "partition": 1}, 7], {}]}


SENT = producing.record("orders", b'{"id": 1}', b"k", [("from", b"shop")])


@pytest.mark.parametrize(
    "other",
    [
        producing.record("orders", b'{"id": 2}', b"k", [("from", b"shop")]),
        producing.record("orders", None, b"k", [("from", b"shop")]),
        producing.record("orders", b'{"id": 1}', b"l", [("from", b"shop")]),
        producing.record("orders", b'{"id": 1}', None, [("from", b"shop")]),
        producing.record("orders", b'{"id": 1}', b"k", [("from", b"bank")]),
        producing.record("orders", b'{"id": 1}', b"k"),
        producing.record("others", b'{"id": 1}', b"k", [("from", b"shop")]),
        producing.record("orders", b'{"id": 1}', b"k", [("from", b"shop")], 1),
    ],
)
def test_another_message(other: Record) -> None:
    """Topic, key, body, headers and the partition that the app chose count."""
    assert producing.describe(SENT) != producing.describe(other)


def test_the_same_message_of_another_run() -> None:
    """The trace that it belongs to is another one, and so is the time."""
    headers = [("from", b"shop"), ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    assert producing.describe(SENT) == producing.describe(
        producing.record("orders", b'{"id": 1}', b"k", headers, None, 1234)
    )
    assert producing.render(SENT) == {"topic": "orders", "key": "k", "headers": [["from", "shop"]], "body": {"id": 1}}


def test_nothing_is_no_empty_message() -> None:
    """Kafka's tombstones have no body at all."""
    nothing, empty = producing.record("a", None, b"k"), producing.record("a", b"", b"k")
    assert producing.describe(nothing) != producing.describe(empty)
    for one in (nothing, empty):
        assert message.decoded(one.encoded(), one.body) == one


def test_bytes_of_what_the_app_has_made_into_something_else() -> None:
    """They wait for the message that the app is given; those of one that it never gets are forgotten."""
    kept = Kept()
    key, value = kept.watching(bytes.decode, "key"), kept.watching(int, "value")

    def unpacked(_fetched: object) -> Any:
        for offset in range(4):
            yield Came("a", 0, offset, key(b"k%d" % offset), value(b" %d" % offset))

    came = list(raw.noting(unpacked)(None))
    assert [(one.key, one.value) for one in came] == [("k0", 0), ("k1", 1), ("k2", 2), ("k3", 3)]
    assert kept.take(came[0]) == Bytes(b"k0", b" 0")
    assert kept.take(came[2]) == Bytes(b"k2", b" 2")
    with pytest.raises(KeyError):
        kept.take(came[1])


def test_an_object_that_makes_values() -> None:
    """It stays what it is, and is asked with what its client asks with."""

    class Deserializer:
        def deserialize(self, topic: str, data: bytes | None) -> str:
            return f"{topic} {data!r}"

    kept = Kept()
    watched = kept.watching(Deserializer(), "value")
    assert isinstance(watched, Deserializer)
    assert watched.deserialize("a", None) == "a None"
    [came] = raw.noting(lambda _: iter([Came("a", 0, 7, b"k", watched.deserialize("a", b"1"))]))(None)
    assert kept.take(came) == Bytes(b"k", b"1")


@pytest.mark.parametrize("headers", [[("a", b"1")], (("a", b"1"),), ()])
def test_a_message_comes_back_as_what_it_was(headers: Any) -> None:
    """With all that its client knows of it."""
    came = Came("a", 0, 7, "k", 1, headers)
    recorded = records.record(came, Bytes(b"k", b"1"))
    again = message.decoded(recorded.encoded(), recorded.body)
    assert (again.key, again.body) == (b"k", b"1")
    assert records.made(Came, again, "k", 1) == came


def test_an_empty_message_is_not_shown_as_none() -> None:
    """A tombstone means something else."""
    empty, none = (producing.render(producing.record("topic", body, body)) for body in (b"", None))
    assert (empty["key"], empty["body"], "key" in none, none["body"]) == ("", "", False, None)
