"""A runtime in force for a test, and the entries patched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.entries.doubles import NotingRuntime
from timetracer_otel import seams
from timetracer_otel.integrations import asgi, django, fastapi, flask, starlette, wsgi
from timetracer_otel.seams import patching


def _in_force(runtime: NotingRuntime) -> Iterator[NotingRuntime]:
    seams.set_active(runtime)
    yield runtime
    seams.set_active(None)


@pytest.fixture
def runtime() -> Iterator[NotingRuntime]:
    """A recording runtime that takes notes."""
    yield from _in_force(NotingRuntime())


@pytest.fixture
def replay() -> Iterator[NotingRuntime]:
    """A replaying runtime that takes notes."""
    yield from _in_force(NotingRuntime(replaying=True))


@pytest.fixture
def patched() -> Iterator[None]:
    """The entries of frameworks and servers are patched."""
    for module in (asgi, wsgi, django, flask, starlette, fastapi):
        patching.apply(module.INTEGRATION)
    yield
    patching.undo_all()
