"""uvloop's loop does not bear a fork: a debugged replay gets asyncio's own in its place."""

from __future__ import annotations

import asyncio
from types import ModuleType

import wrapt

__all__ = ["avoid"]


def avoid() -> None:
    """Let uvloop make loops of asyncio from now on, in this process."""
    wrapt.register_post_import_hook(_exchange, "uvloop")


def _exchange(module: ModuleType) -> None:
    module.Loop = asyncio.SelectorEventLoop  # type: ignore[attr-defined] # all of its functions make loops by this name
