"""A Redis that is empty and forgets what it is told: what a library that keeps its queue there has in a replay.

A worker may register, beat and clean up with it as it likes. Nothing that an app asks is answered here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from timetracer_otel.families.redis import commands as known
from timetracer_otel.families.redis.wire import Command, packed

__all__ = ["kept", "replies"]

kept: Final[dict[bytes, bytes | dict[bytes, bytes]]] = {}
"""What it does have and keep: texts and hashes by their keys, put here by who hands a recorded task out."""
_MAPS: Final = 3
"""The version of the protocol that has maps and nulls of their own; the one before has other words for them."""
_OK, _NULL, _NO_ITEMS, _NO_PAIRS, _NONE, _ONE = b"+OK\r\n", b"_\r\n", b"*0\r\n", b"%0\r\n", b":0\r\n", b":1\r\n"
_NULL_BEFORE: Final = b"$-1\r\n"


def _each(reply: bytes, words: str) -> dict[str, bytes]:
    return dict.fromkeys(words.split(), reply)


def _text(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


_SAYS: Final = {
    **_each(_OK, "DISCARD FLUSHALL FLUSHDB HMSET LSET LTRIM MSET MULTI PSETEX RENAME SET SETEX UNWATCH WATCH"),
    **_each(_NULL, "BLMOVE BLPOP BRPOP BRPOPLPUSH BZPOPMAX BZPOPMIN GET GETDEL GETEX HGET LINDEX LMOVE LPOP RANDOMKEY"),
    **_each(_NULL, "RPOP RPOPLPUSH SPOP SRANDMEMBER XREAD XREADGROUP ZRANK ZSCORE"),
    **_each(_NO_ITEMS, "COMMAND EVAL EVALSHA FCALL HKEYS HVALS KEYS LRANGE SDIFF SINTER SMEMBERS SORT SUNION XCLAIM"),
    **_each(_NO_ITEMS, "XRANGE XREVRANGE ZPOPMAX ZPOPMIN ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE"),
    **_each(_NO_PAIRS, "HGETALL"),
    **_each(_NONE, "DEL EXISTS HDEL HEXISTS HLEN LLEN LREM PTTL PUBLISH SCARD SISMEMBER SREM STRLEN TTL UNLINK XDEL"),
    **_each(_NONE, "XLEN ZCARD ZCOUNT ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE"),
    **_each(b"*2\r\n$1\r\n0\r\n*0\r\n", "SCAN HSCAN SSCAN ZSCAN"),
    "INFO": _text(
        b"# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n# Memory\r\nused_memory_human:0B\r\n"
        b"# Clients\r\nconnected_clients:1\r\n"
    ),
    "CLIENT": _text(b"id=1 addr=127.0.0.1:1 laddr=127.0.0.1:1 fd=1 name= db=0\n"),
    "TIME": packed([b"0", b"0"]),
    "XADD": _text(b"1-0"),
}
"""What is said to most commands, whatever they are about; to others :data:`_ONE`."""
_SEVERAL: Final = {"HMGET": 2, "MGET": 1}
"""Commands that have a reply for each word from that place on."""


def replies(asked: list[Command], protocol: int) -> Iterator[bytes]:
    """Give the replies to commands that were sent together.

    Args:
        asked: at least one; a transaction is whole.
        protocol: the version of it.
    """
    queued: list[Command] | None = None
    for command in asked:
        word = known.name(command)
        if word == "MULTI":
            queued = []
        elif word == "EXEC":
            told, queued = [_reply(one, protocol) for one in queued or ()], None
            yield b"*%d\r\n" % len(told) + b"".join(told)
            continue
        elif queued is not None:
            queued.append(command)
            yield b"+QUEUED\r\n"
            continue
        yield _reply(command, protocol)


def _reply(command: Command, protocol: int) -> bytes:
    value = kept.get(command[1]) if len(command) > 1 else None
    told = None
    if isinstance(value, bytes):
        told = _of_text(command, value)
    elif value is not None:
        told = _of_hash(command, value)
    told = told or _of_nothing(command)
    if protocol >= _MAPS:
        return told
    if told.startswith(b"%"):
        count, _, pairs = told[1:].partition(b"\r\n")
        return b"*%d\r\n" % (2 * int(count)) + pairs
    return told.replace(_NULL, _NULL_BEFORE) if told == _NULL or known.name(command) in _SEVERAL else told


def _of_text(command: Command, value: bytes) -> bytes | None:
    match known.name(command):
        case "GET":
            return _text(value)
        case "INCR":
            return b":%d\r\n" % (int(value) + 1)
        case "INCRBY":
            return b":%d\r\n" % (int(value) + int(command[2]))
    return None


def _of_hash(command: Command, fields: dict[bytes, bytes]) -> bytes | None:
    words = command[2:]
    match known.name(command):
        case "HSET" | "HMSET":
            fields.update(zip(words[::2], words[1::2], strict=True))
        case "HGET":
            return _text(fields[words[0]]) if words[0] in fields else None
        case "HGETALL":
            return b"%%%d\r\n" % len(fields) + b"".join(_text(one) for pair in fields.items() for one in pair)
        case "EXISTS":
            return _ONE
    return None


def _of_nothing(command: Command) -> bytes:
    word = known.name(command)
    if word in _SEVERAL:
        count = len(command) - _SEVERAL[word]
        return b"*%d\r\n" % count + _NULL * count
    if word == "SCRIPT" and known.is_settling(command):
        return _text(hashlib.sha1(command[2], usedforsecurity=False).hexdigest().encode())
    if word == "SCRIPT":
        return b"*%d\r\n" % (len(command) - 2) + _ONE * (len(command) - 2)
    return _SAYS.get(word, _ONE)
