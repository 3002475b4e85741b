"""What a connection asks of the server about itself before anything else, and what stands around that.

SQLAlchemy asks so at its first connection, in a transaction: in the lane of whichever request comes first. It is kept
in the session too, for a replay of another request alone.
"""

from __future__ import annotations

from typing import Final

from timetracer_otel.families.postgres import statements
from timetracer_otel.seams import Call, first_needs
from timetracer_otel.seams.calls import Named

__all__ = ["FIRST", "SettingUp", "goes_on", "is_around"]

FIRST: Final = "timetracer.postgresql.first"
"""On a call that stands around what a process asks the server about itself."""
_AROUND: Final = frozenset({"BEGIN", "START", "SAVEPOINT", "RELEASE", "ROLLBACK", "COMMIT"})
_NEUTRAL: Final = frozenset({"SET", "SHOW"})


def is_around(sql: str) -> bool:
    """Whether a statement begins or ends a transaction, or a part of one."""
    return statements.outline(sql).verb in _AROUND


def goes_on(sql: str) -> bool:
    """Whether a connection that asks this has asked nothing of the program's own yet."""
    return is_around(sql) or statements.outline(sql).verb in _NEUTRAL or statements.is_catalog(sql)


class SettingUp:
    """Keeps it, of one connection that is recorded."""

    def __init__(self) -> None:
        self.is_over = False
        """Whether the program has asked something of its own."""
        self._before: list[tuple[Call, Named]] = []
        """What began the transaction in which nothing was asked yet."""
        self._is_new = False
        """Whether the transaction asks what no connection of the process has asked."""

    def take(  # noqa: PLR0913 - what is known of a call
        self, call: Call, sql: str, named: Named, asked: tuple[object, ...], *, inside: bool, refused: bool
    ) -> None:
        """Take a call: any until :attr:`is_over`, then those that ask of the server itself.

        Args:
            call: with all its payloads.
            sql: the statement.
            named: names a span of its kind.
            asked: what calls that ask the same have alike.
            inside: whether a transaction is under way now.
            refused: whether the server did; such a call is not kept.
        """
        if refused:
            pass
        elif statements.is_catalog(sql):
            self._is_new |= first_needs.keep(call, named, asked)
        elif is_around(sql):
            self._before.append((call, named))
        if self._is_new:
            self._keep_around()
        self.is_over = self.is_over or not goes_on(sql)
        if self.is_over or not inside:
            self._is_new = False
            self._before.clear()

    def _keep_around(self) -> None:
        """Mark what stands around, where that can still be said of it, and keep it, too."""
        for call, named in self._before:
            if call.on_span or call.written:
                continue
            call.attributes[FIRST] = True
            first_needs.keep_again(call, named)
        self._before.clear()
