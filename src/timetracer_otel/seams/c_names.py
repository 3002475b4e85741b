"""Functions and types of C, in whose places something else is put."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

__all__ = ["Builtin", "exchange", "put_underneath"]


class Builtin(staticmethod):  # type: ignore[type-arg]  # of any function
    """A function in the place of one of C: as an attribute of a class it makes no method, and pickles by its name."""

    def __reduce__(self) -> str:
        return str(self.__name__)


def put_underneath(cls: type, name: str, value: Any) -> bool:
    """Change the dictionary of a class of C, and let the interpreter forget what it has looked up in it.

    The class stays the object that it is, for ``isinstance``, subclasses and pickles.

    Args:
        cls: that takes no attributes.
        name: of the attribute.
        value: for it.

    Returns:
        Whether that can be done here: not every Python has ctypes.
    """
    try:
        from ctypes import py_object, pythonapi  # noqa: PLC0415 - only for this
    except ImportError:
        return False
    (members,) = (one for one in gc.get_referents(vars(cls)) if isinstance(one, dict))
    members[name] = value
    pythonapi.PyType_Modified(py_object(cls))
    return True


def exchange(pairs: Iterable[tuple[object, object]], counts: Callable[[ModuleType], bool] | None = None) -> None:
    """Exchange objects wherever a module has them bound.

    Args:
        pairs: an object, and what takes its place; None is nothing to exchange.
        counts: whether the names of a module are exchanged; None for those of every module.
    """
    by_id = {id(original): replacement for original, replacement in pairs if original is not None}
    for module in list(sys.modules.values()):
        names: object = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or by_id.keys().isdisjoint(map(id, list(names.values()))):
            continue  # nearly every module, so this is quick
        if counts is not None and not counts(module):
            continue
        for name, value in list(names.items()):
            if id(value) in by_id:
                names[name] = by_id[id(value)]
