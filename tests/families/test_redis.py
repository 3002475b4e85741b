"""RESP, and what is known of commands by their names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel.errors import CassetteError
from timetracer_otel.families.redis import commands as known
from timetracer_otel.families.redis.matching import describe, rebound
from timetracer_otel.families.redis.turns import Turns
from timetracer_otel.families.redis.wire import Replies, commands_in, decoded, packed, rewritten, topic_of
from timetracer_otel.seams import values as kinds

SIMPLE = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b":%d\r\n" % number),
    st.binary(max_size=50).map(lambda data: b"$%d\r\n%b\r\n" % (len(data), data)),
    st.sampled_from(
        [b"+OK\r\n", b"-ERR no\r\n", b"$-1\r\n", b"*-1\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(123\r\n"]
    ),
)


def _lists(inside: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    kind = st.sampled_from([b"*", b"~", b">"])
    lists = st.tuples(kind, st.lists(inside, max_size=4)).map(
        lambda made: made[0] + b"%d\r\n" % len(made[1]) + b"".join(made[1])
    )
    maps = st.lists(st.tuples(inside, inside), max_size=3).map(
        lambda pairs: b"%%%d\r\n" % len(pairs) + b"".join(one for pair in pairs for one in pair)
    )
    attributed = st.tuples(inside, inside, inside).map(lambda three: b"|1\r\n" + b"".join(three))
    return st.one_of(lists, maps, attributed)


REPLIES = st.recursive(SIMPLE, _lists, max_leaves=10)


@given(st.lists(REPLIES, max_size=6), st.data())
def test_replies_are_cut_alike_however_they_arrive(replies: list[bytes], data: st.DataObject) -> None:
    """In any pieces, each reply comes out whole and in order, and can be read."""
    whole = b"".join(replies)
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    reader, found = Replies(), list[bytes]()
    for start, end in zip([0, *places], [*places, len(whole)], strict=True):
        found += reader.feed(whole[start:end])
    assert found == replies
    for reply in replies:
        decoded(reply)
        assert rewritten(reply, lambda text: text) == reply


@given(st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=5), max_size=5))
def test_commands_are_read_as_they_are_packed(commands: list[list[bytes]]) -> None:
    """Any bytes, any number together."""
    assert commands_in(b"".join(map(packed, commands))) == commands


@pytest.mark.parametrize("reply", [b"", b"?\r\n", b"$5\r\nab", b"*2\r\n:1\r\n", b":x\r\n"])
def test_a_damaged_reply_is_an_error_of_the_cassette(reply: bytes) -> None:
    """It names what to do."""
    with pytest.raises(CassetteError, match="record it again"):
        decoded(reply)


@pytest.mark.parametrize(
    ("command", "keys", "reads"),
    [
        ("GET a", ["a"], True),
        ("SET a 1 EX 5", ["a"], False),
        ("MGET a b", ["a", "b"], True),
        ("MSET a 1 b 2", ["a", "b"], False),
        ("DEL a b", ["a", "b"], False),
        ("PUBLISH a b", [], False),
        ("EVAL code 1 a", None, False),
        ("SCAN 0", None, True),
        ("NO.SUCH a", None, False),
    ],
)
def test_what_a_command_touches(command: str, keys: list[str] | None, reads: bool) -> None:  # noqa: FBT001 - a case's value
    """The keys decide which write stands between two reads; where they are not known it is any."""
    words = command.encode().split()
    found = known.keys(words)
    assert (None if found is None else [key.decode() for key in found], known.is_read(words)) == (keys, reads)


@pytest.mark.parametrize(
    ("command", "hidden"),
    [
        ("ACL SETUSER ada on >secret ~* +@all", "ACL SETUSER ada on [redacted] ~* +@all"),
        ("CONFIG SET maxmemory 5 requirepass secret", "CONFIG SET maxmemory 5 requirepass [redacted]"),
        ("MIGRATE h 1 k 0 5 AUTH secret", "MIGRATE h 1 k 0 5 AUTH [redacted]"),
        ("MIGRATE h 1 k 0 5 AUTH2 ada secret", "MIGRATE h 1 k 0 5 AUTH2 [redacted] [redacted]"),
        ("AUTH ada secret", "AUTH [redacted] [redacted]"),
        ("HELLO 3 AUTH ada secret", "HELLO 3 [redacted] [redacted] [redacted]"),
        ("SET requirepass secret", "SET requirepass secret"),
    ],
)
def test_passwords_are_masked(command: str, hidden: str) -> None:
    """Only where a command is known to set or send one."""
    assert b" ".join(known.without_secrets(command.encode().split())).decode() == hidden


def test_ids_and_times_are_values() -> None:
    """Two runs that differ in them alone look alike; all else counts."""

    def described(*words: str) -> Any:
        return describe([[word.encode() for word in words]])

    one = described("SET", "lock", "6fe043beb3a04f7095a157a00ce09f9b", "PXAT", "1764164000000")
    other = described("SET", "lock", "be1757b0dd0f48c48b4ef165639e5b9a", "PXAT", "1764169999000")
    assert (one.key, one.shape, len(one.values)) == (other.key, other.shape, 2)
    assert one.values != other.values
    assert described("SET", "a", "1").shape != described("SET", "a", "2").shape
    assert described("SET", "a", "1").shape != described("SET", "a1", "").shape


def test_a_live_id_takes_the_place_of_the_recorded_one() -> None:
    """With its own length, everywhere in the reply."""
    then, now = "6fe043beb3a04f7095a157a00ce09f9b", "be1757b0-dd0f-48c4-8b4e-f165639e5b9a"
    (recorded,), (live,) = kinds.found_in(then), kinds.found_in(now)
    reply = b"*2\r\n$32\r\n%b\r\n$2\r\nok\r\n" % then.encode()
    assert rebound(reply, {recorded: live}) == b"*2\r\n$32\r\n%b\r\n$2\r\nok\r\n" % now.replace("-", "").encode()


def test_topics() -> None:
    """The first word of a list, of nothing else."""
    assert topic_of(b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n") == "message"
    assert topic_of(b">2\r\n$10\r\ninvalidate\r\n*0\r\n") == "invalidate"
    assert topic_of(b"$7\r\nmessage\r\n") == ""


def test_a_client_learns_of_a_change_when_it_looks() -> None:
    """What a pool's look at the connection brings (redis-py 6 and 7) is not seen before the next turn."""
    turns = Turns()
    with turns.take():
        looking = turns.heard(awaits_reply=False)
    assert (looking, turns.heard(awaits_reply=True), turns.heard(awaits_reply=False)) == (1, 1, 2)
