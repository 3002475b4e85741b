"""What all tests need: a clean environment, our faults raised, a MongoDB server."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

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
