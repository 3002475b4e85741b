"""How the program of this process ends: its exit status, or that it is not known. Never a guess.

Nobody is told the status. What asks for it by ``sys.exit``, ``exit`` or ``quit`` is known, and that it was this
exception which ended the program is seen when it is freed: then no Python code runs any more. A program that ran to its
end is told by its outermost frame, whose last instruction returns.
"""

from __future__ import annotations

import _sitebuiltins
import dis
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType, ModuleType
from typing import Any, Final

from timetracer_otel.seams.exceptions import INTERRUPTED, exit_status

__all__ = ["watch"]

_ENDS: Final = frozenset({"SystemExit", "exit", "quit"})
"""Names by which a program ends itself without ``sys.exit``."""
_RUNS_MODULE: Final = "_run_module_as_main"
"""The function of runpy that ``python -m`` is."""
_MARK: Final = "_timetracer_leaving"


class _ExitCode:
    """Stands for the status in a ``SystemExit``, to see how the exception goes.

    Args:
        status: that it asks for.
        asker: the frame that called ``sys.exit``.
        ended: is told the status when it was this exception that ended the program.
    """

    def __init__(self, status: int, asker: FrameType | None, ended: Callable[[int], None]) -> None:
        self._status = status
        self._ended = ended
        self._places: list[tuple[FrameType, int]] = []
        while asker is not None:
            self._places.append((asker, asker.f_lasti))
            asker = asker.f_back

    def __del__(self) -> None:
        frame: FrameType | None = sys._getframe()  # noqa: SLF001 - the only way to the stack that costs nothing
        is_main = threading.get_ident() == threading.main_thread().ident
        if is_main and frame is not None and frame.f_back is None and self._went_straight():
            self._ended(self._status)

    def _went_straight(self) -> bool:
        """Whether no frame did more than let it pass: one may have caught it, and left by another exception."""
        return all(frame.f_lasti == place or _raised_again(frame) for frame, place in self._places)

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()  # an exception may be pickled with what it carries


class _Outermost:
    """Finds the frame that the program is, at an import of it. A finder that finds nothing."""

    def __init__(self) -> None:
        self.frame: FrameType | None = None

    def find_spec(self, _name: str, _path: Sequence[str] | None = None, _target: object = None) -> None:
        """Look at who imports, until that is the program."""
        if self.frame is not None or threading.get_ident() != threading.main_thread().ident:
            return
        frame = sys._getframe()  # noqa: SLF001 - as above
        while frame.f_back is not None:
            frame = frame.f_back
        if frame.f_globals.get("__name__") == "__main__" or frame.f_code.co_name == _RUNS_MODULE:
            self.frame = frame

    def returned(self) -> bool | None:
        """Whether the program ran to its end; None when its frame was not found."""
        if self.frame is None:
            return None
        last = self.frame.f_code.co_code[self.frame.f_lasti]
        return dis.opname[last].startswith("RETURN_")


def watch() -> Callable[[], int | None]:
    """Look at how the program ends.

    Returns:
        What gives the exit status when the process ends, and ends the watching; None when it cannot be known.
    """
    ended: list[int] = []
    asked: list[None] = []
    outermost = _Outermost()
    exit_, quit_ = sys.exit, _sitebuiltins.Quitter.__call__

    def marks(leave: Callable[..., Any]) -> Callable[..., Any]:
        def leaving(*args: object) -> None:
            asked.append(None)
            try:
                leave(*args)
            except SystemExit as error:
                setattr(error, _MARK, _ExitCode(exit_status(error), sys._getframe(1), ended.append))  # noqa: SLF001 - as above
                raise

        return leaving

    leaving, quitting = marks(exit_), marks(quit_)
    sys.exit = leaving
    _sitebuiltins.Quitter.__call__ = quitting  # type: ignore[method-assign]  # it never returns either
    sys.meta_path.insert(0, outermost)

    def settle() -> int | None:
        if sys.exit is leaving:
            sys.exit = exit_
        if _sitebuiltins.Quitter.__call__ is quitting:
            _sitebuiltins.Quitter.__call__ = quit_  # type: ignore[method-assign]  # as above
        if outermost in sys.meta_path:
            sys.meta_path.remove(outermost)
        if ended:
            return ended[0]  # those behind it are what it was raised in the handling of
        uncaught = getattr(sys, "last_value", None)
        if uncaught is not None:
            return INTERRUPTED if isinstance(uncaught, KeyboardInterrupt) else 1  # that one ends it by a signal
        return 0 if _ran_to_its_end(outermost.returned(), bool(asked)) else None

    return settle


def _raised_again(frame: FrameType) -> bool:
    """Whether the last that a frame did was to let an exception go on: after ``finally``, ``with``, ``except as``."""
    code = frame.f_code.co_code
    name = dis.opname[code[frame.f_lasti]]
    return name == "RERAISE" or (name == "RAISE_VARARGS" and not code[frame.f_lasti + 1])


def _ran_to_its_end(returned: bool | None, asked: bool) -> bool:  # noqa: FBT001 - two facts
    main = sys.modules.get("__main__", ModuleType("__main__"))
    if returned is not None:
        return returned
    if main.__spec__ is None and sys.argv[:1] != ["-c"]:
        # CPython takes __file__ away from a script that has ended, but not when it has left by SystemExit
        # (PyRun_SimpleFile in Python/pythonrun.c).
        return not hasattr(main, "__file__")
    # It imported nothing: what it may do stands in its text.
    return not asked and sys.argv[:1] == ["-c"] and not any(name in word for name in _ENDS for word in sys.orig_argv)
