"""What an SQL text says is a fact of MySQL's server, which each process asks when it first needs it."""

from __future__ import annotations

import pytest

from timetracer_otel.families.mysql import statements


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT VERSION(), @@sql_mode, CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC') IS NOT NULL", True),
        ("SELECT CONVERT_TZ('2001-01-01 01:00:00', 'UTC', 'UTC') AS at", True),
        ("SELECT CONVERT_TZ(at, 'UTC', 'CET') FROM orders", False),
        ("SELECT CONVERT_TZ((SELECT at FROM orders), 'UTC', 'CET')", False),
        ("SELECT CONVERT_TZ(NOW(), 'UTC', 'CET')", False),
        ("SELECT CONVERT_TZ(@at, 'UTC', 'CET')", False),
    ],
)
def test_whether_the_server_knows_time_zones_is_a_fact(sql: str, expected: bool) -> None:  # noqa: FBT001 - of the table
    """Django asks so, in the thread that first connects; a time of the program's own is none."""
    assert statements.is_catalog(sql) is expected
