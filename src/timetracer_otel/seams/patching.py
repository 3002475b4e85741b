"""Wrapping a library's names when it is imported, and putting everything back."""

from __future__ import annotations

import builtins
import logging
import re
import sys
from functools import wraps
from importlib import metadata
from types import ModuleType
from typing import Any

import wrapt

from timetracer_otel.seams.integration import Integration, Patch

__all__ = ["apply", "undo", "undo_all"]

_log = logging.getLogger("timetracer_otel")

_done: list[tuple[str, Any, str, Any, Any]] = []
"""Integration, owner, name, original and wrapper of every patch in force."""
_enabled: dict[Patch, str | None] = {}
"""Patches whose import hook is registered, and the integration for which it acts (hooks cannot be unregistered)."""
_INHERITED = object()
_MAKER = "_timetracer_maker"
_checked: set[tuple[str, tuple[int, int]]] = set()
"""Whose version is looked at when it is imported."""


def apply(integration: Integration) -> None:
    """Patch what is imported already, and the rest when it is imported.

    Args:
        integration: a library; patching it twice does nothing.
    """
    if integration.oldest is not None and integration.oldest not in _checked:
        _checked.add(integration.oldest)
        wrapt.register_post_import_hook(_check_age(*integration.oldest), integration.oldest[0])
    for patch in integration.patches:
        known = patch in _enabled
        if known and _enabled[patch] is not None:
            continue
        _enabled[patch] = integration.name
        if not known:
            wrapt.register_post_import_hook(_hook(patch), patch.module)
        elif (module := sys.modules.get(patch.module)) is not None:
            _wrap(integration.name, patch, module)


def undo(name: str) -> None:
    """Restore every name patched for one integration to the very object that it was."""
    for patch, integration in _enabled.items():
        if integration == name:
            _enabled[patch] = None
    for done in reversed([done for done in _done if done[0] == name]):
        _done.remove(done)
        _restore(*done[1:])


def undo_all() -> None:
    """Restore everything."""
    for name in {done[0] for done in _done} | {name for name in _enabled.values() if name is not None}:
        undo(name)


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


def _restore(owner: Any, name: str, original: Any, wrapper: Any) -> None:
    if vars(owner).get(name) is not wrapper:
        return
    if original is _INHERITED:
        delattr(owner, name)
    else:
        setattr(owner, name, original)


def _hook(patch: Patch) -> Any:
    def on_import(module: ModuleType) -> None:
        name = _enabled[patch]
        if name is not None:
            _wrap(name, patch, module)

    return on_import


def _wrap(integration: str, patch: Patch, module: ModuleType) -> None:
    *path, name = patch.name.split(".")
    owner: Any = module
    for part in path:
        owner = getattr(owner, part, None)
    if isinstance(owner, ModuleType) and name in vars(builtins) and name not in vars(owner):
        target = vars(builtins)[name]  # a module's global shadows the builtin for that module only
    elif owner is None or not hasattr(owner, name):
        if patch.required:
            version = getattr(sys.modules.get(patch.module.partition(".")[0]), "__version__", "unknown")
            _log.warning(
                "timetracer: %s %s has no %s.%s, so %s calls are not fully captured; use a supported version (docs)",
                patch.module.partition(".")[0],
                version,
                patch.module,
                patch.name,
                integration,
            )
        return
    else:
        target = None
    original = vars(owner).get(name, _INHERITED)
    if _is_ours(original, patch):
        # Imported from a module that was patched before: wrapped once is enough.
        _done.append((integration, owner, name, original.__wrapped__, original))
        return
    if target is None:
        target = getattr(owner, name) if original is _INHERITED else original
    wrapper = _around(target, patch)
    setattr(owner, name, wrapper)
    _done.append((integration, owner, name, original, wrapper))


def _around(target: Any, patch: Patch) -> Any:
    if patch.maker is None:
        assert patch.wrapper is not None  # noqa: S101 - a patch has one of the two
        return wrapt.FunctionWrapper(target, patch.wrapper)
    made = wraps(target)(patch.maker(target))
    setattr(made, _MAKER, patch.maker)
    return made


def _is_ours(original: Any, patch: Patch) -> bool:
    if patch.maker is not None:
        return getattr(original, _MAKER, None) is patch.maker
    return getattr(original, "_self_wrapper", None) is patch.wrapper
