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
"""The version of the protocol that has maps and nulls of their own."""
_OK: Final = frozenset(
    "DISCARD FLUSHALL FLUSHDB HMSET LSET LTRIM MSET MULTI PSETEX RENAME SET SETEX UNWATCH WATCH".split()
)
_NOTHING: Final = frozenset(
    "BLMOVE BLPOP BRPOP BRPOPLPUSH BZPOPMAX BZPOPMIN GET GETDEL GETEX HGET LINDEX LMOVE LPOP RANDOMKEY RPOP RPOPLPUSH SPOP"
    " SRANDMEMBER XREAD XREADGROUP ZRANK ZSCORE".split()
)
_NO_ITEMS: Final = frozenset(
    "COMMAND EVAL EVALSHA FCALL HKEYS HVALS KEYS LRANGE SDIFF SINTER SMEMBERS SORT SUNION XCLAIM XRANGE XREVRANGE"
    " ZPOPMAX ZPOPMIN ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE".split()
)
_NONE: Final = frozenset(
    "DEL EXISTS HDEL HEXISTS HLEN LLEN LREM PTTL PUBLISH SCARD SISMEMBER SREM STRLEN TTL UNLINK XDEL XLEN ZCARD ZCOUNT"
    " ZREM ZREMRANGEBYRANK ZREMRANGEBYSCORE".split()
)
_INFO: Final = b"# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\nused_memory_human:0B\r\n"
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
    word = known.name(command)
    if len(command) > 1 and (value := kept.get(command[1])) is not None:
        told = _of_text(word, value) if isinstance(value, bytes) else _of_hash(word, value, command[2:], protocol)
        if told is not None:
            return told
    if word in _OK:
        return b"+OK\r\n"
    if word in _NOTHING:
        return _null(protocol)
    if word in _NO_ITEMS:
        return b"*0\r\n"
    if word == "HGETALL":
        return b"%0\r\n" if protocol >= _MAPS else b"*0\r\n"
    if word in _NONE:
        return b":0\r\n"
    if word in _SEVERAL:
        count = len(command) - _SEVERAL[word]
        return b"*%d\r\n" % count + _null(protocol) * count
    if word in {"SCAN", "HSCAN", "SSCAN", "ZSCAN"}:
        return b"*2\r\n$1\r\n0\r\n*0\r\n"
    return _of_server(word, command, protocol)


def _of_text(word: str, value: bytes) -> bytes | None:
    match word:
        case "GET":
            return _text(value)
        case "INCR":
            return b":%d\r\n" % (int(value) + 1)
    return None


def _of_hash(word: str, fields: dict[bytes, bytes], words: list[bytes], protocol: int) -> bytes | None:
    match word:
        case "HSET" | "HMSET":
            fields.update(zip(words[::2], words[1::2], strict=True))
        case "HGET":
            return _text(fields[words[0]]) if words[0] in fields else _null(protocol)
        case "HGETALL":
            head = b"%%%d\r\n" % len(fields) if protocol >= _MAPS else b"*%d\r\n" % (2 * len(fields))
            return head + b"".join(_text(one) for pair in fields.items() for one in pair)
        case "HEXISTS":
            return b":%d\r\n" % (words[0] in fields)
        case "EXISTS":
            return b":1\r\n"
    return None


def _of_server(word: str, command: Command, protocol: int) -> bytes:
    match word:
        case "INFO":
            return _text(_INFO)
        case "CLIENT":
            return _text(b"id=1 addr=127.0.0.1:1 laddr=127.0.0.1:1 fd=1 name= db=0\n")
        case "TIME":
            return packed([b"0", b"0"])
        case "XADD":
            return _text(b"1-0")
        case "SCRIPT" if known.is_settling(command):
            return _text(hashlib.sha1(command[2], usedforsecurity=False).hexdigest().encode())
        case "SCRIPT":
            return b"*%d\r\n" % (len(command) - 2) + b":1\r\n" * (len(command) - 2)
    return b":1\r\n"


def _null(protocol: int) -> bytes:
    return b"_\r\n" if protocol >= _MAPS else b"$-1\r\n"


def _text(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)
