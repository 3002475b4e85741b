"""``time`` and ``random`` as they are without us, for the modules that use them in every call.

The wrappers let plumbing pass, but must look at each time who asks. A driver that reads the clock nine times a command
(its integration names the modules), and the SDK that makes an id for each span, get copies of the modules from before.
The functions in them are the same ones, on the same generator.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, Final

from timetracer_otel.seams import imports

__all__ = ["give", "keep", "restore", "shield"]

_ALWAYS: Final = ("opentelemetry.sdk.trace.id_generator",)

_plain: dict[str, ModuleType] = {}
"""The copies, by name."""
_given: list[tuple[ModuleType, str, ModuleType]] = []
"""Which module has which copy under which name in place of what."""
_shielded: list[tuple[object, tuple[str, ...]]] = []
"""Instances and the names that they were given."""
_hooked: set[str] = set()
"""Modules with an import hook, which cannot be taken back."""


def keep(module: ModuleType) -> None:
    """Copy a module before anything in it is wrapped.

    Args:
        module: ``time`` or ``random``.
    """
    copy = ModuleType(module.__name__, module.__doc__)
    vars(copy).update(vars(module))
    _plain[module.__name__] = copy


def give(modules: Iterable[str]) -> None:
    """Let modules that are plumbing use the copies, now or when they are imported.

    Args:
        modules: their names.
    """
    for name in (*_ALWAYS, *modules):
        if name not in _hooked:
            _hooked.add(name)
            imports.after_import(name, _give_to)
        elif name in sys.modules:
            _give_to(sys.modules[name])


def restore() -> None:
    """Put the modules back."""
    while _given:
        user, name, module = _given.pop()
        setattr(user, name, module)
    _plain.clear()
    while _shielded:
        instance, names = _shielded.pop()
        for name in names:
            vars(instance).pop(name, None)


def _give_to(user: ModuleType) -> None:
    for name, copy in _plain.items():
        module = vars(user).get(name)
        if module is sys.modules.get(name) and module is not None:
            _given.append((user, name, module))
            setattr(user, name, copy)


def shield(instance: object, methods: Mapping[str, Any]) -> None:
    """Let an instance's methods call one another past the wrappers that are on its class.

    Args:
        instance: the generator behind the functions of ``random``.
        methods: its own, from before.
    """
    vars(instance).update(methods)
    _shielded.append((instance, tuple(methods)))
