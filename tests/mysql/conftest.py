"""A MariaDB server for these tests, which each module stops when it has recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.mysql import MysqlServer


@pytest.fixture(scope="session")
def installed() -> Iterator[MysqlServer]:
    """A server that does not run."""
    server = MysqlServer()
    yield server
    server.stop()
    server.remove()
