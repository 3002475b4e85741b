"""Memcached's protocol, and what is known of commands by their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel.families.memcached import commands as known
from timetracer_otel.families.memcached.matching import describe, rebound
from timetracer_otel.families.memcached.rendering import shown
from timetracer_otel.families.memcached.wire import Replies, commands_in, rewritten
from timetracer_otel.seams import values as kinds

VALUES = st.lists(st.binary(max_size=40), max_size=3).map(
    lambda found: b"".join([*(b"VALUE k 0 %d\r\n%b\r\n" % (len(data), data) for data in found), b"END\r\n"])
)
REPLIES = st.one_of(
    VALUES,
    st.binary(max_size=40).map(lambda data: b"VA %d f0\r\n%b\r\n" % (len(data), data)),
    st.sampled_from(
        [
            b"STORED\r\n",
            b"5\r\n",
            b"STAT pid 1\r\nSTAT version 1.6\r\nEND\r\n",
            b"SERVER_ERROR object too large for cache\r\n",
            b"CONFIG cluster 0 3\r\n1\nx\r\nEND\r\n",
            b"EN\r\n",
        ]
    ),
)


@given(st.lists(REPLIES, max_size=6), st.data())
def test_replies_are_cut_alike_however_they_arrive(replies: list[bytes], data: st.DataObject) -> None:
    """In any pieces, each reply comes out whole and in order; what holds the words of the protocol is a value."""
    whole = b"".join(replies)
    places = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    reader, found = Replies(), list[bytes]()
    for start, end in zip([0, *places], [*places, len(whole)], strict=True):
        found += reader.feed(whole[start:end])
    assert found == replies
    assert reader.rest() == b""
    for reply in replies:
        assert rewritten(reply, lambda text: text) == reply


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_values_are_cut_by_their_sizes(values: list[bytes]) -> None:
    """Commands that are sent together come apart, whatever they store."""
    sent = b"".join(b"set k 0 0 %d noreply\r\n%b\r\n" % (len(value), value) for value in values)
    assert [command.value for command in commands_in(sent)] == values


@pytest.mark.parametrize(
    ("line", "keys", "reads", "replies"),
    [
        (b"get a b", [b"a", b"b"], True, 1),
        (b"gets noreply", [b"noreply"], True, 1),
        (b"set a 0 0 1", [b"a"], False, 1),
        (b"set a 0 0 1 noreply", [b"a"], False, 0),
        (b"cas a 0 0 1 5 noreply", [b"a"], False, 0),
        (b"delete noreply", [b"noreply"], False, 1),
        (b"delete a noreply", [b"a"], False, 0),
        (b"incr a 1 noreply", [b"a"], False, 0),
        (b"gat 60 a b", [b"a", b"b"], False, 1),
        (b"flush_all noreply", None, False, 0),
        (b"stats", [], True, 1),
        (b"stats reset", [], False, 1),
        (b"mg a v", [b"a"], True, 1),
        (b"mg a v T30", [b"a"], False, 1),
        (b"md a q", [b"a"], False, 0),
        (b"", None, False, 1),
    ],
)
def test_what_a_command_touches(line: bytes, keys: list[bytes] | None, reads: bool, replies: int) -> None:  # noqa: FBT001 - a case's value
    """Its keys, whether it only reads, whether it is answered: a key may be called like the word that says not."""
    (command,) = commands_in(line + b"\r\n")
    assert (known.keys(command), known.is_read(command), known.replies(command)) == (keys, reads, replies)


def test_ids_and_times_are_values() -> None:
    """Two runs that differ in them alone look alike, and also when an id is written in another length."""
    one, other = (
        describe(commands_in(b"set session:%b 0 1764164000 %d\r\n%b\r\n" % (word, len(word), word)))
        for word in (b"6fe043beb3a04f7095a157a00ce09f9b", b"be1757b0dd0f48c48b4ef165639e5b9a")
    )
    assert (one.key, one.shape, len(one.values)) == (other.key, other.shape, 3)
    assert describe(commands_in(b"set a 0 0 1\r\n1\r\n")).shape != describe(commands_in(b"set a 0 0 1\r\n2\r\n")).shape


def test_the_order_of_fetched_keys_is_nothing() -> None:
    """Of keys alone: a command's other words keep their places."""
    assert describe(commands_in(b"get b a\r\n")) == describe(commands_in(b"get a b\r\n"))
    assert describe(commands_in(b"gat 1 2\r\n")) != describe(commands_in(b"gat 2 1\r\n"))


def test_a_live_id_takes_the_place_of_the_recorded_one() -> None:
    """In the key and in the value, whose size is told anew."""
    then, now = b"6fe043be-b3a0-4f70-95a1-57a00ce09f9b", b"be1757b0-dd0f-48c4-8b4e-f165639e5b9a"
    (recorded,), (live,) = kinds.found_in(then.decode()), kinds.found_in(now.decode())
    reply = b"VALUE of:%b 0 38\r\n{%b}\r\nEND\r\n"
    assert rebound(reply % (then, then), {recorded: live}) == reply % (now, now)


def test_commands_are_shown_as_they_are_typed() -> None:
    """The value behind the words, binary as such; several as a list."""
    assert shown(commands_in(b"set a 0 0 9\r\ngreen tea\r\n")) == 'set a 0 0 9 "green tea"'
    assert shown(commands_in(b"get a\r\nset b 0 0 1\r\n\xff\r\n")) == ["get a", 'set b 0 0 1 "<1 bytes: ff>"']
