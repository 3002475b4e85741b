"""A PostgreSQL server for these tests, which each module stops when it has recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresServer


@pytest.fixture(scope="session")
def installed() -> Iterator[PostgresServer]:
    """A server that does not run."""
    server = PostgresServer()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def server(installed: PostgresServer) -> Iterator[PostgresServer]:
    """A server that runs, unless the test stops it."""
    installed.start()
    yield installed
    installed.stop()
