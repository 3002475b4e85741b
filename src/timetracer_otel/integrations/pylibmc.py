"""Memcached by pylibmc, whose connections are libmemcached's, in C: what its public methods are asked, and give.

A call is kept in the words of the protocol that the method stands for: values as the client serializes them, any other
result as Python writes it.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from timetracer_otel import seams, spans
from timetracer_otel.families import failures
from timetracer_otel.families.memcached import matching, rendering
from timetracer_otel.families.memcached.wire import END, commands_in, items_in
from timetracer_otel.seams import Answer, Integration, Patch, Responder

__all__ = ["INTEGRATION"]

NAME: Final = "pylibmc"
_STORES: Final = ("set", "add", "replace", "append", "prepend")
_PARAMETERS: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_STORES, ("key", "val", "time", "min_compress_len", "compress_level")),
    **dict.fromkeys(("set_multi", "add_multi"), ("keys", "time", "key_prefix", "min_compress_len", "compress_level")),
    **dict.fromkeys(("incr", "decr"), ("key", "delta")),
    "cas": ("key", "val", "cas", "time"),
    "delete": ("key",),
    "delete_multi": ("keys", "key_prefix"),
    "flush_all": ("time",),
    "get": ("key", "default"),
    "get_multi": ("keys", "key_prefix"),
    "get_stats": ("args",),
    "gets": ("key",),
    "incr_multi": ("keys", "key_prefix", "delta"),
    "touch": ("key", "time"),
}
"""The methods that ask the server, and their parameters."""
_sleep: Final = time.sleep  # as it is now: what the app calls may be replayed


def _call(name: str, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    responder = seams.responder(NAME)
    if responder is None and seams.is_off(NAME):
        return wrapped(*args, **kwargs)
    given = {**dict(zip(_PARAMETERS[name], args, strict=False)), **kwargs}
    try:
        request = _request(name, instance, given)
    except Exception:  # whatever is wrong with the arguments, the library says it
        if responder is not None:
            raise
        return wrapped(*args, **kwargs)
    if responder is not None:
        return _replayed(name, instance, given, request, responder)
    return _recorded(name, instance, given, request, partial(wrapped, *args, **kwargs))


# What is asked.


def _request(name: str, client: Any, given: Mapping[str, Any]) -> bytes:
    """Give what a method asks, as the protocol has it."""
    if "keys" in given:
        return _of_many(name, client, given)
    if "key" in given:
        return _of_one(name, client, _bytes(given["key"]), given)
    if name == "get_stats":
        return b"stats " + _bytes(given.get("args", b"")) + END
    return b"flush_all %d\r\n" % given["time"] if given.get("time") else b"flush_all\r\n"


def _of_many(name: str, client: Any, given: Mapping[str, Any]) -> bytes:
    prefix = _bytes(given.get("key_prefix") or b"")
    verb = name.removesuffix("_multi")
    keys = [prefix + _bytes(key) for key in given["keys"]]
    if verb == "get":
        return b" ".join([b"get", *keys]) + END
    values = given["keys"].values() if verb in _STORES else keys
    return b"".join(
        _of_one(verb, client, key, {"val": value, **given}) for key, value in zip(keys, values, strict=True)
    )


def _of_one(name: str, client: Any, key: bytes, given: Mapping[str, Any]) -> bytes:
    match name:
        case "incr" | "decr":
            return b"%b %b %d\r\n" % (name.encode(), key, given.get("delta", 1))
        case "touch":
            return b"touch %b %d\r\n" % (key, given["time"])
        case "get" | "gets" | "delete":
            return b"%b %b\r\n" % (name.encode(), key)
    return _stored(name, client, key, given)


def _stored(verb: str, client: Any, key: bytes, given: Mapping[str, Any]) -> bytes:
    data, flags = client.serialize(given["val"])
    cas = b" %d" % given["cas"] if "cas" in given else b""
    head = b"%b %b %d %d %d%b\r\n" % (verb.encode(), key, flags, given.get("time", 0), len(data), cas)
    return b"".join((head, data, END))


def _bytes(key: Any) -> bytes:
    return key.encode() if isinstance(key, str) else bytes(key)


# Recorded.


def _recorded(name: str, client: Any, given: Mapping[str, Any], request: bytes, do: Any) -> Any:
    call = seams.begin(NAME, partial(_named, name, client))
    if call is None:
        return do()
    call.put(spans.REQUEST, request)
    try:
        result = do()
    except BaseException as error:
        call.fail(error)
        call.end()
        raise
    try:
        call.put_replies([_reply(name, client, given, result)])
        call.end()
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        call.lose(f"{NAME}.reply", error)
    return result


def _named(name: str, client: Any) -> tuple[str, Mapping[str, spans.Attribute]]:
    named: dict[str, spans.Attribute] = {"db.system.name": matching.SYSTEM, "db.operation.name": name}
    addresses = getattr(client, "addresses", [])
    if len(addresses) == 1:
        named["server.address"] = str(addresses[0])
    return name, named


def _reply(name: str, client: Any, given: Mapping[str, Any], result: Any) -> bytes:
    """Give a result, as the protocol has it or as Python writes it."""
    match name:
        case "get":
            return _values(client, b"", [] if result is given.get("default") else [(given["key"], result)])
        case "gets":
            value, cas = result
            return _values(client, b"", [] if cas is None else [(given["key"], value)], cas)
        case "get_multi":
            return _values(client, _bytes(given.get("key_prefix") or b""), result.items())
    return repr(result).encode() + END


def _values(client: Any, prefix: bytes, found: Iterable[tuple[Any, Any]], cas: int | None = None) -> bytes:
    lines: list[bytes] = []
    for key, value in found:
        data, flags = client.serialize(value)
        mark = b"" if cas is None else b" %d" % cas
        lines.append(b"VALUE %b %d %d%b\r\n%b\r\n" % (prefix + _bytes(key), flags, len(data), mark, data))
    return b"".join([*lines, b"END\r\n"])


# Replayed.


def _replayed(name: str, client: Any, given: Mapping[str, Any], request: bytes, responder: Responder) -> Any:
    asked = commands_in(request)
    answer = responder.answer(
        matching.describe(asked),
        lambda: rendering.shown(asked),
        recording=lambda: spans.encode_payload(spans.REQUEST, request),
    )
    if wait := responder.wait(answer.recorded):
        _sleep(wait)
    if (error := answer.recorded.text(spans.ERROR)) is not None:
        raise failures.error_of(responder, error)
    if not answer.replies:
        responder.refuse("the recording ended before this call was answered: record it to its end")
    return _result(name, client, given, answer)


def _result(name: str, client: Any, given: Mapping[str, Any], answer: Answer) -> Any:
    items = list(items_in(matching.rebound(answer.replies[0], answer.bindings)))
    found = [item for item in items if item.value is not None]
    values = {item.words[1]: client.deserialize(item.value, int(item.words[2])) for item in found}
    match name:
        case "get":
            return next(iter(values.values()), given.get("default"))
        case "gets":
            return (next(iter(values.values())), int(found[0].words[4])) if found else (None, None)
        case "get_multi":
            prefix = _bytes(given.get("key_prefix") or b"")
            keys = {prefix + _bytes(key): key for key in given["keys"]}
            return {keys[key]: value for key, value in values.items() if key in keys}
    return ast.literal_eval(items[0].line.decode())


INTEGRATION = Integration(
    name=NAME,
    patches=tuple(Patch("pylibmc.client", f"Client.{name}", partial(_call, name)) for name in _PARAMETERS),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=rendering.render,
    oldest=("pylibmc", (1, 6)),
    packages={"pylibmc": "pylibmc"},
)
