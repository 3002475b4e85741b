"""Environment variables by which a launcher tells the processes of its replay what to do."""

from __future__ import annotations

from typing import Final

__all__ = ["ACCEPT", "CATALOG", "DETAIL", "JOURNAL", "READER_LEAVES", "TRACE"]

JOURNAL: Final = "TIMETRACER_REPLAY_JOURNAL"
"""Set by the launcher: the folder where each process of the replay keeps its journal."""
CATALOG: Final = "TIMETRACER_REPLAY_CATALOG"
"""Set by the launcher: the file with what it found when it looked through the cassettes."""
DETAIL: Final = "TIMETRACER_REPLAY_DETAIL"
"""Set by ``--verify``: the journals then say what each call asked that differs."""
ACCEPT: Final = "TIMETRACER_REPLAY_ACCEPT"
"""Set by ``--accept``: the journals then say what a new recording of the same needs."""
TRACE: Final = "TIMETRACER_REPLAY_TRACE"
"""Set by the launcher: the folder for the replay's own trace."""
READER_LEAVES: Final = "TIMETRACER_REPLAY_READER_LEAVES"
"""Set by ``--verify`` for a script: where the reader of its stdout had left."""
