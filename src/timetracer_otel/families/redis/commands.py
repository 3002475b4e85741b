"""What is known of Redis's commands by their names.

Source: the answer of Redis 7.0.15 to ``COMMAND`` (flags, places of keys), and of 7.4 for the hash fields that expire.
"""

from __future__ import annotations

from typing import Final

from timetracer_otel.families.redis.wire import Command

__all__ = [
    "HIDDEN",
    "SUBSCRIBES",
    "UNSUBSCRIBES",
    "are_plain",
    "is_asked_by_apps",
    "is_read",
    "is_refused",
    "is_settling",
    "is_setup",
    "keys",
    "name",
    "without_secrets",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_READS: Final = _words(
    "BITCOUNT BITFIELD_RO BITPOS DBSIZE DUMP EVALSHA_RO EVAL_RO EXISTS EXPIRETIME FCALL_RO GEODIST GEOHASH GEOPOS"
    " GEORADIUSBYMEMBER_RO GEORADIUS_RO GEOSEARCH GET GETBIT GETRANGE HEXISTS HEXPIRETIME HGET HGETALL HKEYS HLEN HMGET"
    " HPEXPIRETIME HPTTL HRANDFIELD HSCAN HSTRLEN HTTL HVALS KEYS LCS LINDEX LLEN LOLWUT LPOS LRANGE MEMORY MGET OBJECT"
    " PEXPIRETIME PFCOUNT PTTL RANDOMKEY SCAN SCARD SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS SMISMEMBER SORT_RO"
    " SRANDMEMBER SSCAN STRLEN SUBSTR SUNION TOUCH TTL TYPE XINFO XLEN XPENDING XRANGE XREAD XREVRANGE ZCARD ZCOUNT"
    " ZDIFF ZINTER ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE"
    " ZREVRANGEBYLEX ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION"
)
_SETTLES: Final = frozenset({"CLUSTER", "COMMAND", "SENTINEL"})
"""Commands that tell a client of the servers, asked by each process when it first needs them."""
_SETUP: Final = frozenset({"ASKING", "AUTH", "HELLO", "PING", "QUIT", "READONLY", "READWRITE", "SELECT", "UNWATCH"})
"""Commands of a connection, not of the app: how many there are depends on the pool's age."""
_CLIENT_SETUP: Final = frozenset(
    {"CACHING", "MAINT_NOTIFICATIONS", "NO-EVICT", "NO-TOUCH", "SETINFO", "SETNAME", "TRACKING"}
)
_HEALTH_CHECK: Final = b"-py-health-check"
"""What redis-py and valkey-py have a subscription's connection say again, to see whether it lives."""
SUBSCRIBES: Final = frozenset({"PSUBSCRIBE", "SSUBSCRIBE", "SUBSCRIBE"})
UNSUBSCRIBES: Final = frozenset({"PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE"})
_ASKED_BY_APPS: Final = frozenset({"AUTH", "HELLO", "PING", "SELECT"}) | UNSUBSCRIBES
_NO_DATA: Final = _words("ECHO INFO LASTSAVE MONITOR PUBLISH PUBSUB ROLE SCRIPT SPUBLISH TIME WAIT") | SUBSCRIBES
_ONE_KEY: Final = _words(
    "APPEND DECR DECRBY EXPIRE EXPIREAT GEOADD GETDEL GETEX GETSET HDEL HINCRBY HINCRBYFLOAT HMSET HSET HSETNX INCR"
    " INCRBY INCRBYFLOAT LINSERT LPOP LPUSH LPUSHX LREM LSET LTRIM PERSIST PEXPIRE PEXPIREAT PFADD PSETEX RESTORE RPOP"
    " RPUSH RPUSHX SADD SET SETBIT SETEX SETNX SETRANGE SPOP SREM XACK XADD XAUTOCLAIM XCLAIM XDEL XSETID XTRIM ZADD"
    " ZINCRBY ZPOPMAX ZPOPMIN ZREM ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE"
)
_ALL_KEYS: Final = _words("DEL EXISTS MGET PFCOUNT SDIFF SINTER SUNION TOUCH UNLINK WATCH")
_READ_OF_MANY: Final = _words(
    "DBSIZE EVALSHA_RO EVAL_RO FCALL_RO KEYS LCS LOLWUT MEMORY OBJECT RANDOMKEY SCAN SINTERCARD XINFO XREAD ZDIFF"
    " ZINTER ZINTERCARD ZUNION"
)
HIDDEN: Final = b"[redacted]"
_SPECIAL: Final = (
    _SETUP | SUBSCRIBES | UNSUBSCRIBES | {"ACL", "CLIENT", "CONFIG", "MIGRATE", "MONITOR"}
)  # fmt: skip
"""Commands of which more is to be known than that they are asked and answered."""
_plain: Final[set[bytes]] = set()
"""Names, as they were sent, of others: an app sends few, often."""
_MOST_NAMES: Final = 1024
_SECRET_SETTINGS: Final = ("masterauth", "requirepass", "tls-key-file-pass", "tls-client-key-file-pass")


def name(command: Command) -> str:
    """Give a command's name in capitals."""
    return command[0].decode("utf-8", "replace").upper() if command else ""


def _second(command: Command) -> str:
    return command[1].decode("utf-8", "replace").upper() if len(command) > 1 else ""


def are_plain(asked: list[Command]) -> bool:
    """Whether commands are only asked and answered once each: nothing in them is hidden or opens anything."""
    for command in asked:
        if command[0] not in _plain:
            if name(command) in _SPECIAL:
                return False
            if len(_plain) < _MOST_NAMES:
                _plain.add(command[0])
    return True


def is_setup(command: Command) -> bool:
    """Whether it sets a connection up, or asks whether it lives: a replay makes its answer up."""
    word = name(command)
    return word in _SETUP or word in UNSUBSCRIBES or (word == "CLIENT" and _second(command) in _CLIENT_SETUP)


def is_asked_by_apps(command: Command) -> bool:
    """Whether a command that sets a connection up is also asked by apps, for its answer.

    A command of ``CLIENT`` is not: what a client calls itself may be another name each time.
    """
    return name(command) in _ASKED_BY_APPS and not command[-1].endswith(_HEALTH_CHECK)


def is_refused(command: Command, reply: bytes, *, connecting: bool) -> bool:
    """Whether a server refuses to set a connection up.

    Args:
        command: its name and its arguments.
        reply: whole.
        connecting: whether the driver asks by itself: a server may not know then what a client calls itself.
    """
    return reply.startswith(b"-") and not (connecting and name(command) == "CLIENT")


def is_settling(command: Command) -> bool:
    """Whether each process asks it when it first needs what the answer tells, or the call makes."""
    word = name(command)
    return word in _SETTLES or (word == "SCRIPT" and _second(command) == "LOAD")


def is_read(command: Command) -> bool:
    """Whether it changes nothing."""
    return name(command) in _READS


def keys(command: Command) -> list[bytes] | None:
    """Give the keys that a command reads or writes; None where its name does not tell, which may be all.

    Args:
        command: its name and its arguments.
    """
    word = name(command)
    if word in _NO_DATA or is_settling(command) or is_setup(command):
        return []
    if word in _ALL_KEYS:
        return command[1:]
    if word in _READ_OF_MANY:
        return None
    if word in _ONE_KEY or word in _READS:
        return command[1:2]
    return command[1::2] if word in {"MSET", "MSETNX"} else None


def without_secrets(command: Command) -> Command:
    """Give a command with a mask in place of the passwords that it sets or sends.

    Args:
        command: its name and its arguments.
    """
    word, second = name(command), _second(command)
    if word in {"AUTH", "HELLO"}:  # of HELLO the version stays
        return [part if place < (word == "HELLO") + 1 else HIDDEN for place, part in enumerate(command)]
    if word == "ACL" and second == "SETUSER":
        return [
            HIDDEN if place > 1 and part[:1] in {b">", b"<", b"#", b"!"} else part for place, part in enumerate(command)
        ]
    if word == "CONFIG" and second == "SET":
        return [_setting(command, place) for place in range(len(command))]
    if word == "MIGRATE":
        return [HIDDEN if _follows_auth(command, place) else part for place, part in enumerate(command)]
    return command


def _setting(command: Command, place: int) -> bytes:
    is_value = place > 2 and place % 2  # noqa: PLR2004 - CONFIG SET name value name value
    return HIDDEN if is_value and command[place - 1].decode("latin-1").lower() in _SECRET_SETTINGS else command[place]


def _follows_auth(command: Command, place: int) -> bool:
    before = [part.upper() for part in command[max(0, place - 2) : place]]
    return b"AUTH" in before[-1:] or b"AUTH2" in before
