"""What is done once, before the first fork, because each would do it again for half a second."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from typing import Any

__all__ = ["prepare"]


def prepare() -> None:
    """Import what a run under the debugger imports late, and fill the debugger's caches."""
    _prepare_debugpy()
    _prepare_anyio()


def _prepare_debugpy() -> None:
    """Import debugpy and the types that it shows in a way of their own; list what is installed; resolve file names.

    Where Django is installed it is among these types, in every app: 0.15 s of each step.
    """
    api: Any = importlib.import_module("debugpy.server.api")
    with suppress(AttributeError, ImportError):  # not public: without it all is the same, but slower
        api.ensure_logging()
        importlib.import_module("_pydevd_bundle.pydevd_xml").get_type(None)
        resolve = importlib.import_module("pydevd_file_utils").get_abs_path_real_path_and_base_from_file
        for module in tuple(sys.modules.values()):
            if isinstance(file := getattr(module, "__file__", None), str):
                resolve(file)


def _prepare_anyio() -> None:
    """Import what runs endpoints in threads, which the first of them does else."""
    if "anyio" in sys.modules:
        with suppress(ImportError):
            importlib.import_module("anyio._backends._asyncio")
