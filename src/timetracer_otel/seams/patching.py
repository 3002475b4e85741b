"""Wrapping a library's names when it is imported, and putting everything back."""

from __future__ import annotations

import builtins
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import metadata
from types import ModuleType
from typing import Any

import wrapt

from timetracer_otel.seams import c_names, faults, imports
from timetracer_otel.seams.integration import Integration, Patch, Replacement

__all__ = ["apply", "undo", "undo_all"]

_log = logging.getLogger("timetracer_otel")


@dataclass(eq=False, slots=True)
class _Done:
    """A patch in force.

    Args:
        patch: it.
        owner: the module or class that has the name.
        name: the last part of the patch's.
        original: what the owner itself had there.
        wrapper: what it has now.
    """

    patch: Patch
    owner: Any
    name: str
    original: Any
    wrapper: Any


_done: list[_Done] = []
_wanted: dict[Patch, set[str]] = {}
"""Every patch that was ever asked for, and the integrations that want it now: several may share one."""
_INHERITED = object()
_MAKER = "_timetracer_maker"
_checked: set[tuple[str, tuple[int, int]]] = set()
"""Distributions whose version is checked when they are imported."""
_refused: set[Patch] = set()
"""Patches that could not be set: said once."""


_exchanged: list[tuple[object, object]] = []
"""Objects, and what takes their places in all modules when the block of :func:`together` ends."""
_is_together = False


@contextmanager
def together() -> Iterator[None]:
    """Patch or restore several things, and look through all modules once for them: an app may have thousands."""
    global _is_together  # noqa: PLW0603 - a process has one set of patches
    outermost, _is_together = not _is_together, True
    try:
        yield
    finally:
        if outermost:
            _is_together = False
            _exchange()


def _exchange() -> None:
    pairs = _exchanged.copy()
    _exchanged.clear()
    if pairs:
        c_names.exchange(pairs)


def _put_everywhere(original: object, replacement: object) -> None:
    _exchanged.append((original, replacement))
    if not _is_together:
        _exchange()


def apply(integration: Integration) -> None:
    """Patch what is imported already, and the rest when it is imported.

    Args:
        integration: a library; patching it twice does nothing.
    """
    if integration.oldest is not None and integration.oldest not in _checked:
        _checked.add(integration.oldest)
        library = integration.oldest[0]
        module = next((name for name, one in integration.packages.items() if one == library), library)
        imports.after_import(module, _check_age(*integration.oldest))
    with together():
        for patch in integration.patches:
            _apply(patch, integration.name)


def _apply(patch: Patch, name: str) -> None:
    wanted = _wanted.get(patch)
    if wanted is None:
        _wanted[patch] = {name}
        imports.after_import(patch.module, _hook(patch), again=True)
        return
    catches_up = not wanted
    wanted.add(name)
    if catches_up:
        _catch_up(patch)


def undo(name: str) -> None:
    """Restore every name that is patched for one integration alone to the very object that it was."""
    with together():
        for patch, wanted in _wanted.items():
            if name in wanted:
                wanted.discard(name)
                if not wanted:
                    _take_back(patch)


def undo_all() -> None:
    """Restore everything."""
    with together():
        for name in set().union(*_wanted.values()):
            undo(name)


def _catch_up(patch: Patch) -> None:
    module = sys.modules.get(patch.module)
    if module is not None:
        _try(patch, module)


def _take_back(patch: Patch) -> None:
    for done in reversed([done for done in _done if done.patch == patch]):
        _done.remove(done)
        try:
            _restore(done)
        except Exception as error:  # noqa: BLE001 - the others are put back all the same
            faults.report(f"restore.{patch.module}.{patch.name}", error)


def _check_age(library: str, oldest: tuple[int, int]) -> Any:
    def on_import(_module: ModuleType) -> None:
        version = _version(library)
        if version is not None and tuple(map(int, re.findall(r"\d+", version)[:2])) < oldest:
            wanted = ".".join(map(str, oldest))
            _log.warning(
                "timetracer: %s %s is older than %s, so its calls are not captured; pip install '%s>=%s'",
                library, version, wanted, library, wanted,
            )  # fmt: skip

    return on_import


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None  # vendored: nobody knows


def _restore(done: _Done) -> None:
    if vars(done.owner).get(done.name) is not done.wrapper:
        return
    if done.original is _INHERITED:
        delattr(done.owner, done.name)
        return
    _bind(done.owner, done.patch, done.original)
    if done.patch.everywhere:
        _put_everywhere(done.wrapper, done.original)


