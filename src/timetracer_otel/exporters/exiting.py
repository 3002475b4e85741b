"""How the program of this process ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any, Final

__all__ = ["watch"]

_ENDS: Final = frozenset({"SystemExit", "exit", "quit"})
"""Names by which a program ends itself without ``sys.exit``."""


def watch() -> Callable[[], int | None]:
    """Note the status that the program asks for by ``sys.exit``.

    Returns:
        What gives the exit status when the process ends, and ends the watching; None when it cannot be known: a
        ``raise SystemExit(n)`` shows its n to nobody.
    """
    asked: list[int] = []
    exit_ = sys.exit

    def noting(status: object = None, /) -> None:
        asked.append(0 if status is None else status & 0xFF if isinstance(status, int) else 1)
        exit_(status)  # type: ignore[arg-type]  # any object is allowed: it is printed

    sys.exit = noting  # type: ignore[assignment]  # same signature, and it never returns either

    def settle() -> int | None:
        if sys.exit is noting:
            sys.exit = exit_
        uncaught = getattr(sys, "last_value", None)
        if uncaught is not None:
            return None if isinstance(uncaught, KeyboardInterrupt) else 1  # that one ends it by a signal
        if _ran_to_its_end(asked):
            return 0
        return asked[-1] if asked else None

    return settle


def _ran_to_its_end(asked: list[int]) -> bool:
    main = sys.modules.get("__main__", ModuleType("__main__"))
    if main.__spec__ is not None:  # python -m
        return not asked and not _ENDS.intersection(_names(main))
    if sys.argv[:1] == ["-c"]:
        return not asked and not any(name in argument for name in _ENDS for argument in sys.orig_argv)
    # CPython takes __file__ away from a script that has ended, but not when it has left by SystemExit
    # (PyRun_SimpleFile in Python/pythonrun.c).
    return not hasattr(main, "__file__")


def _names(main: ModuleType) -> Iterator[str]:
    """Every name that the main module's code uses; where the code cannot be had, those that matter."""
    spec: Any = main.__spec__
    try:
        code = spec.loader.get_code(spec.name)
    except (AttributeError, ImportError, OSError, SyntaxError):
        code = None
    if not isinstance(code, CodeType):
        yield from _ENDS
    waiting = [code] if isinstance(code, CodeType) else []
    while waiting:
        one = waiting.pop()
        yield from one.co_names
        waiting += [constant for constant in one.co_consts if isinstance(constant, CodeType)]
