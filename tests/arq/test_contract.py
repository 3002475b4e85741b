"""Jobs of ARQ: recorded in a real worker, replayed by a worker and by a call, with Redis and the peer gone.

ARQ wants an older redis-py than the other tests: it has an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import venv
from collections import Counter
from pathlib import Path

import pytest

from tests.redis.conftest import serving
from tests.support.workers import App, Recorded, outcome, published, record
from timetracer_otel import spans
from timetracer_otel.families.kinds import task

pytestmark = pytest.mark.system  # redis-server is no Python package, and an environment is installed

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXECUTIONS = Counter({
    "shop.add": 5, "shop.flaky": 2, "shop.failing": 1, "shop.fetch": 1, "shop.parent": 1, "shop.slow": 1, "missing": 1,
})  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A worker, recorded once; its Redis is gone by then."""
    folder, programs = tmp_path_factory.mktemp("arq"), tmp_path_factory.mktemp("env")
    venv.create(programs, with_pip=True)
    pip = [str(programs / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"{ROOT}[cli,arq]", "setuptools"], check=True, timeout=1200)
    with serving(folder) as port:
        settings = {"REDIS_PORT": str(port)}
        app = App(HERE, "shop", EXECUTIONS.total(), ("arq", "shop.WorkerSettings"), settings, programs / "bin")
        return record(app, folder)


def test_each_execution_is_a_lane(recorded: Recorded) -> None:
    """Another try is another one; each has the job as it came, its arguments by name, and what came of it."""
    assert Counter(str(lane.entry.text(task.NAME)) for lane in recorded.lanes() if lane.entry) == EXECUTIONS
    first, second = recorded.lanes("shop.flaky")
    entry, _ = recorded.assert_tried_twice("shop.flaky")
    assert json.loads(entry.text(task.ARGUMENTS) or "") == {"order_id": 12345}
    assert [outcome(lane)["state"] for lane in (first, second)] == ["RETRY", "SUCCESS"]
    [failed], [late], [missing] = (recorded.lanes(name) for name in ("shop.failing", "shop.slow", "missing"))
    errors = [(lane.entry.text(spans.ERROR) or "") for lane in (failed, late, missing) if lane.entry is not None]
    assert ["A-1" in errors[0], "TimeoutError" in errors[1], "not found" in errors[2]] == [True] * 3


def test_calls_are_those_of_the_app(recorded: Recorded) -> None:
    """Its own and its hooks', by the worker's pool; nothing that ARQ asks for itself."""
    [fetched], [parent] = recorded.lanes("shop.fetch"), recorded.lanes("shop.parent")
    assert [call.attributes[spans.PLUGIN] for call in fetched.calls] == ["redis", "redis", "urllib"]
    assert published(parent) == ["add", "add"]


def test_the_worker_gets_the_recorded_jobs_and_ends(recorded: Recorded) -> None:
    """Without Redis: each job once, every call answered, exit status 0."""
    recorded.assert_replays()


def test_verified(recorded: Recorded) -> None:
    """An unchanged app passes."""
    recorded.assert_verifies()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("result", "outcome: $.value: 3 recorded, 103 now"),
        ("publish", "extra messaging arq publish arq:queue add"),
        ("no retry", "'<Retry defer 0.20s>'"),
        ("call", "/orders/9"),
        ("write", "'INCRBY orders:9 1' recorded, 'INCRBY orders:9 2' now"),
    ],
)
def test_a_change_is_found_and_named(recorded: Recorded, changed: str, told: str) -> None:
    """Another result, an added publish, a dropped retry, another call, another write."""
    recorded.assert_finds(changed, told)


def test_called_as_a_coroutine(recorded: Recorded) -> None:
    """A plain call follows the lane of that job with those arguments, by position or by name."""
    status, said = recorded.called(
        "import asyncio, shop; print(asyncio.run(shop.add({}, 1, 2)), asyncio.run(shop.fetch({}, order_id=9)))"
    )
    assert status == 0, said
    assert "3 at /orders/9\n" in said, said
    status, said = recorded.called("import asyncio, shop; asyncio.run(shop.fetch({}, 10))")
    assert status != 0, said
    assert "ReplayMiss" in said, said