def _hook(patch: Patch) -> imports.Hook:
    def on_import(module: ModuleType) -> None:
        if _wanted[patch]:
            _try(patch, module)

    return on_import


def _try(patch: Patch, module: ModuleType) -> None:
    """Set a patch; one that cannot be set leaves the module as it was."""
    try:
        _set(patch, module)
    except Exception as error:  # noqa: BLE001 - a type of C refuses, a lazy module may raise anything
        if patch.required and patch not in _refused:
            _refused.add(patch)
            _log.warning(
                "timetracer: %s.%s cannot be patched (%s: %s), so %s calls are not fully captured",
                patch.module, patch.name, type(error).__name__, error, _users(patch),
            )  # fmt: skip


def _users(patch: Patch) -> str:
    return " and ".join(sorted(_wanted[patch]))


def _set(patch: Patch, module: ModuleType) -> None:
    *path, name = patch.name.split(".")
    owner: Any = module
    for part in path:
        owner = getattr(owner, part, None)
    if isinstance(owner, ModuleType) and name in vars(builtins) and name not in vars(owner):
        target = vars(builtins)[name]  # a module's global shadows the builtin for that module only
    elif owner is None or not hasattr(owner, name):
        if patch.required:
            _warn_of_absence(patch)
        return
    else:
        target = None
    if any(one is vars(owner).get(name) for one, _ in _exchanged):
        _exchange()  # it is the same object under another name: wrapped once is enough
    original = vars(owner).get(name, _INHERITED)
    if _is_ours(original, patch):
        # Imported from a module that was patched before: wrapped once is enough.
        _note(_Done(patch, owner, name, original.__wrapped__, original))
        return
    if target is None:
        target = getattr(owner, name) if original is _INHERITED else original
    wrapper = _around(target, patch)
    _bind(owner, patch, wrapper)
    if patch.everywhere:
        _put_everywhere(target, wrapper)
    _note(_Done(patch, owner, name, original, wrapper))


def _bind(owner: Any, patch: Patch, value: Any) -> None:
    """Set a patched attribute; of a class of C underneath, where the patch says so."""
    name = patch.name.rpartition(".")[2]
    if not patch.underneath:
        setattr(owner, name, value)
    elif not c_names.put_underneath(owner, name, value):
        raise TypeError("this Python has no ctypes")


def _note(done: _Done) -> None:
    if not any(one.wrapper is done.wrapper and one.owner is done.owner and one.name == done.name for one in _done):
        _done.append(done)


def _warn_of_absence(patch: Patch) -> None:
    library = patch.module.partition(".")[0]
    _log.warning(
        "timetracer: %s %s has no %s.%s, so %s calls are not fully captured; use a supported version (docs)",
        library,
        getattr(sys.modules.get(library), "__version__", "unknown"),
        patch.module,
        patch.name,
        _users(patch),
    )


def _around(target: Any, patch: Patch) -> Any:
    if patch.returns is not None:
        return wrapt.FunctionWrapper(target, _Returning(patch.returns))
    if patch.maker is None:
        assert patch.wrapper is not None  # noqa: S101 - a patch has one of the three
        return wrapt.FunctionWrapper(target, patch.wrapper)
    made: Any = patch.maker(target)
    if isinstance(made, type | property):
        made.__wrapped__ = target  # type: ignore[union-attr]  # as wraps() does; a class has its names already
    else:
        made = wraps(target)(made)
    setattr(made, _MAKER, patch.maker)
    return made


@dataclass(frozen=True, slots=True)
class _Returning:
    """A wrapper that gives something else in place of what a factory returns.

    Args:
        replacement: makes it.
    """

    replacement: Replacement

    def __call__(self, wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
        made = wrapped(*args, **kwargs)
        try:
            return self.replacement(made)
        except Exception as error:  # noqa: BLE001 - the app gets what it would have got without us
            faults.report(f"factory.{getattr(wrapped, '__qualname__', wrapped)}", error)
            return made


def _is_ours(original: Any, patch: Patch) -> bool:
    if patch.maker is not None:
        return getattr(original, _MAKER, None) is patch.maker
    wrapper = patch.wrapper if patch.returns is None else _Returning(patch.returns)
    return bool(getattr(original, "_self_wrapper", None) == wrapper)
