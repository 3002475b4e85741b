"""Hooks run on a module as soon as it is loaded, whichever finders stand before ours in ``sys.meta_path``.

A finder that others put in front (pytest's assertion rewriting, type checkers at run time, hot reloaders) loads modules
past every finder of ours. All of them are asked by one function of importlib, so the loader that it finds is taken over
there. wrapt's own finder stays too: it sees what asks the finders without importing (``importlib.util.LazyLoader``).
"""

from __future__ import annotations

import importlib._bootstrap as bootstrap  # its _find_spec asks all finders, in every supported version of Python
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import wrapt

from timetracer_otel.seams import faults

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

__all__ = ["Hook", "after_import", "start", "stop"]

Hook: TypeAlias = Callable[[ModuleType], object]

_hooks: dict[str, list[tuple[Hook, bool]]] = {}
"""By module: what to call, and whether again when the module is loaded another time."""
_fired: Counter[str] = Counter()
_unloaded: set[str] = set()
"""Those that were not loaded yet when they were last looked for."""
_original: Callable[..., ModuleSpec | None] = bootstrap._find_spec  # type: ignore[attr-defined]  # noqa: SLF001 - see above


def after_import(name: str, hook: Hook, *, again: bool = False) -> None:
    """Call a hook with a module: now if it is loaded, else when it is.

    Args:
        name: of the module.
        hook: called with it; what it raises is reported and stays here, because the app's own import must not fail.
        again: whether to call it another time when the module is loaded another time.
    """
    module = sys.modules.get(name)
    is_there = module is not None and not _is_loading(module)
    if again or not is_there:
        if name not in _hooks:
            wrapt.register_post_import_hook(partial(_loaded, name), name)
        _hooks.setdefault(name, []).append((hook, again))
    if not is_there:
        _unloaded.add(name)
    elif module is not None:
        _call(name, hook, module)


def start() -> None:
    """Take part in the imports of this process."""
    global _original  # noqa: PLW0603 - there is one import system
    if bootstrap._find_spec is not _find_spec:  # type: ignore[attr-defined]  # noqa: SLF001 - see above
        _original = bootstrap._find_spec  # type: ignore[attr-defined]  # noqa: SLF001 - see above
        bootstrap._find_spec = _find_spec  # type: ignore[attr-defined]  # noqa: SLF001 - see above


def stop() -> None:
    """Take no part in them any more; what waits for a module goes on waiting."""
    if bootstrap._find_spec is _find_spec:  # type: ignore[attr-defined]  # noqa: SLF001 - see above
        bootstrap._find_spec = _original  # type: ignore[attr-defined]  # noqa: SLF001 - see above


def _find_spec(name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
    """Stand before importlib's: a module that is waited for is loaded by a loader that says so."""
    if _unloaded:
        _catch_up()
    spec = _original(name, path, target)
    if name in _hooks and spec is not None and hasattr(spec.loader, "exec_module"):
        spec.loader = _Loader(spec)  # type: ignore[assignment]  # it has what the original has
    return spec


def _catch_up() -> None:
    """Find modules that were put into ``sys.modules`` without being imported."""
    for name in tuple(_unloaded):
        module = sys.modules.get(name)
        if module is not None and not _is_loading(module):
            _loaded(name, module)


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class _Loader:
    """Stands for a module's loader until it loads.

    Args:
        spec: of the module, with its own loader.
    """

    def __init__(self, spec: ModuleSpec) -> None:
        self._spec = spec
        self._loader: Any = spec.loader

    def exec_module(self, module: ModuleType) -> None:
        """Load the module, which sees its own loader; then call the hooks."""
        self._spec.loader = self._loader
        if getattr(module, "__loader__", None) is self:
            module.__loader__ = self._loader
        name, before = self._spec.name, _fired[self._spec.name]
        self._loader.exec_module(module)
        if _fired[name] == before:  # else wrapt's finder was not passed by
            _loaded(name, sys.modules.get(name, module))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _loaded(name: str, module: ModuleType) -> None:
    _fired[name] += 1
    _unloaded.discard(name)
    hooks = _hooks.get(name, [])
    due = hooks[:]
    hooks[:] = [(hook, again) for hook, again in hooks if again]
    for hook, _ in due:
        _call(name, hook, module)


def _call(name: str, hook: Hook, module: ModuleType) -> None:
    try:
        hook(module)
    except Exception as error:  # noqa: BLE001 - the app's own import must not fail
        faults.report(f"import.{name}", error)
