"""An entry that another process answers in place of this one: a debugger runs it in forks, to run it again.

The process that the entry came to keeps out of it: nothing of its own may reach the client. The fork answers, and ends
when its answer is out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["AnsweredElsewhere", "handover"]


class AnsweredElsewhere(BaseException):
    """Leaves an entry that a fork has answered; its seam gives the server a response that goes nowhere.

    Args:
        status: that the fork answered with, which the server's log shall say as well.
    """

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


class _Handover:
    """What this process does for its one entry, if it is such a fork.

    Attributes:
        began: is given the response's status, once, when that begins to leave.
        leave: is called when the app has ended; ends this process once the response is out.
        closed: is called when the server has sent everything; ends this process.
    """

    began: Callable[[str], None] | None = None
    leave: Callable[[], None] | None = None
    closed: Callable[[], None] | None = None


handover: Final = _Handover()
