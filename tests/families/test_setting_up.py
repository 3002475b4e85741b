"""What stands around the first questions of a connection to PostgreSQL is marked, and nothing of the program's own."""

from __future__ import annotations

from typing import Any

import pytest

from timetracer_otel.families.postgres.setting_up import FIRST, SettingUp
from timetracer_otel.seams import Call, first_needs

ASKS = "SELECT oid FROM pg_catalog.pg_type"
WRITES = "INSERT INTO orders VALUES (1)"


@pytest.fixture(autouse=True)
def _kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is recorded: all is as if it were new, and kept."""
    monkeypatch.setattr(first_needs, "keep", lambda *_: True)
    monkeypatch.setattr(first_needs, "keep_again", lambda *_: None)


def marked(*statements: str, refused: str = "") -> list[str]:
    """The statements of a connection that are marked; the last one ends the transaction."""
    setting_up, found = SettingUp(), list[tuple[str, Call]]()
    lane: Any = None
    for number, sql in enumerate(statements, 1):
        call = Call(lane, lane)
        inside = number < len(statements) and sql not in {"ROLLBACK", "COMMIT"}
        setting_up.take(call, sql, lambda: ("", {}), (sql,), inside=inside, refused=sql == refused)
        found.append((sql, call))
    return [sql for sql, call in found if FIRST in call.attributes]


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["BEGIN", ASKS, "ROLLBACK"], ["BEGIN", "ROLLBACK"]),
        (["BEGIN", "SAVEPOINT a", ASKS, "RELEASE a", "COMMIT"], ["BEGIN", "SAVEPOINT a", "RELEASE a", "COMMIT"]),
        (["BEGIN", ASKS, "ROLLBACK", "BEGIN", WRITES, "COMMIT"], ["BEGIN", "ROLLBACK"]),
        (["BEGIN", ASKS, WRITES, "COMMIT"], ["BEGIN"]),
        (["BEGIN", WRITES, ASKS, "COMMIT"], []),
        (["BEGIN", "COMMIT", ASKS], []),
    ],
)
def test_what_stands_around_is_marked(statements: list[str], expected: list[str]) -> None:
    """Until the program asks something of its own."""
    assert marked(*statements) == expected


def test_a_statement_that_is_refused_is_the_programs_own_too() -> None:
    """A replay, which does not know yet that it will be, looks for an end of transaction without mark."""
    assert marked("BEGIN", ASKS, WRITES, "ROLLBACK", refused=WRITES) == ["BEGIN"]
