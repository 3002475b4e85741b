"""What only one process of a replay may have."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from timetracer_otel.replay.claims import Claims

NAMES = [f"lane {number} \udc80" for number in range(3000)]


def test_each_name_has_one_holder(tmp_path: Path) -> None:
    """Of threads that claim all names at once, through the claims of several processes, each name goes to one."""
    of_processes = [Claims(tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        taken = pool.map(lambda claims: [name for name in NAMES if claims.take(name)], of_processes * 2)
        assert sorted(name for some in taken for name in some) == sorted(NAMES)


def test_a_forked_child_takes_what_its_parent_has_not(tmp_path: Path) -> None:
    """Nor does the parent get what the child took."""
    claims = Claims(tmp_path)
    assert claims.take("before")
    if not (child := os.fork()):
        os._exit(10 * claims.take("before") + claims.take("child's"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert [claims.take(name) for name in ("child's", "parent's")] == [False, True]
