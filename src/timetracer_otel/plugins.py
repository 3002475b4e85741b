"""Switching a library's capture on and off: ``enable_NAME()`` and ``disable_NAME()`` for every integration and alias.

Users of timetracer 1.x call them. With us everything is on as soon as recording is; these only install it, and switch a
library off again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from timetracer_otel import autoload
from timetracer_otel.integrations import discover

_VERBS = {"enable": autoload.enable, "disable": autoload.disable}


def __getattr__(name: str) -> Callable[[], None]:
    verb, _, library = name.partition("_")
    if verb not in _VERBS or library not in _names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(_VERBS[verb], _names()[library])


def __dir__() -> list[str]:
    return sorted(f"{verb}_{name}" for verb in _VERBS for name in _names())


def _names() -> dict[str, str]:
    """Each integration's names, by how Python can write them."""
    return {name.replace("-", "_"): name for one in discover().values() for name in one.names}
