"""What programs see by pylibmc is the same recorded, and replayed with the server gone: values and types."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import pylibmc
import pytest

from tests.memcached.conftest import serving
from tests.memcached.seeing import seen
from tests.support.same import identical
from timetracer_otel import ReplayMiss, testing

pytestmark = pytest.mark.system  # memcached is no Python package

NOWHERE = 1


def values(port: int) -> list[Any]:
    """Methods of all kinds, and errors."""
    client = pylibmc.Client([f"127.0.0.1:{port}"], behaviors={"cas": True})
    found = [
        seen(client.set, "text", "grüße"),
        seen(client.get, "text"),
        seen(client.get, b"text"),
        seen(client.get, "nothing"),
        seen(client.get, "nothing", 5),
        seen(client.set, "object", {"id": uuid.uuid4(), "at": time.time(), "items": [1, 2.5, None]}, time=60),
        seen(client.get, "object"),
        seen(client.set, "number", 5),
        seen(client.get, "number"),
        seen(client.set, "flag", True),  # noqa: FBT003 - a value
        seen(client.get, "flag"),
        seen(client.set, "bytes", b"\xff\r\nEND\r\n"),
        seen(client.get, "bytes"),
        seen(client.set, "long", "tea " * 50_000, min_compress_len=100),
        seen(client.get, "long"),
        seen(client.set, "larger", b"x" * 2_000_000),
        seen(client.incr, "number", 3),
        seen(client.decr, "number"),
        seen(client.incr, "nothing"),
        seen(client.set_multi, {"a": 1, b"b": "2", "c": [3]}, key_prefix="all-"),
        seen(client.add_multi, {"a": 1, "d": 4}, key_prefix="all-"),
        seen(client.get_multi, ["a", b"b", "nothing", "c"], key_prefix="all-"),
        seen(client.get_multi, []),
        seen(client.incr_multi, ["number"]),
        seen(client.delete_multi, ["a", "nothing"], key_prefix="all-"),
        seen(client.touch, "number", 100),
        seen(client.touch, "nothing", 100),
        seen(client.add, "text", 1),
        seen(client.replace, "nothing", 1),
        seen(client.append, "text", "!"),
        seen(client.prepend, "nothing", "!"),
        seen(client.delete, "text"),
        seen(client.delete, "text"),
        seen(client.gets, "number"),
        seen(client.gets, "nothing"),
        seen(client.cas, "number", 5, 1_000_000),
        seen(client.cas, "number", 5, client.gets("number")[1]),
        seen(client.get_stats)[0][1].keys(),
        seen(client.set, "key with blanks", 1),
        seen(client.set, "lambda", lambda: 1)[0],
        seen(client.get, key="number"),
        seen(client.flush_all),
        seen(client.get, "number"),
        "number" in client,
        seen(lambda: client["number"]),
    ]
    copy = client.clone()
    copy["item"] = "x"
    found += [copy["item"], copy.disconnect_all()]
    return found


def test_the_same_is_seen(tmp_path: Path) -> None:
    """Another port: what is seen is what was seen; nothing is missed, and nothing left unused."""
    with serving() as port:
        without = values(port)
    with serving() as port, testing.record(tmp_path):
        recorded = values(port)
    with testing.replay(tmp_path) as replay:
        replayed = values(NOWHERE)
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    assert [type(one) for one in without] == [type(one) for one in recorded]
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    """The same exceptions with the same words."""
    found = []
    for mode in (testing.record, testing.replay):
        with mode(tmp_path):
            client = pylibmc.Client([f"127.0.0.1:{NOWHERE}"])
            found.append([seen(client.get, "a"), seen(client.set, "a", 1), seen(client.get_multi, ["a"])])
    assert found[0] == found[1]
    assert issubclass(found[0][0][0], pylibmc.Error)


def test_a_miss_is_seen(memcached: int, tmp_path: Path) -> None:
    """It is no error of the library; afterwards the client is as it was."""
    seam = pylibmc.Client.get
    with testing.record(tmp_path):
        pylibmc.Client([f"127.0.0.1:{memcached}"]).get("a")
    with testing.replay(tmp_path) as replay:
        client = pylibmc.Client(["127.0.0.1:1"])
        with pytest.raises(ReplayMiss, match="memcached get b"):
            client.get("b")
        assert client.get("a") is None
    assert len(replay.outcome().misses) == 1
    assert not issubclass(ReplayMiss, pylibmc.Error)
    assert pylibmc.Client.get is seam
