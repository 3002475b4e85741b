"""The PostgreSQL server of the tests."""

from __future__ import annotations

from examples.postgres import PASSWORD, PostgresServer, running

__all__ = ["PASSWORD", "PostgresServer", "running"]
