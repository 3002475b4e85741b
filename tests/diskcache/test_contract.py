"""What programs see of DiskCache is the same recorded, and replayed with its folder gone: values and types."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from diskcache import Cache

from tests.diskcache.scenarios import SCENARIOS
from tests.support.same import identical
from timetracer_otel import ReplayMiss, testing


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_is_seen(name: str, tmp_path: Path) -> None:
    """In another folder, which is not there and is not made; nothing is missed, and nothing left unused."""
    with testing.record(tmp_path / "cassettes"):
        recorded = SCENARIOS[name](tmp_path / "recorded")
    shutil.rmtree(tmp_path / "recorded")
    with testing.replay(tmp_path / "cassettes") as replay:
        replayed = SCENARIOS[name](tmp_path / "replayed")
    assert identical(replayed, recorded), f"{replayed}\nand not\n{recorded}"
    outcome = replay.outcome()
    assert (outcome.misses, outcome.unused) == ([], [])
    assert not (tmp_path / "replayed").exists() or name == "plain"  # which makes a folder itself


def test_a_cache_that_was_there_before(tmp_path: Path) -> None:
    """It is recorded, and in a replay its database is asked for nothing; afterwards it is as it was."""
    cache = Cache(tmp_path / "cache")
    seam = Cache.__dict__["_con"]
    cache["a"] = "before"
    with testing.record(tmp_path / "cassettes"):
        assert cache["a"] == "before"
    cache["a"] = "changed"
    with testing.replay(tmp_path / "cassettes"):
        assert cache["a"] == "before"
    assert cache["a"] == "changed"
    assert Cache.__dict__["_con"] is seam
    cache.close()


def test_a_miss_is_seen(tmp_path: Path) -> None:
    """What was not asked then is no value that is not cached; another value that is written is a difference."""
    with testing.record(tmp_path / "cassettes"), Cache(tmp_path / "cache") as cache:
        cache["large"] = b"x" * 50_000
        assert cache.get("a") is None
    with testing.replay(tmp_path / "cassettes") as replay, Cache(tmp_path / "gone") as cache:
        with pytest.raises(ReplayMiss, match="file write"):
            cache["large"] = b"y" * 50_000
        with pytest.raises(ReplayMiss, match="sqlite SELECT Cache"):
            cache.get("b")
    assert len(replay.outcome().misses) == 2


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    """Somebody else removed it: the cache takes that for a value that is not there, in both."""
    with testing.record(tmp_path / "cassettes"), Cache(tmp_path / "cache") as cache:
        cache["large"] = b"x" * 50_000
        for path in (tmp_path / "cache").glob("*/*/*.val"):
            path.unlink()
        assert cache.get("large", "gone") == "gone"
    with testing.replay(tmp_path / "cassettes"), Cache(tmp_path / "cache") as cache:
        cache["large"] = b"x" * 50_000
        assert cache.get("large", "gone") == "gone"


def test_threads_that_are_others_now(tmp_path: Path) -> None:
    """How many connections there are, and whose they are, is chance: fewer threads ask the same."""

    def work(cache: Cache, number: int) -> Any:
        return cache.incr(f"counter {number % 3}", retry=True)

    found = []
    for mode, size in ((testing.record, 6), (testing.replay, 1)):
        with mode(tmp_path / "cassettes"), Cache(tmp_path / "cache") as cache, ThreadPoolExecutor(size) as pool:
            found.append(sorted(pool.map(partial(work, cache), range(12))))
    assert found[0] == found[1]
