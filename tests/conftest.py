"""What all tests need: a clean environment, our faults raised, a MongoDB server."""

from __future__ import annotations

import atexit
import base64
import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.support.mongo import MongoServer

_PROGRAMS = {"TIMETRACER_JAEGER"}  # no setting, but a path that tests/jaeger takes
# Before anything of ours is imported, and for every process that a test starts.
for _name in [name for name in os.environ if name.startswith(("OTEL_", "TIMETRACER_")) and name not in _PROGRAMS]:
    del os.environ[_name]
os.environ["TIMETRACER_RAISE_FAULTS"] = "1"
# The key of the user who runs the tests is left alone: recordings make one here.
os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp(prefix="timetracer-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CONFIG_HOME"], ignore_errors=True)
# A shell lets its background jobs ignore Ctrl-C, and so would every program that a test ends by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines may be busy. Where a run decides about a change it is the same each time; elsewhere each one looks further.
hypothesis.settings.register_profile(
    "busy",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("busy")


_SELDOM = {
    "aio-pika": "aio_pika",
    "aiohttp-client": "aiohttp",
    "asyncpg": "asyncpg",
    "celery": "celery",
    "django": "django",
    "fastapi": "fastapi",
    "httpx2": "httpx2",
    "pika": "pika",
    "psycopg": "psycopg",
    "psycopg2": "psycopg2",
    "mysqlclient": "MySQLdb",
    "pymysql": "pymysql",
    "redis": "redis",
    "starlette": "starlette",
    "tornado": "tornado",
}
"""Instrumentors that import their library when a program starts, which takes half of that time; and the library."""
_WHOLE = {"docs", "examples", "install", "jaeger"}
"""Rooms of tests whose programs are written elsewhere."""


@pytest.fixture(scope="module", autouse=True)
def _instrumentors_that_are_used(request: pytest.FixtureRequest) -> Iterator[None]:
    """Programs that a module's tests start do not load instrumentors of libraries that it does not speak of."""
    gc.freeze()  # what all modules before have imported and kept is not looked through again, a second each time
    file = Path(request.path)
    if file.parent.name in _WHOLE:
        yield
        return
    apps = [] if file.parent == Path(__file__).parent else list(file.parent.rglob("*.py"))
    told = "".join(path.read_text() for path in {file, *(path for path in apps if not path.name.startswith("test_"))})
    unused = [name for name, library in _SELDOM.items() if library not in told]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", ",".join(unused))
        yield


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """The MongoDB server that all tests share: ``MONGODB_URI``, else one that is started for them."""
    if uri := os.environ.get("MONGODB_URI"):
        yield uri
        return
    with MongoServer() as server:
        yield server.uri


@pytest.fixture
def mongo_server() -> Iterator[MongoServer]:
    """A server for this test alone, to stop and start: has ``uri``, ``stop()`` and ``restart()``."""
    with MongoServer() as server:
        yield server


@pytest.fixture
def own_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A key of this test's own, which seals secrets."""
    from timetracer_otel import sealing  # noqa: PLC0415 - see above: not before the environment is clean

    monkeypatch.setenv(sealing.VARIABLE, base64.b64encode(bytes(64)).decode())
    sealing.forget()
    yield
    monkeypatch.undo()
    sealing.forget()
